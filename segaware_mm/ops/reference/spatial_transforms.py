"""Transforms of the plane, slow and obvious: one point after another.

Written from the equations, sharing no code with the fast path.
"""

from typing import List, Optional, Tuple

import torch
from torch import Tensor


def transform_points(params: Tensor, points: Tensor, transform: str = 'affine',
                     control_points: Optional[Tensor] = None) -> Tensor:
    """Return (B, h, w, 2)."""
    height, width = points.shape[:2]
    result = []
    for one in params:
        if transform == 'tps':
            spline = [solve_spline(one[axis::2], control_points) for axis in (0, 1)]
        for row in range(height):
            for column in range(width):
                x, y = points[row, column]
                if transform == 'affine':
                    a, b, tx, c, d, ty = one
                    moved = a * x + b * y + tx, c * x + d * y + ty
                elif transform == 'attention':
                    s, tx, ty = one
                    moved = s * x + tx, s * y + ty
                elif transform == 'projective':
                    h = one
                    depth = h[6] * x + h[7] * y + 1
                    moved = ((h[0] * x + h[1] * y + h[2]) / depth,
                             (h[3] * x + h[4] * y + h[5]) / depth)
                else:
                    moved = tuple(read_spline(s, control_points, x, y) for s in spline)
                result.append(torch.stack(moved))
    return torch.stack(result).view(len(params), height, width, 2)


def bending(x: Tensor, y: Tensor, centre: Tensor) -> Tensor:
    """U(r) = r^2 log r^2."""
    squared = (x - centre[0])**2 + (y - centre[1])**2
    return squared * torch.log(squared) if squared > 0 else squared * 0


def solve_spline(values: Tensor, control_points: Tensor) -> List[Tensor]:
    """Return w_1..w_K, a0, a1, a2 of one coordinate."""
    count = len(control_points)
    rows = []
    for i in range(count):  # the spline takes every control point to its value
        x, y = control_points[i]
        rows.append([bending(x, y, c) for c in control_points] + [x * 0 + 1, x, y])
    for side in (lambda c: c[0] * 0 + 1, lambda c: c[0], lambda c: c[1]):
        zero = values[0] * 0
        rows.append([side(c) for c in control_points] + [zero, zero, zero])
    system = torch.stack([torch.stack(row) for row in rows])
    right = torch.cat((values, values.new_zeros(3)))
    return list(torch.linalg.inv(system) @ right)


def read_spline(solved: List[Tensor], control_points: Tensor, x: Tensor,
                y: Tensor) -> Tensor:
    """Return f(x, y)."""
    count = len(control_points)
    a0, a1, a2 = solved[count:]
    value = a0 + a1 * x + a2 * y
    for w, centre in zip(solved, control_points):
        value = value + w * bending(x, y, centre)
    return value


def to_pixels(point: Tuple[float, float], size: Tuple[int, int],
              align_corners: bool) -> Tuple[float, float]:
    """Return a point of [-1, 1] in pixels of a map (H, W)."""
    pixels = []
    for at, extent in zip(point, size[::-1]):
        first, last = (0, extent - 1) if align_corners else (-.5, extent - .5)
        pixels.append(first + (at + 1) / 2 * (last - first))
    return pixels[0], pixels[1]
