"""Overlap of boxes, and non-maximum suppression of several classes at once.

Boxes (R, 4) are x1, y1, x2, y2. ``offset`` says how long a box is: x2 - x1 + offset.
With 0 a box is continuous and covers the pixels from x1 to x2, as mmdet's boxes do;
with 1 its corners are pixels, both inclusive, as in PASCAL VOC and in the code of
its time.
"""

import torch
from torch import Tensor

from .checks import check_number, check_same, check_tensor

#: Boxes that are compared with all others at a time.
ROWS = 256


def check_boxes(name: str, boxes: Tensor) -> None:
    """Raise unless these are finite floating boxes (R, 4)."""
    check_tensor(name, boxes, '(R, 4)', 2)
    check_same(name, boxes.shape, 'one row (x1, y1, x2, y2) for each box',
               (len(boxes), 4))
    if not boxes.isfinite().all():
        bad = int((~boxes.isfinite().all(1)).nonzero()[0])
        raise ValueError(f'{name} must be finite; row {bad} is {boxes[bad].tolist()}.')


def check_offset(offset: int) -> None:
    """Raise unless it is 0 or 1."""
    check_number('offset', offset, 0, 1, integer=True)


@torch.no_grad()
def box_iou(boxes: Tensor, others: Tensor, offset: int = 0) -> Tensor:
    """Return the IoU of every box with every other: (R, 4), (S, 4) -> (R, S).

    Computed in float64. Boxes without area, or with corners in the wrong order,
    overlap nothing (with ``offset`` 1 a box of equal corners is one pixel).
    """
    a, b = boxes.double()[:, None], others.double()[None]
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:],
                                                                      b[..., 2:])
    inter = (high - low + offset).clamp(min=0).prod(-1)
    area_a, area_b = ((t[..., 2:] - t[..., :2] + offset).clamp(min=0).prod(-1)
                      for t in (a, b))
    union = area_a + area_b - inter
    return torch.where(union > 0, inter / union.clamp(min=1e-300), 0.)


def overlapping(boxes: Tensor, others: Tensor, iou: float, offset: int = 0,
                reach: bool = False) -> Tensor:
    """Return (R, S) bool: IoU above ``iou``, or at least ``iou`` with ``reach``."""
    parts = (box_iou(part, others, offset) for part in boxes.split(ROWS))
    return torch.cat([part >= iou if reach else part > iou for part in parts])


@torch.no_grad()
def nms_per_class(overlaps: Tensor, scores: Tensor, max_keep: int) -> Tensor:
    """Return which boxes survive greedy suppression, for every class.

    In falling order of score (of equal ones the first box), a box is kept if it
    overlaps no box that was kept.

    Args:
        overlaps: (R, R) bool, which boxes suppress each other.
        scores: (R, N), a column for each class.
        max_keep: The best boxes kept of a class.

    Returns:
        (N, R) bool.
    """
    count, classes = scores.shape
    keep = scores.new_zeros((classes, count), dtype=torch.bool)
    if count == 0 or classes == 0:
        return keep
    order = scores.T.argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1)
    alive, every = torch.ones_like(keep), torch.arange(classes, device=scores.device)
    for _ in range(min(max_keep, count)):
        best_rank, best = rank.masked_fill(~alive, count).min(1)
        found = best_rank < count
        keep[every, best] |= found
        alive &= ~overlaps[best]
        alive[every, best] = False
        if not alive.any():
            break
    return keep
