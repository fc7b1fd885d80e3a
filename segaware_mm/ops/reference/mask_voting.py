"""Mask pasting, mask voting and mask suppression, slow and obvious.

Written from the equations in plain Python: one pixel after another on a canvas of
the whole image, one pair of boxes or masks after another. Shares no code with the
fast path. Numbers are Python's floats.
"""

import math
from typing import List, Sequence, Tuple

import torch
from torch import Tensor

#: As in the fast path: a sum that misses a threshold by rounding reaches it.
ROUNDING = 1e-6


def read_mask(mask: List[List[float]], y: float, x: float) -> float:
    """Return the mask at a point, between cells bilinear, clamped to them."""
    rows, columns = len(mask), len(mask[0])
    y, x = min(max(y, 0), rows - 1), min(max(x, 0), columns - 1)
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
    b, a = y - top, x - left
    return ((1 - b) * ((1 - a) * mask[top][left] + a * mask[top][right])
            + b * ((1 - a) * mask[bottom][left] + a * mask[bottom][right]))


def soft_paste(mask_probs: Tensor, boxes: Tensor, image_size: Tuple[int, int],
               offset: int = 1) -> Tensor:
    """Return the pasted masks (R, H, W), float64."""
    height, width = image_size
    out = torch.zeros(len(boxes), height, width, dtype=torch.float64)
    for r, (x1, y1, x2, y2) in enumerate(boxes.double().tolist()):
        mask = mask_probs[r].double().tolist()
        x2, y2 = x2 + offset, y2 + offset
        for i in range(height):
            for j in range(width):
                if y1 <= i + .5 < y2 and x1 <= j + .5 < x2:
                    y = (i + .5 - y1) / (y2 - y1) * len(mask) - .5
                    x = (j + .5 - x1) / (x2 - x1) * len(mask[0]) - .5
                    out[r, i, j] = read_mask(mask, y, x)
    return out


def box_iou(a: Sequence[float], b: Sequence[float], offset: int) -> float:
    """Return the IoU of two boxes."""
    def area(x1: float, y1: float, x2: float, y2: float) -> float:
        return max(x2 - x1 + offset, 0) * max(y2 - y1 + offset, 0)

    inter = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    union = area(*a) + area(*b) - inter
    return inter / union if union > 0 else 0.


def box_nms(boxes: List[List[float]], scores: List[float], iou: float, most: int,
            offset: int) -> List[int]:
    """Return the boxes that greedy suppression keeps, best first."""
    keep: List[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(box_iou(boxes[i], boxes[k], offset) <= iou for k in keep):
            keep.append(i)
    return keep[:most]


def mask_voting(boxes: Tensor, mask_probs: Tensor, scores: Tensor,
                image_size: Tuple[int, int], nms_iou: float = 0.3,
                merge_iou: float = 0.5, mask_threshold: float = 0.4,
                max_per_image: int = 100, offset: int = 1, vote: bool = True,
                soft: bool = True):
    """Return masks, boxes, scores, labels and indices, best first."""
    height, width = image_size
    rows, table = boxes.double().tolist(), scores.double().tolist()
    classes = scores.shape[1]
    found = []
    for c in range(classes):
        column = [row[c] for row in table]
        for i in box_nms(rows, column, nms_iou, max_per_image, offset):
            found.append((-column[i], c, i))
    found = sorted(found)[:max_per_image]
    pasted = soft_paste(mask_probs, boxes, image_size, offset)
    if not soft:
        pasted = (pasted >= mask_threshold - ROUNDING).double()
    masks, tight = [], []
    for _, c, k in found:
        voters = [i for i in range(len(rows)) if i == k or (
            vote and box_iou(rows[i], rows[k], offset) >= merge_iou)]
        total = sum(table[i][c] for i in voters)
        votes = torch.zeros(height, width, dtype=torch.float64)
        for i in voters:
            votes += pasted[i] * (table[i][c] / total if total > 0 else 1 / len(voters))
        mask = votes >= mask_threshold - ROUNDING
        masks.append(mask)
        y, x = torch.nonzero(mask, as_tuple=True)
        tight.append([x.min(), y.min(), x.max() + 1 - offset, y.max() + 1 - offset]
                     if len(y) else [width / 2, height / 2] * 2)
    return (torch.stack(masks), torch.tensor(tight, dtype=torch.float64),
            torch.tensor([-s for s, _, _ in found], dtype=torch.float64),
            torch.tensor([c for _, c, _ in found]),
            torch.tensor([k for _, _, k in found]))


def mask_nms(masks: Tensor, scores: Tensor, iou_threshold: float = 0.) -> List[int]:
    """Return the masks that greedy suppression keeps, best first."""
    keep: List[int] = []
    order = sorted(range(len(masks)), key=lambda i: -float(scores[i]))
    for i in order:
        for k in keep:
            union = int((masks[i] | masks[k]).sum())
            if union and int((masks[i] & masks[k]).sum()) / union > iou_threshold:
                break
        else:
            keep.append(i)
    return keep
