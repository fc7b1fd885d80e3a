"""Mask voting of multi-task network cascades (Dai, He, Sun, CVPR 2016, section 5).

Many candidates (box, soft mask, class scores p) tell of one object. Suppression
picks which box stands for it; then all candidates around that box vote on its mask::

    1. per class c: boxes suppressed at IoU nms_iou, the best max_per_image kept
    2. over classes: the max_per_image best survivors k, with their class c
    3. S = {i : IoU(box_i, box_k) >= merge_iou},  w_i = p_ic / sum over S of p_ic
       V = sum over S of w_i paste(mask_i)
    4. mask of k: V >= mask_threshold; box of k: the tight box of it; score: p_kc

Steps 1 and 3 look at all R candidates, whatever their scores. V is computed in the
box that holds the members of S alone, by products of matrices
(:mod:`segaware_mm.ops.mask_paste`), so that no member's pasted mask exists.

Shapes: R candidates, N classes without background, masks of m x m, H x W the image,
K survivors.
"""

from typing import NamedTuple, Sequence, Tuple

import torch
from torch import Tensor

from .box_overlap import nms_per_class, overlapping
from .checks import check_number, check_same, check_tensor
from .local_checks import check_device
from .mask_extent import mask_extents
from .mask_paste import (
    Window,
    check_paste,
    paste_masks,
    put,
    reaches,
    soft_paste,
    union,
    weighted_paste,
    windows,
)
from .mask_suppression import mask_nms
from .precision import wide_dtype

__all__ = ['VotedInstances', 'mask_nms', 'mask_voting', 'paste_masks', 'soft_paste']


class VotedInstances(NamedTuple):
    """The instances of an image, in falling order of score.

    Attributes:
        masks: (K, H, W) bool.
        boxes: (K, 4), tight boxes of the masks in the convention of the input;
            of an empty mask (W / 2, H / 2) twice, the centre of the image.
        scores: (K,).
        labels: (K,) int64, 0..N-1.
        indices: (K,) int64, the candidates that survived; one may stand for
            several classes.
    """

    masks: Tensor
    boxes: Tensor
    scores: Tensor
    labels: Tensor
    indices: Tensor


@torch.no_grad()
def mask_voting(boxes: Tensor,
                mask_probs: Tensor,
                scores: Tensor,
                image_size: Sequence[int],
                nms_iou: float = 0.3,
                merge_iou: float = 0.5,
                mask_threshold: float = 0.4,
                max_per_image: int = 100,
                *,
                offset: int = 1,
                vote: bool = True,
                soft: bool = True) -> VotedInstances:
    """Return the instances that the candidates of one image vote for.

    Args:
        boxes: (R, 4): x1, y1, x2, y2 in pixels of the image, clipped to it; the
            boxes the masks were made from. R may be 0.
        mask_probs: (R, m, m), soft.
        scores: (R, N), not negative, without background.
        image_size: (H, W).
        nms_iou: A box is suppressed by a better one at an IoU above this.
        merge_iou: Candidates vote from this IoU with the survivor on.
        mask_threshold: A pixel belongs to the mask if V reaches this (but for
            rounding, 1e-6).
        max_per_image: Instances at most, per class and in all; of equal scores
            the lower class, then the lower index comes first.
        offset: Length of a box is x2 - x1 + offset, in suppression, in pasting
            and in the boxes that are returned. 1: corners are inclusive pixels,
            as published for this method (and by its released code). 0:
            continuous boxes, as mmdet's.
        vote: False for the survivor's own mask alone, without the vote.
        soft: False to binarise every mask at ``mask_threshold`` before the vote,
            as one of the two released implementations does. Slower.

    Returns:
        :class:`VotedInstances`. No gradient.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or value; the
            message names the argument.
    """
    size = check_paste(mask_probs, boxes, image_size, offset)
    _check_scores(scores, boxes)
    for name, value in (('nms_iou', nms_iou), ('merge_iou', merge_iou),
                        ('mask_threshold', mask_threshold)):
        check_number(name, value, 0, 1)
    check_number('max_per_image', max_per_image, 1, integer=True)
    labels, indices = _survivors(boxes, scores, nms_iou, max_per_image, offset)
    members = indices[:, None] == torch.arange(len(boxes), device=boxes.device)
    if vote:
        # A box without area has IoU 0 with itself, and votes all the same.
        members |= overlapping(boxes[indices], boxes, merge_iou, offset, reach=True)
    masks = torch.zeros(len(indices), *size, dtype=torch.bool, device=boxes.device)
    places = windows(boxes, size, offset)
    wide = scores.to(wide_dtype(mask_probs, scores))
    members_of = _rows(members)
    for k, label in enumerate(labels.tolist()):
        voters = members_of[k]
        window = union([places[i] for i in voters.tolist()])
        weights = _shares(wide[voters, label])
        candidates = mask_probs[voters], boxes[voters], weights, window, offset
        votes = weighted_paste(*candidates) if soft else _hard_votes(
            *candidates, mask_threshold)
        put(masks[k], window, reaches(votes, mask_threshold))
    return VotedInstances(masks, _tight_boxes(masks, boxes, offset),
                          scores[indices, labels], labels, indices)


