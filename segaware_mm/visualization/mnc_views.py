"""Views of multi-task network cascades: what every stage finds in an image.

Dai, He, Sun (CVPR 2016): proposals (stage 1), masks (2), classes (3), and again
behind the bridge (4, 5); then the vote. P proposals, n candidates (P of every
pass), N classes, m x m masks, K instances, H x W the image.
"""

from dataclasses import dataclass
from typing import Any, Mapping, Tuple

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..mnc.instances import voted_instances
from ..ops.box_overlap import nms_per_class, overlapping
from ..ops.mask_paste import put, weighted_paste, windows
from .canvas import borders, draw_boxes, glow, heat
from .colors import instance_colors, overlay
from .common_views import base_image
from .geometry import enlarge
from .registry import Family, Picture, Subject
from .tags import Tag, draw_tags

#: Proposals that are drawn, and pairs of boxes before and after the bridge.
PROPOSALS, PAIRS = 50, 10
#: IoU from which of two pairs the better alone is drawn.
PAIR_IOU = 0.5
#: Score of a final instance.
FINAL = 0.5
#: Opacity of the pixels of an instance of score 0, and of one of score 1.
OPACITY = (0.1, 0.65)
#: The same of its border.
LINE = (0.25, 1.)
#: Instances that are named, at most.
NAMES = 30
#: Share of black over the image below boxes and instances.
DARK = 0.35


@dataclass
class MNCOutput:
    """What the views draw, on the CPU.

    Attributes:
        objectness: (P, ) scores of the proposals.
        candidates: ``boxes`` (n, 4) in pixels of the network input, ``mask_probs``
            (n, m, m), ``scores`` (n, N); those of the first pass first.
        instances: ``bboxes`` (K, 4) in pixels of the image, ``scores``,
            ``labels``, ``masks`` (K, H, W); the best first.
    """
    objectness: Tensor
    candidates: InstanceData
    instances: InstanceData

    def boxes(self, k: int) -> Tensor:
        """Return the boxes (P, 4) of pass k, which may count from the end."""
        count = len(self.objectness)
        passes = self.passes
        return self.candidates.boxes[k % passes * count:][:count]

    @property
    def passes(self) -> int:
        """Passes of the cascade; 1 where there are no proposals."""
        return len(self.candidates) // max(1, len(self.objectness)) or 1


def observe(model: nn.Module, part: nn.Module, inputs: Tensor,
            meta: Mapping[str, Any]) -> MNCOutput:
    """Run a detector on (1, 3, H', W'), stage by stage.

    Args:
        model: Of mmdet, with two stages.
        part: Its ``MNCRoIHead``.
        inputs: The image as the data preprocessor gives it.
        meta: Of the image: ``img_shape``, ``ori_shape``; ``scale_factor`` is that
            of the two where the pipeline did not resize.
    """
    from mmdet.structures import DetDataSample
    meta = dict(meta)
    meta.setdefault('scale_factor', tuple(
        meta['img_shape'][k] / meta['ori_shape'][k] for k in (1, 0)))
    with torch.no_grad():
        x = model.extract_feat(inputs)
        proposals = model.rpn_head.predict(x, [DetDataSample(metainfo=meta)],
                                           rescale=False)
        (found, ) = part.candidates(x, proposals, [meta])
        instances = voted_instances(found, meta, part.test_cfg, rescale=True)
    return MNCOutput(proposals[0].scores.cpu(), found.cpu(), instances.cpu())


FAMILY = Family('MNCRoIHead', observe, with_meta=True)


def dark_image(subject: Subject) -> np.ndarray:
    """Return the image in dark shades of grey, on which colours are seen."""
    image = base_image(subject)
    return overlay(image, np.zeros_like(image), DARK)


def picture_boxes(subject: Subject, boxes: np.ndarray) -> np.ndarray:
    """Bring boxes (n, 4) from pixels of the image to those of the picture."""
    height, width = subject.image.shape[:2]
    factor = np.array(subject.size[::-1]) / np.array([width, height])
    return boxes * np.tile(factor, 2)


@FAMILY.view('proposals')
def proposals(subject: Subject) -> Picture:
    """The best boxes of the RPN: the better, the lighter and the more opaque."""
    found = subject.output
    order = found.objectness.argsort(descending=True, stable=True)[:PROPOSALS]
    order = order.flip(0)  # the best on top
    scores = found.objectness[order].numpy()
    boxes = subject.frame.boxes(found.boxes(0)[order])
    pixels = draw_boxes(
        dark_image(subject), picture_boxes(subject, boxes),
        heat(scores[None], 'plasma', 0, 1)[0], np.clip(.25 + .75 * scores, 0, 1), 2)
    count = len(found.objectness)
    note = 'none' if not count else (
        f'the {len(order)} best of {count}' if len(order) < count else
        f'all {count}') + f'; objectness {scores[0]:.2f} to {scores[-1]:.2f}'
    return Picture('Proposals', pixels, note, ('plasma', 0., 1.))


