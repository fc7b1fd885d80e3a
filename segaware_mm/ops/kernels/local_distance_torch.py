"""Distances in a window in plain torch: any device, no E*P*H*W tensor.

Pairs are differenced a tap and a band of rows at a time; the backward pass does
it again. With stride 1, d(p, q) = d(q, p) and the window is its own mirror
image: the first P//2 taps give the others, forward and backward, which halves
the time.
"""

from typing import Any, Iterator, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..compiling import opaque
from ..precision import no_autocast
from ..windows import Tap, output_size, row_bands, window_taps

#: Elements of a difference held at a time.
ELEMENTS = 1 << 20


def pair_distance(a: Tensor, b: Tensor, norm: str) -> Tensor:
    """Return the distance along axis 1 of two (B, E, h, w) tensors."""
    gap = a - b
    if norm == 'l1':
        return gap.abs_().sum(1)
    total = gap.square_().sum(1)
    return total.sqrt_() if norm == 'l2' else total.mul_(0.5)


def pair_gradient(a: Tensor, b: Tensor, norm: str, scale: Tensor) -> Tensor:
    """Return scale * d distance / d a, (B, E, h, w); d b is its negative.

    Args:
        a: (B, E, h, w) one pixel of every pair.
        b: (B, E, h, w) the other one.
        norm: ``'l1'``: the sign, 0 at 0. ``'l2'``: the unit vector, 0 at 0.
            ``'sq'``: the difference.
        scale: (B, h, w) factor.
    """
    gap = a - b
    if norm == 'l1':
        return gap.sign_().mul_(scale.unsqueeze(1))
    if norm == 'l2':
        length = gap.square().sum(1).sqrt_()
        scale = (scale / length).masked_fill_(length == 0, 0)
    return gap.mul_(scale.unsqueeze(1))


def pairs_at(shape: torch.Size, kernel_size: int, dilation: int, stride: int,
             half: bool) -> Iterator[Tuple[Tap, Tuple, Tuple]]:
    """Yield (tap, windows, neighbours): indices of a (..., H, W) map, band by band.

    The tap's ``rows`` are those of the whole output. The centre is left out;
    with ``half`` so is all that comes after it (stride 1).
    """
    batch, channels, height, width = shape
    out_height, out_width = output_size(height, width, stride)
    for first, stop in row_bands(out_height, batch * channels * out_width,
                                 ELEMENTS):
        for tap in window_taps(height, width, kernel_size, dilation, stride,
                               first, stop):
            if half and tap.index == kernel_size**2 // 2:
                break
            if not tap.any or tap.index == kernel_size**2 // 2:
                continue
            tap = tap._replace(
                rows=slice(first + tap.rows.start, first + tap.rows.stop))
            yield (tap, (..., _strided(tap.rows, stride), _strided(tap.cols, stride)),
                   (..., tap.source_rows, tap.source_cols))


def _strided(outputs: slice, stride: int) -> slice:
    """Where windows stand on the map."""
    return slice(outputs.start * stride, (outputs.stop - 1) * stride + 1, stride)


class _LocalDistance(torch.autograd.Function):
    """(B, E, H, W) -> (B, P, Ho, Wo); saves the embedding alone."""

    @staticmethod
    def forward(ctx: Any, embedding: Tensor, kernel_size: int, dilation: int,
                stride: int, norm: str) -> Tensor:
        ctx.save_for_backward(embedding)
        ctx.options = (kernel_size, dilation, stride, norm)
        batch, _, height, width = embedding.shape
        half = stride == 1
        last = kernel_size**2 - 1
        out = embedding.new_zeros(batch, last + 1,
                                  *output_size(height, width, stride))
        with no_autocast(embedding.device):
            for tap, here, there in pairs_at(embedding.shape, kernel_size,
                                             dilation, stride, half):
                distance = pair_distance(embedding[here], embedding[there], norm)
                out[:, tap.index, tap.rows, tap.cols] = distance
                if half:
                    out[:, last - tap.index][there] = distance
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple:  # type: ignore[override]
        embedding, = ctx.saved_tensors
        kernel_size, dilation, stride, norm = ctx.options
        half = stride == 1
        last = kernel_size**2 - 1
        result = torch.zeros_like(embedding)
        with no_autocast(embedding.device):
            for tap, here, there in pairs_at(embedding.shape, kernel_size,
                                             dilation, stride, half):
                scale = grad[:, tap.index, tap.rows, tap.cols]
                if half:
                    scale = scale + grad[:, last - tap.index][there]
                share = pair_gradient(embedding[here], embedding[there], norm,
                                      scale)
                result[here] += share
                result[there] -= share
        return result, None, None, None, None


@opaque
def local_distance(embedding: Tensor, kernel_size: int, dilation: int,
                   stride: int, norm: str) -> Tensor:
    """Return the distances (B, P, Ho, Wo) of a float32 or float64 embedding."""
    return _LocalDistance.apply(embedding, kernel_size, dilation, stride, norm)
