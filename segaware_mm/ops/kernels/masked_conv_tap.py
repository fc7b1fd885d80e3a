"""Masked convolution in plain torch: any device, no tensor of K^2 times the input.

A band of output rows at a time: the masked taps of the band are laid out as
columns (C, K, K, rows, Wo), by one product of two views, and meet the weights
in one matrix product. Bands are sized so that their columns fit into a cache,
and never exceed the image itself, or 1 MB where that is less. The backward pass
makes the columns again: v = W' g gives both the gradient of x, added tap by tap
under the mask, and that of the mask, <v_t, x_t>.

Taps that no window has inside the map are left out, so that an image padded
with zeros (which exists one image at a time) stays below 3H x 3W.
"""

from typing import Any, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..compiling import opaque
from ..precision import HALF, no_autocast, widened
from ..windows import output_size, row_bands

#: Elements of the columns held at a time: the CPU's cache, a GPU's occupancy.
CPU_ELEMENTS, ELEMENTS = 1 << 21, 1 << 25
#: So few are always allowed: on small maps the calls of a band cost more than its
#: arithmetic.
FEWEST_ELEMENTS = 1 << 18


class Geometry(NamedTuple):
    """What a masked convolution is besides its tensors.

    ``guard``: some feature is not finite and some mask is 0, so that their
    product must be 0 by force.
    """

    kernel_size: int
    stride: int
    dilation: int
    groups: int
    guard: bool


