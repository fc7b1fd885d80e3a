"""Bilinear sampling, slow and obvious: the sum over all pixels of the map.

Written from the equation, sharing no code with the fast path. Every point looks
at all H*W pixels; autograd goes through plain tensor operations.
"""

import torch
from torch import Tensor


def kernel(t: Tensor) -> Tensor:
    """k(t) = max(0, 1 - |t|)."""
    return torch.clamp(1 - t.abs(), min=0)


def sample_point(feature: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the values (C,) of a map (C, H, W) at one point."""
    height, width = feature.shape[1:]
    if not (-.5 <= x <= width - .5 and -.5 <= y <= height - .5):
        return (feature * 0).sum((1, 2))
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    columns = kernel(x - torch.arange(width, dtype=x.dtype))
    rows = kernel(y - torch.arange(height, dtype=y.dtype))
    return (feature * rows[:, None] * columns).sum((1, 2))


def bilinear_sample(features: Tensor, points: Tensor) -> Tensor:
    """Return the values (B, C, Ho, Wo)."""
    maps = []
    for feature, grid in zip(features, points):
        rows = [torch.stack([sample_point(feature, *point) for point in row], 1)
                for row in grid]
        maps.append(torch.stack(rows, 1))
    return torch.stack(maps)
