"""Bilinear sampling of a map, with gradients to the map and to the coordinates.

The sampler of spatial transformer networks (Jaderberg et al., NIPS 2015, eq. 5)
and of RoI warping (Dai, He, Sun, "Instance-Aware Semantic Segmentation via
Multi-Task Network Cascades", CVPR 2016, eq. 8)::

    V(x, y) = sum_{u, v} k(x - u) k(y - v) F(u, v),      k(t) = max(0, 1 - |t|)

Coordinates are pixels and pixel centres are integers, so that a map of H x W
covers [-.5, W - .5] times [-.5, H - .5]. In the half pixel around the centres of
the outermost pixels a coordinate is clamped to them; beyond, V is 0. Both have
no gradient to that coordinate (beyond: to neither).

Shapes: B batch, C channels, points (B, Ho, Wo, 2) as (x, y).
"""

from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .checks import check_same, check_tensor
from .local_checks import check_device, check_map
from .precision import no_autocast, wide_dtype


def bilinear_sample(features: Tensor, points: Tensor) -> Tensor:
    """Return the values of a map at given points.

    Computed in float32 (float64 where one input is), also under autocast. The
    gradient to the coordinates is exact between pixel centres; on them it is
    that of one side. It can be differentiated once.

    Args:
        features: (B, C, H, W).
        points: (B, Ho, Wo, 2), (x, y) in pixels of the map, centres at integers.
            A point with NaN lies outside.

    Returns:
        (B, C, Ho, Wo) in the format of ``features``.

    Raises:
        TypeError, ValueError: A wrong shape, dtype or device; the message names
            the argument.
    """
    check_map('features', features, '(B, C, H, W)')
    check_tensor('points', points, '(B, Ho, Wo, 2)', 4)
    check_same('points', points.shape, f'features {tuple(features.shape)}',
               (len(features), *points.shape[1:3], 2))
    check_device('points', points, 'features', features)
    wide = wide_dtype(features, points)
    with no_autocast(features.device):
        grid, outside = _grid(points.to(wide), features.shape)
        out = F.grid_sample(features.to(wide), grid, mode='bilinear',
                            padding_mode='border', align_corners=False)
        return out.masked_fill_(outside[:, None], 0).to(features.dtype)


def bilinear_gradients(features: Tensor, points: Tensor, grad: Tensor,
                       wanted: Tuple[bool, bool]
                       ) -> Tuple[Optional[Tensor], Optional[Tensor]]:
    """Return the gradients of :func:`bilinear_sample`, without sampling first.

    Args:
        features, points: As there, both float32 or both float64.
        grad: (B, C, Ho, Wo), of the result; it may be overwritten.
        wanted: Whether that of the features is computed, and that of the points.

    Returns:
        Gradients of features and of points, each None unless wanted.
    """
    grid, outside = _grid(points, features.shape)
    grad = grad.masked_fill_(outside[:, None], 0)
    bilinear, border = 0, 1
    of_features, of_grid = torch.ops.aten.grid_sampler_2d_backward(
        grad, features, grid, bilinear, border, False, [wanted[0], True])
    if not wanted[1]:
        return of_features, None
    scale = 2 / points.new_tensor(features.shape[:1:-1])
    return of_features, (of_grid * scale).masked_fill_(outside[..., None], 0)


def _grid(points: Tensor, shape: Sequence[int]) -> Tuple[Tensor, Tensor]:
    """Return points in the units of ``grid_sample``, and which lie beyond the map."""
    size = points.new_tensor(shape[:1:-1])  # W, H
    outside = ~((points >= -.5) & (points <= size - .5)).all(-1)
    # Filling forgets the coordinates: their gradient is 0, and no NaN.
    return ((2 * points + 1) / size - 1).masked_fill(outside[..., None], 0), outside


def line_weights(positions: Tensor, size: int) -> Tensor:
    """Return k: how much each of ``size`` centres 0, 1, ... counts at positions.

    One axis of the equation above, for points that are clamped to the centres:
    a map is read along it by a product with these weights, exactly where a
    position is an integer.

    Args:
        positions: (...), any shape.
        size: Number of centres.

    Returns:
        (..., size); each row sums to 1.
    """
    centres = torch.arange(size, dtype=positions.dtype, device=positions.device)
    at = positions.clamp(0, size - 1)[..., None]
    return (1 - (at - centres).abs()).clamp(min=0)
