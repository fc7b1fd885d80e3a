"""Targets of masks, slow and obvious: one pixel at a time, in fractions.

Written from the equations, sharing no code with the fast path.
"""

import decimal
from fractions import Fraction
from typing import List, Optional, Sequence, Tuple

import torch
from torch import Tensor


def rounded(value: float) -> int:
    """Round to an integer, halves away from zero."""
    return int(decimal.Decimal(value).quantize(decimal.Decimal(1),
                                               decimal.ROUND_HALF_UP))


def pixels_of(roi: Sequence[float]) -> Tuple[range, range]:
    """Return rows and columns of the integer box; empty for turned RoIs."""
    if not all(abs(value) < float('inf') for value in roi):
        return range(0), range(0)
    x1, y1, x2, y2 = (rounded(value) for value in roi)
    return range(y1, y2 + 1), range(x1, x2 + 1)


def resampled(values: List[list], height: int, width: int) -> List[list]:
    """Resample a table of numbers, reading between the centres of pixels."""

    def place(step: int, count: int, length: int) -> Tuple[int, int, Fraction]:
        at = (step + Fraction(1, 2)) * length / count - Fraction(1, 2)
        at = min(max(at, Fraction(0)), Fraction(length - 1))
        return int(at), min(int(at) + 1, length - 1), at - int(at)

    table = []
    for row in range(height):
        top, bottom, v = place(row, height, len(values))
        table.append([])
        for col in range(width):
            left, right, u = place(col, width, len(values[0]))
            upper = (1 - u) * values[top][left] + u * values[top][right]
            lower = (1 - u) * values[bottom][left] + u * values[bottom][right]
            table[-1].append((1 - v) * upper + v * lower)
    return table


def mask_target(gt_masks: Tensor, rois: Tensor, size: int, threshold: float = 0.4,
                gt_index: Optional[Tensor] = None) -> Tensor:
    """Return the targets (R, m, m)."""
    least = Fraction(str(threshold))
    target = torch.zeros(len(rois), size, size)
    for r, roi in enumerate(rois.tolist()):
        rows, cols = pixels_of(roi)
        if not rows or not cols:
            continue
        gt = gt_masks[r if gt_index is None else int(gt_index[r])]
        crop = [[Fraction(int(_at(gt, y, x))) for x in cols] for y in rows]
        target[r] = torch.tensor([[float(value >= least) for value in row]
                                  for row in resampled(crop, size, size)])
    return target


def _at(gt: Tensor, y: int, x: int) -> bool:
    """Whether a pixel belongs to an instance; none outside the image does."""
    return 0 <= y < gt.shape[0] and 0 <= x < gt.shape[1] and bool(gt[y, x] != 0)


def pasted_mask_iou(rois: Tensor, mask_probs: Tensor, gt_masks: Tensor,
                    threshold: float = 0.4,
                    gt_index: Optional[Tensor] = None) -> Tensor:
    """Return intersection over union (R,)."""
    result = []
    for r, roi in enumerate(rois.tolist()):
        gt = gt_masks[r if gt_index is None else int(gt_index[r])]
        rows, cols = pixels_of(roi)
        probs = [[Fraction(value) for value in row] for row in
                 mask_probs[r].reshape(mask_probs.shape[-2:]).tolist()]
        table = resampled(probs, len(rows), len(cols)) if rows and cols else []
        predicted = {(y, x) for y, row in zip(rows, table) for x, value in zip(cols, row)
                     if value >= threshold}
        predicted &= {(y, x) for y in range(gt.shape[0]) for x in range(gt.shape[1])}
        truth = {tuple(at) for at in (gt != 0).nonzero().tolist()}
        union = predicted | truth
        result.append(len(predicted & truth) / len(union) if union else 0.)
    return torch.tensor(result, dtype=torch.float64)


def mask_level_labels(box_labels: Tensor, rois: Tensor, mask_probs: Tensor,
                      gt_masks: Tensor, background: int, mask_iou: float = 0.5,
                      threshold: float = 0.4,
                      gt_index: Optional[Tensor] = None) -> Tensor:
    """Return the labels (R,)."""
    labels = []
    for r, label in enumerate(box_labels.tolist()):
        if label != background:
            owner = r if gt_index is None else int(gt_index[r])
            overlap = pasted_mask_iou(rois[r:r + 1], mask_probs[r:r + 1],
                                      gt_masks[owner:owner + 1], threshold)
            label = label if overlap >= mask_iou else background
        labels.append(label)
    return torch.tensor(labels, dtype=box_labels.dtype)
