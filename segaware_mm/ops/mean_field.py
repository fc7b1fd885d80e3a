"""Segmentation-aware mean field: a few local filters in place of a dense CRF
(Harley et al., ICCV 2017; exactly the released network's layer).

Unary logits U (C classes), an embedding e, pixel places xy = (column, row)::

    kB_t(p) = softmax_t( -(s_e^2 |e_p - e_q|^2 + s_1^2 |p - q|^2) / 2 )
    kS_t(p) = softmax_t( -s_2^2 |p - q|^2 / 2 )
    u <- U,  then repeat:
        q = softmax_c(u)
        u = U - compatibility (W_S sum_t kS_t q  +  W_B sum_t kB_t q)

The softmaxes run over the taps q = p + t of a window without its centre and
without taps outside the map; where none is left, the message is 0. Shapes: B
batch, E embedding dimensions, taps in row-major order.
"""

import math
from typing import Optional, Tuple, Union

import torch
from torch import Tensor

from .checks import check_number, check_same, check_tensor
from .local_checks import check_device, check_map
from .precision import no_autocast, wide_dtype
from .windows import check_window, inside_map

Scale = Union[float, Tensor]


def segaware_mean_field(unary: Tensor,
                        embedding: Tensor,
                        num_iters: int = 2,
                        bilateral_kernel: int = 13,
                        bilateral_dilation: int = 9,
                        spatial_kernel: int = 5,
                        spatial_dilation: int = 1,
                        embedding_scale: Scale = 200.,
                        bilateral_xy_scale: Scale = 0.05,
                        spatial_xy_scale: Scale = 0.05,
                        spatial_weight: Optional[Tensor] = None,
                        bilateral_weight: Optional[Tensor] = None,
                        compatibility: Optional[Tensor] = None) -> Tensor:
    """Return logits that agree with their surroundings.

    Args:
        unary: (B, C, H, W) logits, larger is better.
        embedding: (B, E, H, W); colours will do.
        num_iters: Iterations; 0 returns the unary logits.
        bilateral_kernel: Odd size of the window of kB; 1 switches it off.
        bilateral_dilation: Pixels from tap to tap of kB.
        spatial_kernel: Odd size of the window of kS; 1 switches it off.
        spatial_dilation: Pixels from tap to tap of kS.
        embedding_scale: s_e, a number or a tensor of one element, which gets a
            gradient; as the other scales.
        bilateral_xy_scale: s_1, per pixel.
        spatial_xy_scale: s_2, per pixel.
        spatial_weight: (C, C) W_S, from column to row; identity where None.
        bilateral_weight: (C, C) W_B; identity where None.
        compatibility: (C, C); minus the identity where None, so that agreeing
            classes gain.

    Returns:
        (B, C, H, W) logits, float64 if unary or embedding is, else float32,
        also under autocast. Differentiable once in all tensors; taps are
        streamed, so nothing of size P*C*H*W or P*E*H*W exists.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or option; the
            message names the argument.
    """
    check_map('unary', unary, '(B, C, H, W)')
    check_map('embedding', embedding, '(B, E, H, W)')
    check_same('embedding', embedding.shape, f'unary {tuple(unary.shape)}',
               (len(unary), embedding.shape[1], *unary.shape[2:]))
    check_device('embedding', embedding, 'unary', unary)
    check_number('num_iters', num_iters, 0, integer=True)
    _check_kernel('bilateral', bilateral_kernel, bilateral_dilation)
    _check_kernel('spatial', spatial_kernel, spatial_dilation)
    dtype = wide_dtype(unary, embedding)
    matrices = [
        _as_matrix(name, value, unary, dtype)
        for name, value in (('spatial_weight', spatial_weight),
                            ('bilateral_weight', bilateral_weight),
                            ('compatibility', compatibility))]
    scales = [
        _as_scale(name, value, unary, dtype)
        for name, value in (('embedding_scale', embedding_scale),
                            ('bilateral_xy_scale', bilateral_xy_scale),
                            ('spatial_xy_scale', spatial_xy_scale))]
    unary, embedding = unary.to(dtype), embedding.to(dtype)
    with no_autocast(unary.device):
        bilateral = _kernel(embedding, bilateral_kernel, bilateral_dilation,
                            scales[1], scales[0])
        spatial = _kernel(embedding, spatial_kernel, spatial_dilation, scales[2])
        return _iterate(unary, num_iters, (spatial, spatial_dilation),
                        (bilateral, bilateral_dilation), *matrices)


