"""Which pixels the taps of a window read: the geometry that all local operators share.

A window of K x K taps (K odd, P = K*K in row-major order, tap P//2 the centre)
at ``dilation`` d stands on every ``stride``-th pixel s. Tap (i, j) of the
output pixel (r, c) reads the pixel

    (r*s + (i - K//2)*d,  c*s + (j - K//2)*d)

of an H x W map, if it is there. That is a convolution with "same" padding
d*(K//2): Ho = ceil(H / s), Wo = ceil(W / s).
"""

from typing import Iterator, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .checks import check_number


class Tap(NamedTuple):
    """The part of the map in which one tap has something to read.

    Attributes:
        index: Number of the tap, 0..P-1.
        rows: Output rows, counted from the first row asked for.
        cols: Output columns.
        source_rows: Input rows that they read.
        source_cols: Input columns that they read.
        any: False where no output reads a pixel; then all slices are empty.
    """

    index: int
    rows: slice
    cols: slice
    source_rows: slice
    source_cols: slice
    any: bool


def check_window(kernel_size: int, dilation: int = 1, stride: int = 1) -> None:
    """Raise unless the three are integers of at least 1 and the size is odd."""
    check_number('kernel_size', kernel_size, 1, integer=True)
    if kernel_size % 2 == 0:
        raise ValueError('kernel_size must be odd, so that a window has a centre '
                         f'pixel; got {kernel_size}.')
    check_number('dilation', dilation, 1, integer=True)
    check_number('stride', stride, 1, integer=True)


def output_size(height: int, width: int, stride: int = 1) -> Tuple[int, int]:
    """Return (Ho, Wo)."""
    return -(-height // stride), -(-width // stride)


def _reach(offset: int, size: int, stride: int, first: int,
           stop: int) -> Tuple[slice, slice]:
    """Outputs of [first, stop) whose tap is in the map, and what they read."""
    low = max(first, -(offset // stride))
    high = min(stop, (size - 1 - offset) // stride + 1)
    if high <= low:
        return slice(0, 0), slice(0, 0)
    source = low * stride + offset
    return (slice(low - first, high - first),
            slice(source, source + (high - low - 1) * stride + 1, stride))


def window_taps(height: int,
                width: int,
                kernel_size: int,
                dilation: int = 1,
                stride: int = 1,
                first: int = 0,
                stop: Optional[int] = None) -> Iterator[Tap]:
    """Yield the taps of a window in order.

    Args:
        height: H of the map that is read.
        width: W.
        kernel_size: K, odd.
        dilation: Pixels from tap to tap.
        stride: Pixels from window to window.
        first: First output row wanted.
        stop: One past the last output row wanted; all where None.
    """
    out_height, out_width = output_size(height, width, stride)
    stop = out_height if stop is None else stop
    for index in range(kernel_size * kernel_size):
        i, j = divmod(index, kernel_size)
        rows, source_rows = _reach((i - kernel_size // 2) * dilation, height,
                                   stride, first, stop)
        cols, source_cols = _reach((j - kernel_size // 2) * dilation, width,
                                   stride, 0, out_width)
        if rows.stop == 0 or cols.stop == 0:
            nothing = slice(0, 0)
            yield Tap(index, nothing, nothing, nothing, nothing, False)
        else:
            yield Tap(index, rows, cols, source_rows, source_cols, True)


def inside_map(height: int,
               width: int,
               kernel_size: int,
               dilation: int = 1,
               stride: int = 1,
               device: Optional[torch.device] = None) -> Tensor:
    """Return (P, Ho, Wo) bool: whether a tap reads a pixel of the map."""
    axes = []
    offsets = torch.arange(kernel_size, device=device) - kernel_size // 2
    for size, outputs in zip((height, width), output_size(height, width, stride)):
        places = torch.arange(outputs, device=device) * stride
        at = offsets[:, None] * dilation + places
        axes.append((at >= 0) & (at < size))  # (K, outputs)
    inside = axes[0][:, None, :, None] & axes[1][None, :, None, :]
    return inside.flatten(0, 1)


def row_bands(rows: int, elements_per_row: int,
              elements: int) -> Iterator[Tuple[int, int]]:
    """Cut ``rows`` rows into bands of about ``elements`` elements.

    Yields:
        First row and one past the last row of each band; at least one row.
    """
    step = max(1, elements // max(1, elements_per_row))
    for first in range(0, rows, step):
        yield first, min(rows, first + step)
