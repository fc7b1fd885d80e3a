"""Pooling with switches, slow and obvious: one window after the other.

Written from the equations, sharing no code with the fast path. Windows do not
overlap and lie inside the map, but for the last ones in ``ceil_mode``.
"""

from typing import Sequence, Tuple

import torch
from torch import Tensor


def pool_with_switches(x: Tensor, kernel_size: int = 2, stride: int = 2,
                       padding: int = 0, ceil_mode: bool = False
                       ) -> Tuple[Tensor, Tensor]:
    """Return maxima and switches (B, C, h, w)."""
    height, width = x.shape[2:]
    rows = _starts(height, kernel_size, stride, padding, ceil_mode)
    cols = _starts(width, kernel_size, stride, padding, ceil_mode)
    pooled = x.new_zeros(*x.shape[:2], len(rows), len(cols))
    switches = torch.zeros_like(pooled, dtype=torch.int64)
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i, top in enumerate(rows):
                for j, left in enumerate(cols):
                    best = None
                    for r in range(max(top, 0), min(top + kernel_size, height)):
                        for s in range(max(left, 0), min(left + kernel_size, width)):
                            if best is None or x[b, c, r, s] > x[b, c, best[0], best[1]]:
                                best = (r, s)
                    pooled[b, c, i, j] = x[b, c, best[0], best[1]]
                    switches[b, c, i, j] = best[0] * width + best[1]
    return pooled, switches


def _starts(size: int, kernel_size: int, stride: int, padding: int,
            ceil_mode: bool) -> Sequence[int]:
    """First pixels of the windows along an axis."""
    starts = []
    start = -padding
    while True:
        whole = start + kernel_size <= size + padding
        if not whole and not (ceil_mode and start < size):
            return starts
        starts.append(start)
        start += stride


def unpool(x: Tensor, switches: Tensor, output_size: Sequence[int]) -> Tensor:
    """Return (B, C, H, W)."""
    height, width = output_size
    out = x.new_zeros(*x.shape[:2], height, width)
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            plane = c if switches.shape[1] > 1 else 0
            for i in range(x.shape[2]):
                for j in range(x.shape[3]):
                    r, s = divmod(int(switches[b, plane, i, j]), width)
                    out[b, c, r, s] = x[b, c, i, j]
    return out