class _Plan:
    """Shapes, views and scratch memory of one call.

    I and J stand for the rows and columns of taps that are in use.
    """

    def __init__(self, x: Tensor, weight: Tensor, mask: Tensor,
                 how: Geometry) -> None:
        self.how = how
        _, channels, height, width = x.shape
        # The CPU multiplies matrices best in float32, a GPU in x's own format.
        single = x.dtype in HALF and x.device.type == 'cpu'
        self.dtype = torch.float32 if single else x.dtype
        # A tap further away than the map is large reads nothing.
        self.reach = [min(how.kernel_size // 2, (size - 1) // how.dilation)
                      for size in (height, width)]
        self.taps = [slice(how.kernel_size // 2 - r, how.kernel_size // 2 + r + 1)
                     for r in self.reach]
        self.used = [2 * r + 1 for r in self.reach]
        self.masks = mask.shape[1] // how.kernel_size**2
        self.rows, self.cols = output_size(height, width, how.stride)
        self.weight = weight[:, :, self.taps[0], self.taps[1]].to(
            self.dtype).reshape(how.groups, len(weight) // how.groups, -1)
        per_row = channels * self.used[0] * self.used[1] * self.cols
        most = CPU_ELEMENTS if x.device.type == 'cpu' else ELEMENTS
        self.bands = list(row_bands(self.rows, per_row,
                                    min(most, max(channels * height * width,
                                                  FEWEST_ELEMENTS))))
        self.size = max(stop - first for first, stop in self.bands) * per_row
        self.like = x

    def scratch(self, dtype: Optional[torch.dtype] = None) -> Tensor:
        """Memory for the columns of a band."""
        return self.like.new_empty(self.size, dtype=dtype or self.dtype)

    def columns(self, scratch: Tensor, rows: int) -> Tuple[Tensor, Tensor]:
        """Scratch as (G, C/G, I, J, rows, Wo) and as (groups, C/groups*I*J, n)."""
        shape = (self.masks, self.like.shape[1] // self.masks, *self.used, rows,
                 self.cols)
        flat = scratch[:self.size // self.bands[0][1] * rows]
        return flat.view(shape), flat.view(self.how.groups, -1, rows * self.cols)

    def pad(self, image: Tensor) -> Tensor:
        """(C, H, W) with zeros around it, in the format of the work."""
        y, x = (r * self.how.dilation for r in self.reach)
        return F.pad(image.to(self.dtype), (x, x, y, y)).contiguous()

    def crop(self, padded: Tensor) -> Tensor:
        """What :meth:`pad` was given."""
        y, x = (r * self.how.dilation for r in self.reach)
        return padded[:, y:padded.shape[1] - y, x:padded.shape[2] - x]

    def windows(self, padded: Tensor) -> Tensor:
        """All taps of all windows, a view (G, C/G, I, J, Ho, Wo) of a padded image."""
        view = padded.unflatten(0, (self.masks, -1))
        for axis, taps in zip((2, 3), self.used):
            span = (taps - 1) * self.how.dilation + 1
            view = view.unfold(axis, span, self.how.stride)[..., ::self.how.dilation]
        return view.permute(0, 1, 4, 5, 2, 3)

    def used_taps(self, mask: Tensor) -> Tensor:
        """(G*K*K, Ho, Wo) -> (G, I, J, Ho, Wo), a view."""
        kernel_size = self.how.kernel_size
        return mask.unflatten(0, (self.masks, kernel_size, kernel_size))[
            :, self.taps[0], self.taps[1]]

    def all_taps(self, of_weight: Tensor, weight: Tensor) -> Tensor:
        """(groups, O/groups, C/groups*I*J) -> the weight's shape, 0 where not used."""
        result = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        result[:, :, self.taps[0], self.taps[1]] = of_weight.view(
            *weight.shape[:2], *self.used)
        return result


def _fill(columns: Tensor, windows: Tensor, mask: Tensor, guard: bool) -> None:
    """Write the masked taps of a band.

    Args:
        columns: (G, C/G, I, J, rows, Wo), written.
        windows: Of the same shape.
        mask: (G, I, J, rows, Wo).
        guard: See :class:`Geometry`.
    """
    mask = mask.unsqueeze(1)
    torch.mul(windows, mask, out=columns)
    if guard:
        columns.masked_fill_(mask == 0, 0)


def _product(a: Tensor, b: Tensor, out: Tensor) -> None:
    """out = a b for each group; ``out`` may be a part of a larger tensor."""
    if len(a) == 1:
        torch.mm(a[0], b[0], out=out[0])
    else:
        out.copy_(torch.bmm(a, b))


class _MaskedConv(torch.autograd.Function):
    """Saves x, weight and mask, and nothing that it computes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, mask: Tensor,
                bias: Optional[Tensor], how: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight, mask)
        ctx.how = how
        ctx.has_bias = bias is not None
        with no_autocast(x.device):
            plan = _Plan(x, weight, mask, how)
            out = x.new_empty(len(x), len(weight), plan.rows, plan.cols)
            scratch = plan.scratch()
            for image, one_mask, target in zip(x, mask, out):
                windows = plan.windows(plan.pad(image))
                one_mask = widened(plan.used_taps(one_mask))
                # Half precision on the CPU is rounded once, at the end.
                whole = target.to(plan.dtype)
                split = whole.view(how.groups, -1, plan.rows * plan.cols)
                for first, stop in plan.bands:
                    columns, matrix = plan.columns(scratch, stop - first)
                    _fill(columns, windows[..., first:stop, :],
                          one_mask[..., first:stop, :], how.guard)
                    _product(plan.weight, matrix,
                             split[:, :, first * plan.cols:stop * plan.cols])
                if bias is not None:
                    whole += bias[:, None, None]
                if whole is not target:
                    target.copy_(whole)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple:  # type: ignore[override]
        x, weight, mask = ctx.saved_tensors
        with no_autocast(x.device):
            grads = _gradients(x, weight, mask, grad, ctx.how,
                               ctx.needs_input_grad[:3])
            grad_bias = widened(grad).sum((0, 2, 3)).to(grad.dtype) \
                if ctx.has_bias and ctx.needs_input_grad[3] else None
        return (*grads, grad_bias, None)


class _MaskGradient(torch.autograd.Function):
    """Passes on a plain convolution's result; adds the gradient of its mask of ones."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, x: Tensor, weight: Tensor, mask: Tensor,
                how: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight, mask)
        ctx.how = how
        # Not a view: an activation may follow that works in place.
        ctx.mark_dirty(result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple:  # type: ignore[override]
        x, weight, mask = ctx.saved_tensors
        with no_autocast(x.device):
            grads = _gradients(x, weight, mask, grad, ctx.how,
                               (False, False, True))
        return grad, None, None, grads[2], None


def _gradients(x: Tensor, weight: Tensor, mask: Tensor, grad: Tensor,
               how: Geometry, needed: Tuple[bool, ...]
               ) -> Tuple[Optional[Tensor], ...]:
    """Return the gradients of x, weight and mask; None where not needed."""
    plan = _Plan(x, weight, mask, how)
    scratch = plan.scratch()
    wide = torch.float32 if plan.dtype in HALF else plan.dtype
    product = plan.scratch(wide) if needed[2] else scratch
    of_x = torch.empty_like(x, memory_format=torch.contiguous_format) \
        if needed[0] else None
    # Bands and images add up in float32, as the pixels of x do.
    of_weight = torch.zeros_like(plan.weight, dtype=wide) if needed[1] else None
    of_mask = torch.zeros_like(mask, memory_format=torch.contiguous_format) \
        if needed[2] else None
    for b in range(len(x)):
        padded = plan.pad(x[b])
        windows, one_mask = plan.windows(padded), widened(plan.used_taps(mask[b]))
        signal = grad[b].to(plan.dtype).reshape(how.groups, -1,
                                                plan.rows * plan.cols)
        # Many taps are summed into one pixel: in float32 at least.
        sums = torch.zeros_like(widened(padded)) if needed[0] else None
        for first, stop in plan.bands:
            band = (..., slice(first, stop), slice(None))
            columns, matrix = plan.columns(scratch, stop - first)
            part = signal[:, :, first * plan.cols:stop * plan.cols]
            if needed[0] or needed[2]:
                _product(plan.weight.transpose(1, 2), part, matrix)
            if needed[2]:
                other = plan.columns(product, stop - first)[0]
                plan.used_taps(of_mask[b])[band] = _mask_gradient(
                    columns, windows[band], one_mask[band], other, how.guard)
            if needed[0]:
                _fill(columns, columns, one_mask[band], how.guard)
                _add_windows(plan.windows(sums)[band], columns)
            if needed[1]:
                _fill(columns, windows[band], one_mask[band], how.guard)
                if wide == plan.dtype:
                    of_weight.baddbmm_(part, matrix.transpose(1, 2))
                else:
                    of_weight += torch.bmm(part, matrix.transpose(1, 2))
        if needed[0]:
            of_x[b] = plan.crop(sums)
    if needed[1]:
        of_weight = plan.all_taps(of_weight, weight)
    return of_x, of_weight, of_mask


def _mask_gradient(columns: Tensor, windows: Tensor, mask: Tensor, product: Tensor,
                   guard: bool) -> Tensor:
    """Return <v, x> over the channels, (G, I, J, rows, Wo).

    Args:
        columns: (G, C/G, I, J, rows, Wo) v, the gradient of the masked taps.
        windows: Of the same shape, the taps.
        mask: (G, I, J, rows, Wo).
        product: Memory of the shape of v, float32 at least.
        guard: See :class:`Geometry`.
    """
    torch.mul(columns.to(product.dtype), windows, out=product)
    share = product.sum(1)
    if guard:
        share.masked_fill_((mask == 0) & ~share.isfinite(), 0)
    return share


def _add_windows(windows: Tensor, columns: Tensor) -> None:
    """Add to windows that overlap: tap by tap. Both (G, C/G, I, J, rows, Wo)."""
    for i in range(columns.shape[2]):
        for j in range(columns.shape[3]):
            windows[:, :, i, j] += columns[:, :, i, j]


@opaque
def masked_conv2d(x: Tensor, weight: Tensor, mask: Tensor,
                  bias: Optional[Tensor], how: Geometry) -> Tensor:
    """Return the masked convolution (B, O, Ho, Wo) of checked arguments."""
    return _MaskedConv.apply(x, weight, mask, bias, how)


@opaque
def plain_conv2d(x: Tensor, weight: Tensor, mask: Tensor,
                 bias: Optional[Tensor], how: Geometry) -> Tensor:
    """Return ``F.conv2d``: the masked convolution whose mask is 1 everywhere."""
    out = F.conv2d(x, weight, bias, how.stride,
                   how.dilation * (how.kernel_size // 2), how.dilation, how.groups)
    if mask.requires_grad and torch.is_grad_enabled():
        out = _MaskGradient.apply(out, x.detach(), weight.detach(), mask, how)
    return out
