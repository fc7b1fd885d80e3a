"""Local attention masks and the convolutions that wear them (Harley, Derpanis,
Kokkinos, "Segmentation-Aware Convolutional Networks Using Local Attention
Masks", ICCV 2017), as pure functions.

An embedding e says which pixels belong together. Around a pixel p, with q = p +
t one of the P = K*K taps of a window (:mod:`segaware_mm.ops.windows`)::

    d_t(p) = ||e_p - e_q||                          local_distance
    m_t(p) = exp(-|hardness| d_t(p))                local_attention_mask  (eq. 3)
    y_p    = sum_t w_t m_t(p) x_q + b               masked_conv2d
    y_p    = sum_t m_t(p) x_q / sum_t m_t(p)        masked_mean           (eq. 4, w = 1)

A mask divided by its sum beforehand (``normalize='sum'``) makes masked_conv2d
the paper's normalised convolution (eq. 4); only masks that are not (``'none'``)
or that sum to P (``'mean'``) keep the scale of weights trained without masks.

Shapes: B batch, E embedding dimensions, C input and O output channels, taps in
row-major order, Ho = ceil(H / stride), Wo = ceil(W / stride).

``impl`` is ``'auto'``, ``'tap'`` (any device: a band of rows at a time, no
tensor of K^2 times the input), ``'dcn'`` (mmcv's modulated deformable
convolution with zero offsets; no bfloat16, and inf or NaN features leak) or
``'reference'`` (slow, float64-friendly). ``'auto'`` is ``'tap'``.
"""

from typing import Optional, Tuple, Union

import torch
from torch import Tensor

from .checks import check_choice, check_same, check_tensor
from .compiling import opaque
from .embedding_loss import embedding_loss
from .local_checks import (
    NORMS,
    check_conv,
    check_device,
    check_formats,
    check_map,
    check_mask_options,
    check_mean,
    choose_local,
    kernel_of,
)
from .precision import cast_as_autocast, no_autocast, wide_dtype, widened
from .windows import check_window, inside_map, output_size

__all__ = [
    'embedding_loss', 'local_attention_mask', 'local_distance', 'mask_from_distance',
    'masked_conv2d', 'masked_mean'
]


def local_distance(embedding: Tensor,
                   kernel_size: int,
                   dilation: int = 1,
                   stride: int = 1,
                   norm: str = 'l1') -> Tensor:
    """Return d: how far every pixel's embedding is from those around it.

    Args:
        embedding: (B, E, H, W).
        kernel_size: K, odd.
        dilation: Pixels from tap to tap.
        stride: Pixels from window to window.
        norm: ``'l1'``: sum of absolute differences; its gradient is their
            sign, 0 at 0. ``'l2'``: Euclidean, gradient 0 at distance 0.
            ``'sq'``: half the squared Euclidean distance, whose gradient is
            the difference.

    Returns:
        (B, P, Ho, Wo), 0 for the centre and for taps outside the map; float64
        if the embedding is, else float32, also under autocast. Differentiable
        once; the backward pass computes the differences again.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, window or norm; the message
            names the argument.
    """
    check_map('embedding', embedding, '(B, E, H, W)')
    check_window(kernel_size, dilation, stride)
    check_choice('norm', norm, NORMS)
    from .kernels import local_distance_torch as kernel
    return kernel.local_distance(embedding.to(wide_dtype(embedding)), kernel_size,
                                 dilation, stride, norm)


