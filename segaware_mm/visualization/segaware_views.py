"""Views of segmentation-aware models: the embedding, its masks, what they change.

e is the embedding (1, E, h, w) at its own size, m_pq = exp(-hardness d(e_p, e_q))
the mask around a pixel p (Harley et al., ICCV 2017, eq. 3), here over the whole
image instead of a window.
"""

from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from ..segaware.head_outputs import head_outputs, logits_of
from ..segaware.seg_aware_conv import SegAwareConv2d
from .canvas import draw_dots, glow, heat
from .changes import changed_picture
from .colors import overlay
from .common_views import base_image, class_picture, score_note
from .geometry import enlarge
from .registry import Family, Picture, Subject

#: Colours of the dots of chosen pixels, in turn.
DOTS = np.array([[255, 214, 0], [0, 229, 255], [255, 82, 180], [124, 252, 0]], np.uint8)


@dataclass
class SegAwareOutput:
    """What the views draw.

    Attributes:
        embedding: (1, E, h, w).
        logits: (1, C, h', w') in the end; None for an embedding alone.
        before: (1, C, h', w') logits before they were refined, or None.
        hardness: Of the masks that are drawn.
        norm: Of the distances.
    """
    embedding: Tensor
    logits: Optional[Tensor] = None
    before: Optional[Tensor] = None
    hardness: float = 1.
    norm: str = 'l1'


def _mask_options(part: nn.Module) -> Tuple[float, str]:
    """Return hardness and norm of the filters, or of the first aware convolution."""
    refinement = getattr(part, 'refinement', None)
    found: List[nn.Module] = []
    if refinement is not None and refinement.filters is not None:
        found = [refinement.filters]
    found += [m for m in part.modules() if isinstance(m, SegAwareConv2d)
              and m.hardness is not None]
    if not found:
        return 1., 'l1'
    return abs(float(found[0].hardness.detach())), found[0].norm


def observe_segmentor(model: nn.Module, part: nn.Module,
                      inputs: Tensor) -> SegAwareOutput:
    """Run a refined segmentor on (1, 3, H, W)."""
    size = tuple(inputs.shape[2:])
    meta = [dict(img_shape=size, pad_shape=size, ori_shape=size)]
    with torch.no_grad():
        return SegAwareOutput(part.source(inputs), part.encode_decode(inputs, meta),
                              part.segmentor.encode_decode(inputs, meta),
                              *_mask_options(part))


def observe_refiner(model: nn.Module, part: nn.Module,
                    inputs: Tensor) -> SegAwareOutput:
    """Run backbone and refined head."""
    size = tuple(inputs.shape[2:])
    meta = [dict(img_shape=size, pad_shape=size, ori_shape=size)]
    with torch.no_grad():
        features = model.extract_feat(inputs)
        return SegAwareOutput(part.source(features), part.predict(features, meta, {}),
                              logits_of(head_outputs(part.head, part.maps(features))),
                              *_mask_options(part))


def observe_head(model: nn.Module, part: nn.Module, inputs: Tensor) -> SegAwareOutput:
    """Run backbone and aware head."""
    with torch.no_grad():
        features = model.extract_feat(inputs)
        return SegAwareOutput(part.source(features), logits_of(part(features)), None,
                              *_mask_options(part))


def observe_embedding(model: nn.Module, part: nn.Module,
                      inputs: Tensor) -> SegAwareOutput:
    """Run backbone and embedding head."""
    with torch.no_grad():
        return SegAwareOutput(part(model.extract_feat(inputs)))


SEGMENTOR = Family('SegAwareRefinedSegmentor', observe_segmentor)
REFINER = Family('SegAwareRefiner', observe_refiner)
HEAD = Family('SegAwareHead', observe_head)
EMBEDDING = Family('EmbeddingHead', observe_embedding)


