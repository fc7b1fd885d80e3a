"""Soft masks of boxes, pasted into the image.

A mask of m x m covers its box. The pixel centres inside the box read it, with
half-pixel centres and the outermost cells repeated: pixel i of box low..high reads
(i + .5 - low) / (high - low) m - .5. Pixels whose centres lie outside are 0.
``offset`` is explained in :mod:`segaware_mm.ops.box_overlap`; with 1 a box of whole
numbers from a to b covers the b - a + 1 pixels a..b.

Pasting is separable: rows times mask times columns. So is a weighted sum of pasted
masks, which one product of matrices gives without any pasted mask of its own.

Shapes: R masks of m x m, H x W the image.
"""

import math
from typing import List, NamedTuple, Sequence, Tuple

import torch
from torch import Tensor

from .bilinear import line_weights
from .box_overlap import check_boxes, check_offset
from .checks import check_number, check_same, check_size, check_tensor
from .local_checks import check_device
from .precision import no_autocast, wide_dtype

#: Elements of the factors of one product.
ELEMENTS = 1 << 21
#: Rounding of float32 sums that a threshold forgives: equal counts as reached.
ROUNDING = 1e-6


class Window(NamedTuple):
    """Pixels [top, bottom) x [left, right) of the image."""

    top: int
    bottom: int
    left: int
    right: int


def soft_paste(mask_probs: Tensor, boxes: Tensor, image_size: Sequence[int],
               *, offset: int = 1) -> Tensor:
    """Return masks pasted into their boxes.

    The gradient reaches ``mask_probs``; boxes count as constants. The result is
    R images; :func:`paste_masks` is meant for many.

    Args:
        mask_probs: (R, m, m), soft.
        boxes: (R, 4) in pixels.
        image_size: (H, W).
        offset: 0 for continuous boxes, 1 for inclusive corners.

    Returns:
        (R, H, W) in the format of ``mask_probs``, 0 outside the boxes.

    Raises:
        TypeError, ValueError: A wrong shape, dtype or value; the message names
            the argument.
    """
    size = check_paste(mask_probs, boxes, image_size, offset)
    whole = Window(0, size[0], 0, size[1])
    wide = wide_dtype(mask_probs)
    with no_autocast(mask_probs.device):
        rows, columns = _factors(boxes, mask_probs, whole, offset)
        return (rows @ mask_probs.to(wide) @ columns.mT).to(mask_probs.dtype)


@torch.no_grad()
def paste_masks(mask_probs: Tensor, boxes: Tensor, image_size: Sequence[int],
                threshold: float = 0.4, *, offset: int = 1) -> Tensor:
    """Return binary masks of the image; no soft mask of all of it is made.

    Args:
        mask_probs: (R, m, m), soft.
        boxes: (R, 4) in pixels.
        image_size: (H, W).
        threshold: A pixel is set where the pasted mask reaches it, but never
            outside the box.
        offset: As in :func:`soft_paste`.

    Returns:
        (R, H, W) bool. No gradient.

    Raises:
        TypeError, ValueError: As :func:`soft_paste`.
    """
    size = check_paste(mask_probs, boxes, image_size, offset)
    check_number('threshold', threshold, -math.inf)
    result = torch.zeros(len(boxes), *size, dtype=torch.bool, device=boxes.device)
    one = mask_probs.new_ones(1, dtype=wide_dtype(mask_probs))
    for r, window in enumerate(windows(boxes, size, offset)):
        pasted = weighted_paste(mask_probs[r:r + 1], boxes[r:r + 1], one, window, offset)
        put(result[r], window, reaches(pasted, threshold))
    return result


def reaches(values: Tensor, threshold: float) -> Tensor:
    """Return where values are at least the threshold, but for rounding."""
    return values >= threshold - ROUNDING


def put(image: Tensor, window: Window, values: Tensor) -> None:
    """Write a window into an image (H, W)."""
    image[window.top:window.bottom, window.left:window.right] = values