def local_attention_mask(embedding: Tensor,
                         kernel_size: int,
                         dilation: int = 1,
                         stride: int = 1,
                         norm: str = 'l1',
                         hardness: Union[float, Tensor] = 1.0,
                         border: str = 'zero',
                         normalize: str = 'none') -> Tensor:
    """Return m: how much every pixel attends to those around it.

    m = exp(-|hardness| d), with d of :func:`local_distance`, in the format of d.

    Args:
        embedding: (B, E, H, W).
        kernel_size: K, odd.
        dilation: Pixels from tap to tap.
        stride: Pixels from window to window.
        norm: ``'l1'``, ``'l2'`` or ``'sq'``.
        hardness: A number, or a tensor of one element, which gets a gradient
            (0 where it is 0). Its sign does not matter.
        border: Mask of taps outside the map: ``'zero'``: 1, as for a pixel
            without distance; with the zeros that a convolution pads, this
            leaves its border as it is. ``'drop'``: 0.
        normalize: ``'none'``; ``'sum'``: divided by the sum over the taps;
            ``'mean'``: by their mean. Only ``'none'``, and ``'mean'`` with
            border ``'zero'``, turn :func:`masked_conv2d` into ``F.conv2d`` at
            hardness 0; ``'sum'`` divides it by P.

    Returns:
        (B, P, Ho, Wo) in [0, 1]; in [0, P] for ``'mean'``.

    Raises:
        TypeError, ValueError: As :func:`local_distance`, or a wrong hardness,
            border or normalize.
    """
    check_mask_options(hardness, border, normalize)
    distance = local_distance(embedding, kernel_size, dilation, stride, norm)
    return mask_from_distance(distance, tuple(embedding.shape[2:]), dilation, stride,
                              hardness, border, normalize)


def mask_from_distance(distance: Tensor,
                       map_size: Tuple[int, int],
                       dilation: int = 1,
                       stride: int = 1,
                       hardness: Union[float, Tensor] = 1.0,
                       border: str = 'zero',
                       normalize: str = 'none') -> Tensor:
    """Return the masks of given distances.

    For several layers that share distances and differ in their hardness.

    Args:
        distance: (B, P, Ho, Wo), as from :func:`local_distance`.
        map_size: (H, W) of the embedding.
        dilation: As for the distances.
        stride: As for the distances.
        hardness: As for :func:`local_attention_mask`, as the rest.
        border: ``'zero'`` or ``'drop'``.
        normalize: ``'none'``, ``'sum'`` or ``'mean'``.

    Returns:
        (B, P, Ho, Wo), as :func:`local_attention_mask`.

    Raises:
        TypeError, ValueError: A wrong shape, dtype or choice.
    """
    check_tensor('distance', distance, '(B, P, Ho, Wo)', 4)
    kernel_size = kernel_of('distance', distance.shape)
    check_window(kernel_size, dilation, stride)
    check_same('distance', distance.shape[2:],
               f'map_size {tuple(map_size)} and stride {stride}, in (Ho, Wo),',
               output_size(*map_size, stride))
    check_mask_options(hardness, border, normalize)
    distance = distance.to(wide_dtype(distance))
    if isinstance(hardness, Tensor):
        check_device('hardness', hardness, 'the distances', distance)
        hardness = hardness.reshape(()).to(distance.dtype)
    else:
        hardness = distance.new_tensor(float(hardness))
    with no_autocast(distance.device):
        from .kernels.attention_exp import attention_exp
        mask = attention_exp(distance, hardness)
        if border == 'drop':
            inside = inside_map(*map_size, kernel_size, dilation, stride,
                                distance.device)
            mask = mask.masked_fill(~inside, 0)
        if normalize != 'none':
            scale = 1 if normalize == 'sum' else kernel_size**2
            # The centre's mask is 1, so the sum is at least 1.
            mask = mask * (scale / mask.sum(1, keepdim=True))
    return mask