def _survivors(boxes: Tensor, scores: Tensor, nms_iou: float, most: int,
               offset: int) -> Tuple[Tensor, Tensor]:
    """Return labels (K,) and indices (K,) of the best survivors, best first."""
    overlaps = overlapping(boxes, boxes, nms_iou, offset)
    labels, indices = nms_per_class(overlaps, scores, most).nonzero(as_tuple=True)
    best = scores[indices, labels].argsort(descending=True, stable=True)[:most]
    return labels[best], indices[best]


def _rows(members: Tensor) -> Tuple[Tensor, ...]:
    """Return, for every row, the columns that are set."""
    return members.nonzero()[:, 1].split(members.sum(1).tolist())


def _shares(scores: Tensor) -> Tensor:
    """Return scores over their sum; equal shares where all are 0."""
    total = scores.sum()
    return torch.where(total > 0, scores / total.clamp(min=1e-38),
                       torch.full_like(scores, 1 / len(scores)))


def _hard_votes(mask_probs: Tensor, boxes: Tensor, weights: Tensor, window: Window,
                offset: int, threshold: float) -> Tensor:
    """Return the weighted sum of masks that were pasted and binarised."""
    total = weights.new_zeros(window.bottom - window.top, window.right - window.left)
    one = torch.ones_like(weights[:1])
    for i, weight in enumerate(weights):
        pasted = weighted_paste(mask_probs[i:i + 1], boxes[i:i + 1], one, window, offset)
        total += reaches(pasted, threshold) * weight
    return total


def _tight_boxes(masks: Tensor, boxes: Tensor, offset: int) -> Tensor:
    """Return (K, 4), in the format and the convention of the boxes."""
    top, left, bottom, right = mask_extents(masks).unbind(1)
    tight = torch.stack((left, top, right - offset, bottom - offset), 1).to(boxes.dtype)
    height, width = masks.shape[1:]
    centre = tight.new_tensor([width / 2, height / 2] * 2)
    return torch.where((bottom > 0)[:, None], tight, centre)


def _check_scores(scores: Tensor, boxes: Tensor) -> None:
    check_tensor('scores', scores, '(R, N)', 2)
    check_same('scores', scores.shape, f'boxes {tuple(boxes.shape)}',
               (len(boxes), scores.shape[1]))
    check_device('scores', scores, 'boxes', boxes)
    if not (scores.isfinite() & (scores >= 0)).all():
        raise ValueError('scores must be probabilities, finite and not negative; '
                         f'the least is {scores.min().item():g}, the largest '
                         f'{scores.max().item():g}.')
