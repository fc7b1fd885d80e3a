"""Max pooling that remembers where each maximum was, and its reversal.

Zeiler, Fergus (ECCV 2014); Noh, Hong, Han (ICCV 2015), section 3.2:

    pooled[j] = max of window j,   switch[j] = place of that maximum
    unpool:  out[switch[j]] = in[j], 0 elsewhere

A place is the flat index y * W + x in the plane that was pooled; the first of
equal maxima wins. Shapes: B batch, C channels, H x W finer and h x w coarser map.
"""

from typing import Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_number, check_same, check_size, check_tensor
from .compiling import opaque
from .local_checks import check_device, check_map


def pool_with_switches(x: Tensor,
                       kernel_size: int = 2,
                       stride: int = 2,
                       padding: int = 0,
                       ceil_mode: bool = False) -> Tuple[Tensor, Tensor]:
    """Return the maxima of windows and where they were.

    ``F.max_pool2d`` with its indices. Autocast leaves it alone: the maxima keep
    the format of ``x``, the switches are int64 in any case.

    Args:
        x: (B, C, H, W).
        kernel_size: Side of the windows.
        stride: Pixels from window to window. Only windows that do not overlap
            (``kernel_size`` at most ``stride``) are reversed by :func:`unpool`.
        padding: Pixels outside the map that a window may cover, at most half
            of it; they never win.
        ceil_mode: A window that is partly outside, at the right and the bottom,
            counts too (Caffe's rule): nothing is lost of odd sizes.

    Returns:
        The maxima (B, C, h, w) and the switches (B, C, h, w), int64 in
        [0, H * W).

    Raises:
        TypeError, ValueError: A wrong shape or dtype, a size out of its range,
            or a map that no window fits into.
    """
    check_map('x', x, '(B, C, H, W)')
    check_number('kernel_size', kernel_size, 1, integer=True)
    check_number('stride', stride, 1, integer=True)
    check_number('padding', padding, 0, kernel_size // 2, integer=True)
    if not ceil_mode and min(x.shape[2:]) + 2 * padding < kernel_size:
        raise ValueError(
            f'x has shape {tuple(x.shape)}; no window of {kernel_size} x {kernel_size} '
            'fits into it. Use ceil_mode=True, or a larger input.')
    return F.max_pool2d(x, kernel_size, stride, padding, ceil_mode=ceil_mode,
                        return_indices=True)


def unpool(x: Tensor, switches: Tensor,
           output_size: Union[int, Sequence[int]]) -> Tensor:
    """Return a finer map: every value at the place its switch names, else 0.

    Equals ``F.max_unpool2d`` for switches of windows that do not overlap. Where
    two switches of a plane name one place, one of the two values is there.
    The gradient of a value is that of its place. Autocast leaves it alone.

    Args:
        x: (B, C, h, w).
        switches: (B, C, h, w), or (B, 1, h, w) for all channels alike, of which
            no copy is made; int64 in [0, H * W), as from
            :func:`pool_with_switches` of a map of ``output_size``.
        output_size: (H, W). Several sizes share one pooled size (2h and 2h + 1
            without ``ceil_mode``), so it has to be said.

    Returns:
        (B, C, H, W) in the format of ``x``.

    Raises:
        TypeError, ValueError: A wrong shape, dtype or device, or a switch that
            names a place outside (looked at on the CPU alone; on other devices
            torch's own check ends the program).
    """
    check_tensor('x', x, '(B, C, h, w)', 4)
    check_tensor('switches', switches, '(B, C, h, w) or (B, 1, h, w)', 4,
                 floating=False)
    if switches.dtype != torch.int64:
        raise TypeError(f'switches must be int64, got {switches.dtype}; keep them out '
                        'of what changes formats.')
    batch, channels, height, width = x.shape
    planes = 1 if switches.shape[1] == 1 else channels
    check_same('switches', switches.shape, f'x {tuple(x.shape)}',
               (batch, planes, height, width))
    check_device('switches', switches, 'x', x)
    out_height, out_width = check_size('output_size', output_size)
    places = out_height * out_width
    if switches.device.type == 'cpu':
        _check_places(switches, out_height, out_width)
    index = switches.expand_as(x).flatten(2)
    out = x.new_zeros(batch, channels, places)
    out.scatter_(2, index, x.flatten(2))  # in place: scatter would copy the zeros
    return out.view(batch, channels, out_height, out_width)


@opaque
@torch.no_grad()
def _check_places(switches: Tensor, height: int, width: int) -> None:
    """Raise unless every switch names a pixel of an H x W map."""
    if switches.numel() == 0:
        return
    low, high = (int(bound) for bound in switches.aminmax())
    if low < 0 or high >= height * width:
        raise ValueError(
            f'switches name the places {low}..{high}; an output_size of '
            f'({height}, {width}) has 0..{height * width - 1}. Give the size of the '
            'map that was pooled.')
