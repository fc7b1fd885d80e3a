"""Views of TransferNet: where a label is sought, what it lights up, its figure, all.

Hong, Oh, Lee, Han (CVPR 2016). Every label of the image has a tile; and, for the
baseline, the activation maps of a classifier of labels. K labels, H x W the image.
"""

from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..transfernet.image_frame import to_image
from .canvas import glow, heat
from .colors import overlay
from .common_views import base_image, class_picture, score_note
from .geometry import enlarge
from .registry import Family, Picture, Subject
from .tiles import MOST, tile

#: Shares of heat over the image.
ALPHA = 0.8


@dataclass
class LabelMaps:
    """What the views draw, on the CPU.

    Attributes:
        labels: Ids.
        merged: (H, W) ids.
        maps: Name -> (K, H, W).
        scores: (N,) of all labels, None where they were given.
        source: Where the labels come from.
    """
    labels: List[int]
    merged: Tensor
    maps: Mapping[str, Tensor]
    scores: Optional[Tensor]
    source: str


SOURCES = dict(gt='labels of the dataset', classifier='labels of the classifier',
               cls_head="labels of the head's classifier")


def source_of(model: nn.Module, meta: Mapping[str, Any], other: str) -> str:
    """Return the label source; another one where labels are to be given and are not."""
    given = model.label_source != 'gt' or meta.get('image_labels') is not None
    return model.label_source if given else other


def observe(model: nn.Module, part: nn.Module, inputs: Tensor,
            meta: Mapping[str, Any]) -> LabelMaps:
    """Run a TransferNet on (1, 3, H', W')."""
    meta, size = dict(meta), tuple(inputs.shape[2:])
    source = source_of(part, meta, 'cls_head')
    with torch.no_grad():
        maps = part.extract_feat(inputs)
        valid = part.valid(maps, inputs, [meta])
        (labels, ), scores = part.find_labels(inputs, maps, [meta], valid, source)
        ids = torch.tensor(labels, dtype=torch.int64, device=inputs.device)
        found = part.decode_head.attend(maps.repeated(len(ids)).feature, ids, valid)
        drawn = {name: to_image(one, size, meta)[:, 0].cpu() for name, one in
                 (('attention', found.attention.weights), ('dense', found.dense))}
        figures = [one.cpu() for _, one in part.figures(maps, 0, labels, size, meta,
                                                        valid)]
        merged, _ = part.segment(inputs, maps, 0, labels, meta, valid)
    empty = torch.zeros(0, *merged.shape)
    drawn['figure'] = torch.cat([empty, *figures])
    return LabelMaps(labels, merged.cpu(), drawn,
                     None if scores is None else scores[0].cpu(), SOURCES[source])


def observe_classifier(model: nn.Module, part: nn.Module, inputs: Tensor,
                       meta: Mapping[str, Any]) -> LabelMaps:
    """Run a classifier of labels on (1, 3, H', W')."""
    meta, size = dict(meta), tuple(inputs.shape[2:])
    source = source_of(part, meta, 'classifier')
    with torch.no_grad():
        feature = part.extract_feat(inputs)
        scores = part.label_logits(feature).sigmoid()[0]
        labels = part.find_labels(scores, meta, source)
        merged = part.segment(feature, labels, size, meta)
        maps = part.activation_maps(feature, labels, size, meta)
    return LabelMaps(labels, merged.cpu(), dict(activation=maps.cpu()), scores.cpu(),
                     SOURCES[source])


FAMILY = Family('TransferNet', observe, with_meta=True)
CLASSIFIER = Family('MultiLabelClassifier', observe_classifier, with_meta=True)


def label_tiles(subject: Subject, title: str, pictures: Sequence[np.ndarray],
                notes: Sequence[str], note: str, scale: tuple) -> Picture:
    """Return the pictures (h, w, 3) of the labels as tiles.

    Args:
        subject: The image.
        title: Of the picture.
        pictures: One for each label.
        notes: What stands behind the label's name on its tile.
        note: Below the picture.
        scale: Of the heat.
    """
    found = subject.output
    if not found.labels:
        return Picture(title, base_image(subject), 'no label in this image')
    names = [f'{subject.classes[one]}{extra}' for one, extra in zip(found.labels, notes)]
    colors = [subject.palette[one] for one in found.labels]
    if len(found.labels) > MOST:
        note += f'; {MOST} of {len(found.labels)} labels'
    return Picture(title, tile(pictures, names, colors, subject.size), note, scale)


def _glowing(subject: Subject, name: str, title: str, heat_map: str, note: str
             ) -> Picture:
    """Return tiles of maps, each divided by its maximum, glowing over the image."""
    values = subject.output.maps[name].float().numpy()
    tops = [float(one.max()) for one in values]
    image = base_image(subject)
    pictures = [
        glow(image, np.clip(enlarge(one / max(top, 1e-12), subject.size, smooth=True),
                            0, 1), heat_map)
        for one, top in zip(values[:MOST], tops)]
    return label_tiles(subject, title, pictures, [f', largest {top:.2g}' for top in tops],
                       note, (heat_map, 0., 1.))


@FAMILY.view('attention')
def attention(subject: Subject) -> Picture:
    """Where each label is sought: the weights, each map divided by its largest."""
    return _glowing(subject, 'attention', 'Attention', 'inferno', subject.output.source)


@FAMILY.view('dense')
def dense(subject: Subject) -> Picture:
    """What resembles the attended positions: A^T A alpha, divided by its largest."""
    return _glowing(subject, 'dense', 'Densified attention', 'viridis',
                    'similarity to what is attended to')


@FAMILY.view('figure')
def figure(subject: Subject) -> Picture:
    """The probability of each label's figure."""
    image, found = base_image(subject), subject.output
    pictures = []
    for one in found.maps['figure'].float().numpy()[:MOST]:
        large = np.clip(enlarge(one, subject.size, smooth=True), 0, 1)
        pictures.append(overlay(image, heat(large, 'viridis', 0, 1), ALPHA))
    shares = [f', {100 * float((one > .5).float().mean()):.0f} %'
              for one in found.maps['figure']]
    return label_tiles(subject, 'Figure of each label', pictures, shares,
                       'probability; share of pixels above 1/2', ('viridis', 0., 1.))


@CLASSIFIER.view('activation')
def activation(subject: Subject) -> Picture:
    """Class activation maps, each divided by its largest."""
    found = subject.output
    image = base_image(subject)
    pictures = [glow(image, np.clip(enlarge(one, subject.size, smooth=True), 0, 1),
                     'inferno') for one in found.maps['activation'].numpy()[:MOST]]
    scores = [f', score {float(found.scores[one - 1]):.2f}' for one in found.labels]
    return label_tiles(subject, 'Class activation maps', pictures, scores, found.source,
                       ('inferno', 0., 1.))


@FAMILY.view('merged')
@CLASSIFIER.view('merged')
def merged(subject: Subject) -> Picture:
    """The labels together: the best figure of every pixel."""
    labels = subject.output.merged.numpy()
    note = score_note(labels, subject) or subject.output.source
    return class_picture(subject, labels, 'Labels merged', note)