def _kernel(embedding: Tensor, kernel_size: int, dilation: int, xy_scale: Tensor,
            embedding_scale: Optional[Tensor] = None) -> Tensor:
    """Return k (B, P, H, W), 0 for the centre and outside; of places alone if
    there is no embedding_scale."""
    batch, _, height, width = embedding.shape
    inside = inside_map(height, width, kernel_size, dilation,
                        device=embedding.device)
    inside[kernel_size**2 // 2] = False
    axis = (torch.arange(kernel_size, device=embedding.device)
            - kernel_size // 2) * dilation
    square = axis.to(embedding.dtype).square()
    length = (square[:, None] + square).view(-1, 1, 1)
    logits = -0.5 * xy_scale.square() * length
    if embedding_scale is None:
        logits = logits.expand(1, -1, height, width)
    else:
        from .kernels.local_distance_torch import local_distance
        distance = local_distance(embedding, kernel_size, dilation, 1, 'sq')
        logits = logits - embedding_scale.square() * distance
    # A row of -inf alone would be NaN, forward and backward.
    none = ~inside.any(0)
    logits = logits.masked_fill(~inside & ~none, -math.inf)
    return logits.softmax(1).masked_fill(~inside, 0).expand(batch, -1, -1, -1)


def _iterate(unary: Tensor, num_iters: int, spatial: Tuple[Tensor, int],
             bilateral: Tuple[Tensor, int], spatial_weight: Optional[Tensor],
             bilateral_weight: Optional[Tensor],
             compatibility: Optional[Tensor]) -> Tensor:
    from .kernels.masked_sum_tap import masked_sum
    logits = unary
    for _ in range(num_iters):
        q = logits.softmax(1)
        guard = not bool(q.detach().sum().isfinite())
        message = sum(
            _mix(weight, masked_sum(q, kernel, dilation, guard))
            for (kernel, dilation), weight in ((spatial, spatial_weight),
                                               (bilateral, bilateral_weight)))
        logits = unary + message if compatibility is None else \
            unary - _mix(compatibility, message)
    return logits


def _mix(matrix: Optional[Tensor], maps: Tensor) -> Tensor:
    """Return the matrix times the classes of every pixel."""
    return maps if matrix is None else torch.einsum('ij,bjhw->bihw', matrix, maps)


def _check_kernel(name: str, kernel_size: int, dilation: int) -> None:
    try:
        check_window(kernel_size, dilation)
    except (TypeError, ValueError) as error:
        text = str(error).replace('kernel_size', f'{name}_kernel').replace(
            'dilation', f'{name}_dilation')
        raise type(error)(text) from None


def _as_scale(name: str, value: Scale, like: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a scale as a tensor of shape ()."""
    if not isinstance(value, Tensor):
        check_number(name, value, -math.inf)
        return like.new_tensor(float(value), dtype=dtype)
    if not value.is_floating_point():
        raise TypeError(f'{name} must be floating point, got {value.dtype}.')
    if value.numel() != 1:
        raise ValueError(f'{name} must be a number or a tensor of one element, got '
                         f'shape {tuple(value.shape)}.')
    check_device(name, value, 'unary', like)
    return value.reshape(()).to(dtype)


def _as_matrix(name: str, value: Optional[Tensor], like: Tensor,
               dtype: torch.dtype) -> Optional[Tensor]:
    if value is None:
        return None
    check_tensor(name, value, '(C, C)', 2)
    check_same(name, value.shape, f'unary {tuple(like.shape)}',
               (like.shape[1], like.shape[1]))
    check_device(name, value, 'unary', like)
    return value.to(dtype)