def principal_colors(embedding: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return the first three principal components as RGB, of this image.

    The sign of a component is free; here the entry of the largest magnitude is
    positive, so that equal embeddings have equal colours. Every component
    fills 0..255 between its 1st and 99th percentile.

    Args:
        embedding: (E, h, w) finite.

    Returns:
        (h, w, 3) uint8, and the share of the variance of the three components;
        where E < 3, or nothing varies, the channels that are missing are 128.
    """
    count, (height, width) = len(embedding), embedding.shape[1:]
    points = embedding.reshape(count, -1).T.astype(np.float64)
    points = points - points.mean(0)
    variance, vectors = np.linalg.eigh(points.T @ points / max(1, len(points)))
    order = np.argsort(-variance, kind='stable')[:3]
    axes = vectors[:, order]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    places = points @ axes
    low, high = np.percentile(places, (1, 99), axis=0)
    # Below rounding nothing varies.
    flat = variance[order] <= 1e-12 * max(variance.sum(), 1e-300)
    unit = np.clip((places - low) / np.where(high > low, high - low, 1), 0, 1)
    unit[:, flat] = 128 / 255
    colors = np.full((len(points), 3), 128, np.uint8)
    colors[:, :len(order)] = np.rint(255 * unit)
    share = np.clip(variance[order], 0, None) / max(variance.sum(), 1e-300)
    return colors.reshape(height, width, 3), share


def chosen_pixels(subject: Subject) -> np.ndarray:
    """Return the (n, 2) integer (x, y) of the pixels whose masks are drawn.

    Those of ``--pixels``; without, three in a row below the middle.
    """
    height, width = subject.image.shape[:2]
    if subject.pixels:
        return np.asarray(subject.pixels, int)
    return np.array([[width * k // 4, 2 * height // 3] for k in (1, 2, 3)])


def pixel_masks(subject: Subject) -> np.ndarray:
    """Return (n, H, W) masks exp(-hardness d) of the chosen pixels."""
    out = subject.output
    embedding = subject.frame.maps(out.embedding.float())
    masks = []
    for x, y in chosen_pixels(subject).tolist():
        apart = embedding - embedding[:, y, x][:, None, None]
        distance = {'l1': apart.abs().sum(0), 'l2': apart.norm(dim=0),
                    'sq': .5 * apart.square().sum(0)}[out.norm]
        masks.append((-out.hardness * distance).exp().numpy())
    return np.stack(masks)


@SEGMENTOR.view('embedding')
@REFINER.view('embedding')
@HEAD.view('embedding')
@EMBEDDING.view('embedding')
def embedding(subject: Subject) -> Picture:
    """The embedding's first three principal components as red, green, blue."""
    found = subject.output.embedding
    colors, share = principal_colors(found[0].float().cpu().numpy())
    planes = torch.from_numpy(colors).permute(2, 0, 1)[None].float()
    shown = subject.frame.maps(planes, 'nearest').byte().permute(1, 2, 0).numpy()
    height, width = found.shape[2:]
    return Picture('Embedding', enlarge(shown, subject.size),
                   f'3 of {found.shape[1]} components, {100 * share.sum():.0f} % of the '
                   f'variance; {width} x {height} cells')


@SEGMENTOR.view('mask')
@REFINER.view('mask')
@HEAD.view('mask')
@EMBEDDING.view('mask')
def mask(subject: Subject) -> Picture:
    """Which pixels belong to the chosen ones (dots): the largest of their masks."""
    values = enlarge(pixel_masks(subject).max(0), subject.size, smooth=True)
    pixels = glow(base_image(subject), values, 'viridis')
    centres = chosen_pixels(subject) + 0.5
    factor = np.array(subject.size[::-1]) / np.array(subject.image.shape[1::-1])
    colors = DOTS[np.arange(len(centres)) % len(DOTS)]
    pixels = draw_dots(pixels, centres * factor, colors, 5.)
    return Picture('Masks of the dots', pixels,
                   f'exp(-{subject.output.hardness:.3g} d), d {subject.output.norm}',
                   ('viridis', 0., 1.))


def _labels(subject: Subject, logits: Tensor) -> np.ndarray:
    """Return the classes (H, W) of logits (1, C, h, w)."""
    return _as_classes(subject.frame.maps(logits)).argmax(0).numpy()


def _as_classes(logits: Tensor) -> Tensor:
    """Return logits (C, H, W); those of one channel as two classes."""
    if len(logits) > 1:
        return logits
    return torch.cat([torch.zeros_like(logits), logits])


@SEGMENTOR.view('before')
@REFINER.view('before')
def before(subject: Subject) -> Picture:
    """The prediction before it is refined."""
    labels = _labels(subject, subject.output.before)
    return class_picture(subject, labels, 'Prediction before refinement',
                         score_note(labels, subject))


@SEGMENTOR.view('confidence_before')
@REFINER.view('confidence_before')
def confidence_before(subject: Subject) -> Picture:
    """Probability of the predicted class before refinement."""
    return _confidence(subject, subject.output.before, 'Confidence before refinement')


@SEGMENTOR.view('after')
@REFINER.view('after')
def after(subject: Subject) -> Picture:
    """The refined prediction."""
    labels = _labels(subject, subject.output.logits)
    return class_picture(subject, labels, 'Prediction after refinement',
                         score_note(labels, subject))


@SEGMENTOR.view('confidence_after')
@REFINER.view('confidence_after')
def confidence_after(subject: Subject) -> Picture:
    """Probability of the predicted class after refinement."""
    return _confidence(subject, subject.output.logits, 'Confidence after refinement')


@SEGMENTOR.view('change')
@REFINER.view('change')
def change(subject: Subject) -> Picture:
    """Where the two predictions differ, and who is right where that is known."""
    return changed_picture(subject, _labels(subject, subject.output.before),
                           _labels(subject, subject.output.logits),
                           'Changed by refinement')


@HEAD.view('prediction')
def prediction(subject: Subject) -> Picture:
    """The prediction of the aware head."""
    labels = _labels(subject, subject.output.logits)
    return class_picture(subject, labels, 'Prediction', score_note(labels, subject))


def _confidence(subject: Subject, logits: Tensor, title: str) -> Picture:
    values = _as_classes(subject.frame.maps(logits)).softmax(0).amax(0).numpy()
    large = np.clip(enlarge(values, subject.size, smooth=True), 0, 1)
    pixels = overlay(base_image(subject), heat(large, 'viridis', 0, 1), 0.85)
    return Picture(title, pixels, 'probability of the predicted class',
                   ('viridis', 0., 1.))
