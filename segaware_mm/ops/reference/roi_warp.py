"""RoI warping and the mask gate, slow and obvious: one point after another.

Written from the equations; shares only the point sampler of
:mod:`segaware_mm.ops.reference.bilinear`.
"""

from typing import Sequence, Tuple

import torch
from torch import Tensor

from .bilinear import sample_point


def warp_boxes(features: Tensor, images: Sequence[int], boxes: Tensor,
               size: Tuple[int, int], sampling: str) -> Tensor:
    """Return (R, C, h, w) for boxes (R, 4) in pixels of the map."""
    height, width = size
    result = []
    for image, (x1, y1, x2, y2) in zip(images, boxes):
        cells = []
        for row in range(height):
            for column in range(width):
                if sampling == 'center':
                    x = x1 + (column + .5) / width * (x2 - x1) - .5
                    y = y1 + (row + .5) / height * (y2 - y1) - .5
                else:
                    x = x1 + column / width * (x2 - x1)
                    y = y1 + row / height * (y2 - y1)
                cells.append(sample_point(features[image], x, y))
        result.append(torch.stack(cells, 1).view(-1, height, width))
    if not result:  # nothing, and still a function of both
        return (features.sum() + boxes.sum()) * features.new_zeros(
            0, features.shape[1], height, width)
    return torch.stack(result)


def mask_gate(roi_features: Tensor, mask_probs: Tensor,
              align: str = 'center') -> Tensor:
    """Return (R, C, h, w)."""
    height, width = roi_features.shape[2:]
    rows, columns = mask_probs.shape[2:]
    half = .5 if align == 'center' else 0.
    out = torch.zeros_like(roi_features)
    for r in range(len(roi_features)):
        for k in range(height):
            for j in range(width):
                y = min(max((k + half) * rows / height - half, 0), rows - 1)
                x = min(max((j + half) * columns / width - half, 0), columns - 1)
                m = sample_point(mask_probs[r], *mask_probs.new_tensor([x, y]))
                out[r, :, k, j] = roi_features[r, :, k, j] * m
    return out