def weighted_paste(mask_probs: Tensor, boxes: Tensor, weights: Tensor, window: Window,
                   offset: int) -> Tensor:
    """Return the weighted sum of pasted masks in a window of the image.

    Args:
        mask_probs: (S, m, m).
        boxes: (S, 4).
        weights: (S,).
        window: Pixels wanted.
        offset: As in :func:`soft_paste`.

    Returns:
        (height, width) of the window, float32 or float64.
    """
    total = weights.new_zeros(window.bottom - window.top, window.right - window.left)
    with no_autocast(total.device):
        for part in _parts(mask_probs, window):
            masks = mask_probs[part].to(total.dtype) * weights[part, None, None]
            rows, columns = _factors(boxes[part], mask_probs, window, offset)
            rows = rows @ masks  # (s, height, m)
            total.addmm_(rows.permute(1, 0, 2).flatten(1),
                         columns.permute(0, 2, 1).flatten(0, 1))
    return total


def windows(boxes: Tensor, size: Tuple[int, int], offset: int) -> List[Window]:
    """Return, for every box, the pixels of the image whose centres lie in it."""
    result = []
    for x1, y1, x2, y2 in boxes.double().tolist():
        top, bottom = _reach(y1, y2 + offset, size[0])
        left, right = _reach(x1, x2 + offset, size[1])
        result.append(Window(top, bottom, left, right))
    return result


def union(parts: Sequence[Window]) -> Window:
    """Return the smallest window that holds all; empty ones do not count."""
    parts = [p for p in parts if p.top < p.bottom and p.left < p.right]
    if not parts:
        return Window(0, 0, 0, 0)
    top, bottom, left, right = zip(*parts)
    return Window(min(top), max(bottom), min(left), max(right))


def check_paste(mask_probs: Tensor, boxes: Tensor, image_size: Sequence[int],
                offset: int) -> Tuple[int, int]:
    """Raise unless masks, boxes and image fit together; return (H, W)."""
    check_tensor('mask_probs', mask_probs, '(R, m, m)', 3)
    if 0 in mask_probs.shape[1:]:
        raise ValueError('mask_probs must have at least one cell, got shape '
                         f'{tuple(mask_probs.shape)}.')
    check_boxes('boxes', boxes)
    check_same('boxes', boxes.shape, f'mask_probs {tuple(mask_probs.shape)}',
               (len(mask_probs), 4))
    check_device('boxes', boxes, 'mask_probs', mask_probs)
    check_offset(offset)
    return check_size('image_size', image_size)


def _reach(low: float, high: float, size: int) -> Tuple[int, int]:
    """First pixel whose centre is at least low, and first that reaches high."""
    first, stop = (min(max(math.ceil(edge - .5), 0), size) for edge in (low, high))
    return first, max(first, stop)


def _parts(mask_probs: Tensor, window: Window) -> List[slice]:
    """Masks in parts whose factors are small."""
    side = max(window.bottom - window.top, window.right - window.left, 1)
    step = max(1, ELEMENTS // (side * max(mask_probs.shape[1:])))
    return [slice(first, first + step) for first in range(0, len(mask_probs), step)]


@torch.no_grad()
def _factors(boxes: Tensor, mask_probs: Tensor, window: Window,
             offset: int) -> Tuple[Tensor, Tensor]:
    """Return the weights of rows (S, height, m) and of columns (S, width, m)."""
    result = []
    for first, stop, axis in ((window.top, window.bottom, 1),
                              (window.left, window.right, 0)):
        low = boxes[:, axis, None].double()
        length = boxes[:, axis + 2, None].double() + offset - low
        taps = mask_probs.shape[2 - axis]
        at = torch.arange(first, stop, device=boxes.device) + .5 - low
        inside = (at >= 0) & (at < length)
        place = torch.where(inside, at / length * taps - .5, 0)
        weights = line_weights(place, taps) * inside[..., None]
        result.append(weights.to(wide_dtype(mask_probs)))
    return result[0], result[1]
