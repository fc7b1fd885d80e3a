"""The largest boundary value strictly between two pixels (RANet, D_ij).

Two line systems over a raster map; both leave the two endpoints out, so a
pixel and its eight neighbours have nothing between them (D = 0):

* ``interpolated``: step along the major axis (the larger displacement, x on
  ties); the minor coordinate is real, and the sample interpolates linearly
  between the two pixels it falls between. Symmetric in start and end.
* ``tree``: consistent digital rays. The line to displacement d is the line to
  ``pred(d)`` plus ``pred(d)``, where pred takes one step off the major axis
  and, when ``minor > major * vdc(major)``, one off the minor axis; ``vdc`` is
  the base-2 van der Corput sequence. Not symmetric, within 2 pixels of the
  true line up to offset 96, and prefix-closed, which interpolated lines are
  not.

Coordinates are computed in integers, so the sample set of a pair does not
depend on the direction and no rounding can move it to another pixel.

Shapes: B batch, H x W map, N = H*W positions in raster order, M pairs.
"""

from functools import lru_cache
from typing import Tuple

import torch
from torch import Tensor

LINES = ('interpolated', 'tree')


@lru_cache(maxsize=None)
def van_der_corput(n: int) -> float:
    """Return the n-th element of the base-2 van der Corput sequence, in [0, 1)."""
    value, place = 0.0, 0.5
    while n:
        value += place * (n & 1)
        n >>= 1
        place /= 2
    return value


def max_along_lines(boundary: Tensor, start: Tensor, end: Tensor, width: int,
                    line: str = 'interpolated') -> Tensor:
    """Return the largest boundary value between given pairs of pixels.

    The first of equal maxima, seen from the start, receives the gradient.

    Args:
        boundary: (N,) boundary probabilities of one map, raster order.
        start: (M,) int64 positions.
        end: (M,) int64 positions.
        width: W of the map.
        line: ``'interpolated'`` or ``'tree'``.

    Returns:
        (M,) tensor; 0 where nothing lies between. Differentiable in
        ``boundary``. Work M * max(H, W), memory a few tensors of M.
    """
    y0, x0 = start // width, start % width
    dy, dx = end // width - y0, end % width - x0
    x_major = dx.abs() >= dy.abs()
    major = torch.where(x_major, dx, dy)
    minor = torch.where(x_major, dy, dx)
    walk = _walk_interpolated if line == 'interpolated' else _walk_tree
    # The walk finds which sample wins; only that one enters the graph.
    with torch.no_grad():
        low, high, weight, found = walk(boundary.detach(), y0, x0, major, minor,
                                        x_major, width)
    sample = (1 - weight) * boundary[low] + weight * boundary[high]
    return torch.where(found, sample, torch.zeros_like(sample))


def _position(y0: Tensor, x0: Tensor, along: Tensor, across: Tensor,
              x_major: Tensor, width: int) -> Tensor:
    """Raster index of the pixel that many steps along and across the major axis."""
    y = y0 + torch.where(x_major, across, along)
    x = x0 + torch.where(x_major, along, across)
    return y * width + x


# Taps of the winning samples: lower and upper pixel, weight of the upper one,
# and whether there is any (a sample of 0 wins nothing).
Taps = Tuple[Tensor, Tensor, Tensor, Tensor]


def _walk_interpolated(boundary: Tensor, y0: Tensor, x0: Tensor, major: Tensor,
                       minor: Tensor, x_major: Tensor, width: int) -> Taps:
    steps = major.abs()
    sign = major.sign()
    best = boundary.new_zeros(major.shape)
    best_low = best_high = torch.zeros_like(major)
    best_weight = torch.zeros_like(best)
    nothing = torch.zeros_like(major)
    length = steps.clamp(min=1)
    last = int(steps.max()) if steps.numel() else 0
    for t in range(1, last):
        inside = t < steps
        lower = torch.div(t * minor, length, rounding_mode='floor')
        rest = t * minor - lower * length
        weight = rest.to(boundary.dtype) / length.to(boundary.dtype)
        # Where rest is 0 the upper pixel may lie outside the map; its weight
        # is 0, so the lower one will do.
        upper = lower + (rest > 0)
        along = torch.where(inside, sign * t, nothing)
        low = _position(y0, x0, along, torch.where(inside, lower, nothing),
                        x_major, width)
        high = _position(y0, x0, along, torch.where(inside, upper, nothing),
                         x_major, width)
        sample = (1 - weight) * boundary[low] + weight * boundary[high]
        wins = inside & (sample > best)
        best = torch.where(wins, sample, best)
        best_low = torch.where(wins, low, best_low)
        best_high = torch.where(wins, high, best_high)
        best_weight = torch.where(wins, weight, best_weight)
    return best_low, best_high, best_weight, best > 0


def _walk_tree(boundary: Tensor, y0: Tensor, x0: Tensor, major: Tensor,
               minor: Tensor, x_major: Tensor, width: int) -> Taps:
    steps, across = major.abs(), minor.abs()
    sign, side = major.sign(), minor.sign()
    best = boundary.new_zeros(major.shape)
    best_at = nothing = torch.zeros_like(major)
    last = int(steps.max()) if steps.numel() else 0
    # From the end back to the start: pred is known there, and '>=' gives the
    # gradient to the maximum nearest to the start.
    for n in range(last, 1, -1):
        inside = n <= steps
        across = torch.where(inside & (across > n * van_der_corput(n)),
                             across - 1, across)
        at = _position(y0, x0, torch.where(inside, sign * (n - 1), nothing),
                       torch.where(inside, side * across, nothing), x_major,
                       width)
        sample = boundary[at]
        wins = inside & (sample >= best) & (sample > 0)
        best = torch.where(wins, sample, best)
        best_at = torch.where(wins, at, best_at)
    return best_at, best_at, torch.zeros_like(best), best > 0
