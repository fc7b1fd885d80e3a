"""Where the image lies in the network's input, and the way back to its pixels.

``PadToSquare`` pads an image at the right and the bottom to a square, which is resized
to the network's size; a batch may be padded further, test views may be flipped. The
steps are undone in the reverse order. Shapes: K maps, h x w a map of the whole input,
H x W the image.
"""

from typing import Any, Mapping, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.checks import check_choice

Size = Tuple[int, int]


def padding_of(meta: Mapping[str, Any]) -> Tuple[int, int, int, int]:
    """Return the padding (left, right, top, bottom) of a batch around an input."""
    padding = meta.get('img_padding_size', meta.get('padding_size'))
    return (0, 0, 0, 0) if padding is None else tuple(int(n) for n in padding)


def flipped_axes(meta: Mapping[str, Any]) -> Tuple[int, ...]:
    """Return which axes of an image, 0 vertical and 1 horizontal, were flipped.

    Raises:
        ValueError: An unknown direction.
    """
    if not meta.get('flip'):
        return ()
    axes = dict(horizontal=(1, ), vertical=(0, ), diagonal=(0, 1))
    direction = meta.get('flip_direction') or 'horizontal'
    check_choice('flip_direction', direction, tuple(axes))
    return axes[direction]


def resized(maps: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Return maps (K, C, h, w) at another size, bilinear; the same where it is theirs."""
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    return F.interpolate(maps, tuple(size), mode='bilinear', align_corners=align_corners)


def to_image(maps: Tensor, input_size: Sequence[int], meta: Mapping[str, Any],
             align_corners: bool = False) -> Tensor:
    """Bring maps of the network's input to the pixels of the image.

    Args:
        maps: (K, C, h, w) of the whole input.
        input_size: (height, width) of the input.
        meta: Of the sample. ``square_side`` and ``valid_shape`` (h, w) are of
            ``PadToSquare``, ``padding_size`` or ``img_padding_size`` of the batch,
            ``flip`` and ``flip_direction`` of a test view; ``ori_shape`` is the size
            of the image. What is absent was not done.
        align_corners: As the network resizes.

    Returns:
        (K, C, H, W).
    """
    left, right, top, bottom = padding_of(meta)
    if left or right or top or bottom:
        height, width = input_size
        maps = resized(maps, input_size, align_corners)
        maps = maps[..., top:height - bottom, left:width - right]
    if flipped_axes(meta):
        maps = maps.flip([axis + 2 for axis in flipped_axes(meta)])
    side = meta.get('square_side')
    if side is not None:
        height, width = meta['valid_shape'][:2]
        maps = resized(maps, (int(side), int(side)), align_corners)
        maps = maps[..., :height, :width]
    if meta.get('ori_shape') is not None:
        return resized(maps, meta['ori_shape'][:2], align_corners)
    return maps if side is not None else resized(maps, _inner(input_size, meta),
                                                 align_corners)


def image_size(input_size: Sequence[int], meta: Mapping[str, Any]) -> Size:
    """Return (H, W), the size to which :func:`to_image` brings maps."""
    if meta.get('ori_shape') is not None:
        return tuple(int(n) for n in meta['ori_shape'][:2])
    if meta.get('square_side') is not None:
        return tuple(int(n) for n in meta['valid_shape'][:2])
    return _inner(input_size, meta)


def _inner(input_size: Sequence[int], meta: Mapping[str, Any]) -> Size:
    left, right, top, bottom = padding_of(meta)
    return input_size[0] - top - bottom, input_size[1] - left - right


def valid_positions(map_size: Sequence[int], input_size: Sequence[int],
                    meta: Mapping[str, Any]) -> Tensor:
    """Return (1, h, w) bool: positions whose centre is a pixel of the image.

    Args:
        map_size: (h, w) of the encoder's map.
        input_size: (height, width) of the input.
        meta: As of :func:`to_image`.
    """
    left, _, top, _ = padding_of(meta)
    spans = []
    for axis, (start, length) in enumerate(zip((top, left), _inner(input_size, meta))):
        inside = length
        if meta.get('square_side') is not None:
            inside = length * meta['valid_shape'][axis] / meta['square_side']
        start = start + length - inside if axis in flipped_axes(meta) else start
        step = input_size[axis] / map_size[axis]
        centres = (torch.arange(map_size[axis]) + 0.5) * step
        span = (centres >= start) & (centres < start + inside)
        if not span.any():  # thinner than a position: the nearest one
            span[(centres - start - inside / 2).abs().argmin()] = True
        spans.append(span)
    return (spans[0][:, None] & spans[1])[None]
