"""What the local operators ask of their arguments, and which implementation runs."""

import math
from typing import Optional, Sequence, Union

import torch
from torch import Tensor

from .checks import check_choice, check_number, check_same, check_tensor
from .implementation import choose_named
from .precision import HALF
from .windows import check_window, output_size

NORMS = ('l1', 'l2', 'sq')
BORDERS = ('zero', 'drop')
NORMALIZATIONS = ('none', 'sum', 'mean')
#: A faster kernel for some device gets its name here, and its place in choose_local.
IMPLEMENTATIONS = ('tap', 'dcn', 'reference')
#: Implementations of other operators, which the environment may name as well.
OF_OTHERS = ('numba', 'torch')


def choose_local(impl: str) -> str:
    """Return the implementation to run.

    ``SEGAWARE_MM_IMPL`` replaces ``'auto'``; the names that only other
    operators know mean ``'auto'`` here.

    Raises:
        ValueError: ``impl`` (or the environment variable) is not offered.
    """
    return choose_named(impl, 'tap', IMPLEMENTATIONS, OF_OTHERS)


def check_map(name: str, value: Tensor, wanted: str) -> None:
    """Raise unless ``value`` is a floating map with a channel and a pixel."""
    check_tensor(name, value, wanted, 4)
    if 0 in value.shape[1:]:
        raise ValueError(f'{name} must have at least one channel and one pixel, '
                         f'got shape {tuple(value.shape)}.')


def check_device(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Raise unless both tensors are on one device."""
    if value.device != other.device:
        raise ValueError(f'{name} is on {value.device}, {other_name} on '
                         f'{other.device}; move one of them.')


def kernel_of(name: str, shape: Sequence[int]) -> int:
    """Return K of a tensor (B, P, ...), P = K*K with K odd."""
    kernel_size = math.isqrt(shape[1])
    if kernel_size**2 != shape[1] or kernel_size % 2 == 0:
        raise ValueError(f'{name} must have P = K*K channels with K odd (1, 9, 25, '
                         f'...), got shape {tuple(shape)}.')
    return kernel_size


def check_mask_options(hardness: Union[float, Tensor], border: str,
                       normalize: str) -> None:
    """Raise unless these are options of ``local_attention_mask``."""
    if isinstance(hardness, Tensor):
        if not hardness.is_floating_point():
            raise TypeError('hardness must be floating point, got '
                            f'{hardness.dtype}.')
        if hardness.numel() != 1:
            raise ValueError('hardness must be a number or a tensor of one '
                             f'element, got shape {tuple(hardness.shape)}.')
    else:
        check_number('hardness', hardness, -math.inf)
    check_choice('border', border, BORDERS)
    check_choice('normalize', normalize, NORMALIZATIONS)


def check_conv(x: Tensor, weight: Tensor, mask: Tensor, bias: Optional[Tensor],
               stride: int, dilation: int, groups: int) -> int:
    """Raise unless the shapes and devices fit together; return K."""
    check_map('x', x, '(B, C, H, W)')
    check_tensor('weight', weight, '(O, C / groups, K, K)', 4)
    check_tensor('mask', mask, '(B, P, Ho, Wo) or (B, G*P, Ho, Wo)', 4)
    kernel_size = weight.shape[2]
    if kernel_size != weight.shape[3] or kernel_size % 2 == 0:
        raise ValueError('weight must have a square kernel of odd size, got shape '
                         f'{tuple(weight.shape)}.')
    check_window(kernel_size, dilation, stride)
    check_number('groups', groups, 1, integer=True)
    channels, outputs = x.shape[1], len(weight)
    if channels % groups or outputs % groups:
        raise ValueError(f'groups is {groups}; it must divide the {channels} '
                         f'channels of x and the {outputs} of the result.')
    check_same('weight', weight.shape, f'x {tuple(x.shape)} and groups {groups}',
               (outputs, channels // groups, kernel_size, kernel_size))
    taps = kernel_size**2
    masks = mask.shape[1] // taps
    if masks == 0 or mask.shape[1] % taps or channels % masks:
        raise ValueError(
            f'mask has shape {tuple(mask.shape)}; with weight '
            f'{tuple(weight.shape)} its second axis must be {taps} * G, where G '
            f'divides the {channels} channels of x.')
    check_same('mask', mask.shape, f'x {tuple(x.shape)} and stride {stride}',
               (len(x), mask.shape[1], *output_size(*x.shape[2:], stride)))
    if bias is not None:
        check_tensor('bias', bias, '(O,)', 1)
        check_same('bias', bias.shape, f'weight {tuple(weight.shape)}', (outputs, ))
        check_device('bias', bias, 'x', x)
    check_device('weight', weight, 'x', x)
    check_device('mask', mask, 'x', x)
    return kernel_size


def check_mean(x: Tensor, mask: Tensor, dilation: int) -> None:
    """Raise unless shapes and devices are those of a masked mean."""
    check_map('x', x, '(B, C, H, W)')
    check_tensor('mask', mask, '(B, P, H, W)', 4)
    kernel_size = kernel_of('mask', mask.shape)
    check_window(kernel_size, dilation)
    check_same('mask', mask.shape, f'x {tuple(x.shape)}',
               (len(x), kernel_size**2, *x.shape[2:]))
    check_device('mask', mask, 'x', x)


def check_formats(x: Tensor, mask: Tensor, **others: Optional[Tensor]) -> None:
    """Raise unless the formats fit: one for all, but half may wear float32 masks."""
    for name, value in others.items():
        if value is not None and value.dtype != x.dtype:
            raise TypeError(f'{name} is {value.dtype}, x is {x.dtype}; they must be '
                            'the same.')
    float_mask = x.dtype in HALF and mask.dtype == torch.float32
    if mask.dtype != x.dtype and not float_mask:
        raise TypeError(f'mask is {mask.dtype}, x is {x.dtype}; they must be the '
                        'same, or the mask float32 where x is half precision.')
