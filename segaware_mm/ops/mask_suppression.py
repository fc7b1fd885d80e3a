"""Non-maximum suppression by the overlap of masks (Hariharan et al., "Simultaneous
Detection and Segmentation", ECCV 2014, section 3.4).

Shapes: K masks of H x W.
"""

from typing import Sequence

import torch
from torch import Tensor

from .checks import check_number, check_same, check_tensor
from .local_checks import check_device
from .mask_extent import mask_extents

#: Pixels of masks that are counted at a time: 4 MB, which caches hold.
ELEMENTS = 1 << 20


@torch.no_grad()
def mask_nms(masks: Tensor, scores: Tensor, iou_threshold: float = 0.) -> Tensor:
    """Return the masks that greedy suppression keeps.

    In falling order of score (of equal ones the first), a mask is kept if its
    IoU with every kept mask is at most the threshold. Pixels are counted only
    for pairs whose boxes and areas allow more than that, and only in the box of
    the kept mask; beside K x K numbers a few MB are used. An empty mask
    overlaps nothing.

    Args:
        masks: (K, H, W) bool.
        scores: (K,).
        iou_threshold: In [0, 1]; SDS reports its best results with 0.

    Returns:
        (K',) int64, the indices of the kept masks in falling order of score.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or value; the
            message names the argument.
    """
    if not isinstance(masks, Tensor) or masks.dtype != torch.bool:
        got = masks.dtype if isinstance(masks, Tensor) else type(masks).__name__
        raise TypeError(f'masks must be a bool tensor, got {got}; compare soft masks '
                        'with a threshold first.')
    if masks.dim() != 3:
        raise ValueError(f'masks must have shape (K, H, W), got {tuple(masks.shape)}.')
    check_tensor('scores', scores, '(K,)', 1)
    check_same('scores', scores.shape, f'masks {tuple(masks.shape)}', (len(masks), ))
    check_device('scores', scores, 'masks', masks)
    check_number('iou_threshold', iou_threshold, 0, 1)
    if scores.isnan().any():
        raise ValueError('scores must be numbers; they hold NaN.')
    order = scores.argsort(descending=True, stable=True)
    extents = mask_extents(masks)
    boxes = extents.tolist()
    areas = _areas(masks, boxes)
    possible = _bound(extents, areas) > iou_threshold
    alive = torch.ones(len(masks), dtype=torch.bool, device=masks.device)
    later = alive.clone()
    keep = []
    for k in order.tolist():
        later[k] = False
        if not alive[k]:
            continue
        keep.append(k)
        rest = (alive & later & possible[k]).nonzero()[:, 0]
        inter = _intersections(masks, k, rest, boxes[k])
        union = areas[k] + areas[rest] - inter
        alive[rest[inter / union > iou_threshold]] = False
    return torch.tensor(keep, dtype=torch.int64, device=masks.device)


def _areas(masks: Tensor, boxes: Sequence[Sequence[int]]) -> Tensor:
    """Return the pixels of every mask, float64."""
    counts = [mask[top:bottom, left:right].count_nonzero()
              for mask, (top, left, bottom, right) in zip(masks, boxes)]
    return torch.stack(counts).double() if counts else masks.new_zeros(0).double()


def _bound(boxes: Tensor, areas: Tensor) -> Tensor:
    """Return (K, K): no IoU is larger than this."""
    a, b = boxes[:, None], boxes[None]
    side = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    most = torch.minimum(areas[:, None], areas[None])
    inter = torch.minimum(side.clamp(min=0).prod(-1).double(), most)
    union = areas[:, None] + areas[None] - inter
    return torch.where(union > 0, inter / union.clamp(min=1), 0.)


def _intersections(masks: Tensor, k: int, rest: Tensor, box: Sequence[int]) -> Tensor:
    """Return the pixels that mask k shares with others, float64."""
    top, left, bottom, right = box
    one = masks[k, top:bottom, left:right]
    step = max(1, ELEMENTS // max(1, one.numel()))
    counts = [(masks[part, top:bottom, left:right] & one).sum((1, 2), dtype=torch.int32)
              for part in rest.split(step)]
    return torch.cat(counts).double()
