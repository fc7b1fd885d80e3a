"""Masked convolution by mmcv's modulated deformable convolution with zero offsets.

It is the same sum. Its limits: no bfloat16; an inf or NaN feature also spoils
its left and upper neighbours and passes masks of 0; columns of K^2 times the
input, and offsets of twice the mask's size, are held.
"""

from typing import Callable, Optional

import torch
from torch import Tensor


def _operator() -> Callable:
    try:
        from mmcv.ops import modulated_deform_conv2d
    except ImportError as error:
        raise ValueError(
            "impl is 'dcn', which needs mmcv with its compiled operators "
            f"({error}); install it, or use 'tap'.") from error
    return modulated_deform_conv2d


def masked_conv2d(x: Tensor, weight: Tensor, mask: Tensor,
                  bias: Optional[Tensor], stride: int, dilation: int,
                  groups: int) -> Tensor:
    """Return the masked convolution (B, O, Ho, Wo) of checked arguments.

    Raises:
        TypeError: x is bfloat16.
        ValueError: mmcv's operators are absent.
    """
    operator = _operator()
    if x.dtype == torch.bfloat16:
        raise TypeError("impl is 'dcn', which has no bfloat16; use 'tap', or "
                        'float16 or float32 features.')
    kernel_size = weight.shape[2]
    batch, planes, rows, cols = mask.shape
    # The format of the offsets decides that of all others.
    offset = x.new_zeros(batch, 2 * planes, rows, cols)
    return operator(x.contiguous(), offset, mask.to(x.dtype).contiguous(),
                    weight.contiguous(), bias, stride,
                    dilation * (kernel_size // 2), dilation, groups,
                    planes // kernel_size**2)


def masked_sum(x: Tensor, mask: Tensor, dilation: int) -> Tensor:
    """Return the masked sums: a convolution of each channel with ones. Slow."""
    kernel_size = round(mask.shape[1]**0.5)
    ones = x.new_ones(x.shape[1], 1, kernel_size, kernel_size)
    return masked_conv2d(x, ones, mask, None, 1, dilation, x.shape[1])