def masked_conv2d(x: Tensor,
                  weight: Tensor,
                  mask: Tensor,
                  bias: Optional[Tensor] = None,
                  stride: int = 1,
                  dilation: int = 1,
                  groups: int = 1,
                  impl: str = 'auto') -> Tensor:
    """Return a convolution whose every window wears a mask of its own.

    y_p = sum_t w_t m_t(p) x_{p+t} + b, zeros outside the map, with "same"
    padding dilation * (K // 2). The backward pass saves x, weight and mask and
    computes the rest again; it can be differentiated once.

    ``'tap'`` guarantees: with a mask of ones the result is that of
    ``F.conv2d``, bit for bit, and so are the gradients of x, weight and bias;
    a tap whose mask is exactly 0 contributes nothing, even where the feature
    is inf or NaN. Both need a look at the masks, far below 1 % of the time on the
    CPU; on a GPU the host waits for it once.

    Args:
        x: (B, C, H, W).
        weight: (O, C / groups, K, K), K odd.
        mask: (B, P, Ho, Wo) at the output's resolution, used as given; or
            (B, G*P, Ho, Wo), G masks, the first for the first C / G channels
            and so on. In the format of x, or float32 where x is half precision.
        bias: (O,), added last.
        stride: Pixels from window to window.
        dilation: Pixels from tap to tap.
        groups: As in ``F.conv2d``; any G goes with any groups.
        impl: ``'auto'``, ``'tap'``, ``'dcn'`` or ``'reference'``.

    Returns:
        (B, O, Ho, Wo) in the format of x. Under autocast x, weight and bias
        are cast as for a convolution, the mask is not.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or choice; the
            message names the argument.
    """
    kernel_size = check_conv(x, weight, mask, bias, stride, dilation, groups)
    impl = choose_local(impl)
    x, weight = cast_as_autocast(x, weight)
    bias = bias if bias is None else cast_as_autocast(bias)[0]
    check_formats(x, mask, weight=weight, bias=bias)
    if impl == 'reference':
        from .reference.local_attention import masked_conv2d as slow
        with no_autocast(x.device):
            wide = [t if t is None else widened(t) for t in (x, weight, mask, bias)]
            return slow(*wide, stride, dilation, groups).to(x.dtype)
    if impl == 'dcn' and len(x):
        from .kernels import masked_conv_dcn
        return masked_conv_dcn.masked_conv2d(x, weight, mask, bias, stride,
                                             dilation, groups)
    from .kernels import masked_conv_tap as kernel
    plain, guard = _look_at(x, mask)
    how = kernel.Geometry(kernel_size, stride, dilation, groups, guard)
    run = kernel.plain_conv2d if plain else kernel.masked_conv2d
    return run(x, weight, mask, bias, how)


def masked_mean(x: Tensor, mask: Tensor, dilation: int = 1,
                impl: str = 'auto') -> Tensor:
    """Return the mean of every window under its mask; a bilateral filter.

    y_p = sum_t m_t(p) x_{p+t} / sum_t m_t(p), where x is 0 outside the map (use
    masks of border ``'drop'`` to leave that out). All channels share the mask.
    Nothing of size P*C*H*W exists, forward or backward.

    Args:
        x: (B, C, H, W).
        mask: (B, P, H, W), P the square of an odd number; in the format of x,
            or float32 where x is half precision. A tap whose mask is exactly 0
            contributes nothing, even where x is inf or NaN (not so ``'dcn'``).
        dilation: Pixels from tap to tap.
        impl: ``'auto'``, ``'tap'``, ``'dcn'`` (slow here) or ``'reference'``.

    Returns:
        (B, C, H, W) in the format of x; 0 where the masks sum to 0.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or choice; the
            message names the argument.
    """
    check_mean(x, mask, dilation)
    check_formats(x, mask)
    impl = choose_local(impl)
    with no_autocast(x.device):
        if impl == 'reference':
            from .reference.local_attention import masked_mean as slow
            return slow(widened(x), widened(mask), dilation).to(x.dtype)
        total = widened(mask).sum(1, keepdim=True)
        empty = total == 0
        factor = total.masked_fill(empty, 1).reciprocal().masked_fill(empty, 0)
        share = widened(mask) * factor
        if impl == 'dcn' and len(x):
            from .kernels import masked_conv_dcn
            return masked_conv_dcn.masked_sum(x, share, dilation)
        from .kernels import masked_sum_tap
        return masked_sum_tap.masked_sum(x, share, dilation, _look_at(x, share)[1])


@opaque
@torch.no_grad()
def _look_at(x: Tensor, mask: Tensor) -> Tuple[bool, bool]:
    """Whether all masks are 1, and whether 0 times inf or NaN may occur."""
    if mask.numel() == 0:
        return True, False
    if mask.device.type == 'cpu':
        low, high = mask.aminmax()
        if low > 0:
            return bool((low == 1) & (high == 1)), False
        return False, bool((mask == 0).any()) and not _sum(x).isfinite()
    facts = (mask == 1).all(), (mask == 0).any() & ~_sum(x).isfinite()
    plain, guard = torch.stack(facts).tolist()  # one wait for the device
    return plain, guard


def _sum(x: Tensor) -> Tensor:
    """Any inf or NaN spoils the sum, which is far quicker than asking each."""
    return x.sum(dtype=wide_dtype(x))
