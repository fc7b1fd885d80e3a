"""Sum of a window's pixels under a mask that all channels share: any device.

y_p = sum_t m_t(p) x(p + t), tap by tap into bands of rows that stay in a cache;
nothing of size P*C*H*W exists. The backward pass reads the inputs again.
"""

from typing import Any, Iterator, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..compiling import opaque
from ..precision import HALF, no_autocast, widened
from ..windows import Tap, row_bands, window_taps

#: Elements of a band.
ELEMENTS = 1 << 18


def _taps(x: Tensor, mask: Tensor, dilation: int) -> Iterator[Tuple[Tap, Tuple, Tuple]]:
    """Yield (tap, outputs, inputs): indices of (..., H, W) maps, band by band."""
    batch, channels, height, width = x.shape
    kernel_size = round(mask.shape[1]**0.5)
    for first, stop in row_bands(height, batch * channels * width, ELEMENTS):
        for tap in window_taps(height, width, kernel_size, dilation, 1, first, stop):
            if tap.any:
                rows = slice(first + tap.rows.start, first + tap.rows.stop)
                yield (tap, (..., rows, tap.cols),
                       (..., tap.source_rows, tap.source_cols))


class _MaskedSum(torch.autograd.Function):
    """(B, C, H, W), (B, P, H, W) -> (B, C, H, W); saves its inputs alone.

    ``guard``: some feature is not finite and some mask is 0, so that their
    product must be 0 by force.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor, dilation: int,
                guard: bool) -> Tensor:
        ctx.save_for_backward(x, mask)
        ctx.options = (dilation, guard)
        with no_autocast(x.device):
            out = torch.zeros_like(widened(x),
                                   memory_format=torch.contiguous_format)
            source = widened(x).contiguous()
            for tap, here, there in _taps(x, mask, dilation):
                weight = widened(mask[:, tap.index][here].unsqueeze(1))
                _add(out[here], source[there], weight, guard)
        return out.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple:  # type: ignore[override]
        x, mask = ctx.saved_tensors
        dilation, guard = ctx.options
        of_x = of_mask = None
        with no_autocast(x.device):
            signal, source = widened(grad).contiguous(), widened(x).contiguous()
            if ctx.needs_input_grad[0]:
                of_x = torch.zeros_like(source)
            if ctx.needs_input_grad[1]:
                of_mask = torch.zeros_like(mask,
                                           memory_format=torch.contiguous_format)
            for tap, here, there in _taps(x, mask, dilation):
                weight = widened(mask[:, tap.index][here].unsqueeze(1))
                if of_x is not None:
                    _add(of_x[there], signal[here], weight, guard)
                if of_mask is not None:
                    share = (signal[here] * source[there]).sum(1)
                    if guard:
                        share.masked_fill_(
                            (weight[:, 0] == 0) & ~share.isfinite(), 0)
                    of_mask[:, tap.index][here] = share
        if of_x is not None and x.dtype in HALF:
            of_x = of_x.to(x.dtype)
        return of_x, of_mask, None, None


def _add(target: Tensor, values: Tensor, weight: Tensor, guard: bool) -> None:
    """target += values * weight; with ``guard``, 0 * inf is 0."""
    if guard:
        values = values.masked_fill(weight == 0, 0)
    target.addcmul_(values, weight)


@opaque
def masked_sum(x: Tensor, mask: Tensor, dilation: int, guard: bool) -> Tensor:
    """Return the masked sums (B, C, H, W) of checked arguments."""
    return _MaskedSum.apply(x, mask, dilation, guard)