def soft_mask_map(boxes: Tensor, mask_probs: Tensor, weights: Tensor,
                  size: Tuple[int, int]) -> Tensor:
    """Return (H, W): the largest of the weighted masks at every pixel.

    Args:
        boxes: (n, 4) in pixels of the image.
        mask_probs: (n, m, m).
        weights: (n, ).
        size: (H, W).
    """
    largest = torch.zeros(size)
    for k, window in enumerate(windows(boxes, size, 0)):
        one = slice(k, k + 1)
        pasted = weighted_paste(mask_probs[one], boxes[one], weights[one], window, 0)
        before = largest[window.top:window.bottom, window.left:window.right]
        put(largest, window, torch.maximum(before, pasted))
    return largest


@FAMILY.view('soft_masks')
def soft_masks(subject: Subject) -> Picture:
    """Mask probability times best class score, the largest of all candidates."""
    found = subject.output.candidates
    boxes = torch.from_numpy(subject.frame.boxes(found.boxes))
    values = soft_mask_map(boxes, found.mask_probs, found.scores.amax(1),
                           subject.image.shape[:2])
    highest = float(values.max())
    values = np.clip(enlarge(values.numpy(), subject.size, smooth=True), 0, 1)
    note = 'no candidates' if not len(found) else (
        f'mask times class score of {len(found)} candidates; largest {highest:.2f}')
    return Picture('Soft masks before voting', glow(base_image(subject), values,
                                                    'inferno'),
                   note, ('inferno', 0., 1.))


def best_pairs(output: MNCOutput) -> Tensor:
    """Return which proposals are the best few, one of every heap, best first."""
    count = len(output.objectness)
    best = output.candidates.scores[-count:].amax(1) if count else output.objectness
    heaps = overlapping(output.boxes(-1), output.boxes(-1), PAIR_IOU)
    kept = nms_per_class(heaps, best[:, None], PAIRS)[0].nonzero()[:, 0]
    return kept[best[kept].argsort(descending=True, stable=True)]


@FAMILY.view('refined')
def refined(subject: Subject) -> Picture:
    """Boxes before the bridge, dashed, and after it, whole."""
    found, title = subject.output, 'Boxes before and after the bridge'
    pixels = dark_image(subject)
    if not len(found.objectness):
        return Picture(title, pixels, 'no proposals')
    if found.passes == 1:
        return Picture(title, pixels, 'one pass alone: there is no bridge')
    chosen = best_pairs(found).flip(0)  # the best on top
    colors = instance_colors(len(chosen))[::-1]
    first, last = (picture_boxes(subject, subject.frame.boxes(found.boxes(k)[chosen]))
                   for k in (0, -1))
    full = np.ones(len(chosen))
    pixels = draw_boxes(pixels, first, colors, full, dash=4)
    pixels = draw_boxes(pixels, last, colors, full, 2)
    moved = np.abs(last - first).max() * subject.image.shape[1] / subject.size[1]
    return Picture(title, pixels, f'dashed before, whole after; the best {len(chosen)}; '
                   f'an edge moved by up to {moved:.0f} pixels')


def paint_instances(subject: Subject, instances: InstanceData
                    ) -> Tuple[np.ndarray, int, int]:
    """Return the picture, how many instances have a name in it, how many no pixel.

    Args:
        subject: The image.
        instances: The best first; each pixel has the colour of the best one there.
    """
    colors = instance_colors(len(instances))
    masks = [enlarge(mask.numpy(), subject.size) for mask in instances.masks]
    scores = instances.scores.numpy()
    dark = dark_image(subject)
    pixels = dark.astype(np.float32)
    for mask, color, score in reversed(list(zip(masks, colors, scores))):
        edge = borders(mask, 2)
        for part, (low, high) in ((mask, OPACITY), (edge, LINE)):
            share = low + (high - low) * float(np.clip(score, 0, 1))
            pixels[part] = (1 - share) * dark[part] + share * color
    boxes = picture_boxes(subject, instances.bboxes.double().numpy())
    tags = [Tag(f'{subject.classes[label]} {score:.2f}', box, color)
            for label, score, box, color, mask in zip(
                instances.labels.tolist(), scores, boxes, colors, masks)
            if mask.any()][:NAMES]
    empty = sum(not mask.any() for mask in instances.masks)
    return *draw_tags(np.rint(pixels).astype(np.uint8), tags), int(empty)


def _instance_picture(subject: Subject, instances: InstanceData, title: str,
                      note: str) -> Picture:
    """Draw instances; the note says what of them is not seen."""
    pixels, named, empty = paint_instances(subject, instances)
    if empty:
        note += f'; {empty} without a pixel'
    if named < len(instances) - empty:
        note += f'; {named} named'
    return Picture(title, pixels, note)


@FAMILY.view('voted')
def voted(subject: Subject) -> Picture:
    """All instances after the vote; the better, the more opaque."""
    found = subject.output
    count = len(found.instances)
    note = 'no instances' if not count else (
        f'{count} from {len(found.candidates)} candidates')
    return _instance_picture(subject, found.instances, 'Instances after voting', note)


@FAMILY.view('final')
def final(subject: Subject) -> Picture:
    """The instances whose score is at least 0.5."""
    found = subject.output.instances
    kept = found[found.scores >= FINAL]
    note = f'{len(kept)} of {len(found)}'
    if not len(kept):
        note = 'none' + (f'; the best has {float(found.scores.max()):.2f}'
                         if len(found) else '')
    return _instance_picture(subject, kept, f'Instances of score {FINAL} or more', note)
