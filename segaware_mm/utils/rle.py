"""Masks as run lengths (COCO's RLE): some hundred bytes instead of a map of pixels.

An RLE is ``{'size': [H, W], 'counts': ...}``, as pycocotools reads and writes it.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

Rle = Dict[str, Any]


def encode_mask(mask: np.ndarray) -> Rle:
    """Encode one mask.

    Args:
        mask: (H, W); not 0 is inside.

    Returns:
        dict: The RLE, its counts bytes.
    """
    from pycocotools import mask as coco
    return coco.encode(np.asfortranarray(mask != 0, dtype=np.uint8))


def as_rles(masks: Any, size: Optional[Tuple[int, int]] = None,
            name: str = 'masks') -> List[Rle]:
    """Return masks of any usual form as RLEs, encoding one at a time.

    Args:
        masks: A tensor or array (N, H, W), bool or integer; mmdet's ``BitmapMasks``
            or ``PolygonMasks``; or a list of RLEs, arrays (H, W) or polygons, each
            a list of [x1, y1, x2, y2, ...].
        size: (H, W), for polygons in a list.
        name: What the masks are, for messages.

    Raises:
        TypeError, ValueError: Another form, floating masks, polygons without size.
    """
    if hasattr(masks, 'masks') and hasattr(masks, 'height'):
        size = (masks.height, masks.width)
        masks = list(masks.masks)
    if not isinstance(masks, (list, tuple)):
        shape = getattr(masks, 'shape', None)
        if shape is None or len(shape) != 3:
            got = type(masks).__name__ if shape is None else f'shape {tuple(shape)}'
            raise TypeError(f'{name} must be (N, H, W), a list, or masks of mmdet; got '
                            f'{got}.')
    return [_as_rle(mask, size, name) for mask in masks]


def _as_rle(mask: Any, size: Optional[Tuple[int, int]], name: str) -> Rle:
    if isinstance(mask, dict):
        if isinstance(mask['counts'], (list, tuple)):
            return _from_parts(mask, mask['size'])
        return mask
    if isinstance(mask, (list, tuple)):
        if size is None:
            raise ValueError(f'{name} are polygons; their (height, width) is wanted too.')
        return _merged(usable_polygons(mask), size)
    if hasattr(mask, 'cpu'):
        mask = mask.detach().cpu().numpy()
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype.kind not in 'biu':
        raise TypeError(f'{name} must be bool or integer maps (H, W), got {mask.dtype} '
                        f'of shape {mask.shape}; compare probabilities with a '
                        'threshold first.')
    return encode_mask(mask)


def _from_parts(parts: Any, size: Sequence[int]) -> Any:
    from pycocotools import mask as coco
    return coco.frPyObjects(parts, *(int(n) for n in size))


def usable_polygons(polygons: Sequence[Any]) -> List[List[float]]:
    """Return the polygons of a mask that have three corners or more."""
    flat = [np.asarray(polygon, np.float64).tolist() for polygon in polygons]
    return [one for one in flat if len(one) >= 6 and len(one) % 2 == 0]


def _merged(polygons: List[List[float]], size: Sequence[int]) -> Rle:
    from pycocotools import mask as coco
    if not polygons:
        return encode_mask(np.zeros(size, np.uint8))
    return coco.merge(_from_parts(polygons, size))


def rle_counts(counts: Any) -> np.ndarray:
    """Return the lengths of the runs of an RLE, the first outside.

    pycocotools' own reader trusts what it reads; this is for files of others.

    Args:
        counts: Of the RLE: lengths, or the string or bytes that stand for them. A number
            is written in groups of 5 bits, low ones first, each with a bit for "more" as
            one character from '0' on; from the fourth on, numbers are differences to the
            one two before.

    Returns:
        (N,) int64. Inside are those at odd places.

    Raises:
        ValueError: No such string.
    """
    if isinstance(counts, (list, tuple)):
        return np.asarray(counts, np.int64)
    text = counts.encode('utf-8', 'surrogatepass') if isinstance(counts, str) else counts
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if len(codes) == 0:
        return codes
    if codes.min() < 0 or codes.max() > 63:
        raise ValueError('has a character that no RLE has')
    ends = np.flatnonzero(codes < 32)
    if codes[-1] >= 32:
        raise ValueError('ends within a number')
    starts = np.append(0, ends[:-1] + 1)
    sizes = ends - starts + 1
    if sizes.max() > 7:  # 35 bits
        raise ValueError('has a number that no image has')
    place = np.arange(len(codes)) - np.repeat(starts, sizes)
    values = np.add.reduceat((codes & 31) << (5 * place), starts)
    values -= np.where(codes[ends] & 16, 1 << (5 * sizes), 0)  # the sign
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def mask_iou(first: Sequence[Rle], second: Sequence[Rle]) -> np.ndarray:
    """Return the intersection over union of every pair.

    Args:
        first: D masks.
        second: G masks of the same image.

    Returns:
        (D, G) float64; 0 where both masks are empty.

    Raises:
        ValueError: Masks of different sizes.
    """
    from pycocotools import mask as coco
    sizes = {tuple(int(n) for n in rle['size']) for rle in (*first, *second)}
    if len(sizes) > 1:
        raise ValueError('masks of one image have different sizes (height, width): '
                         f'{", ".join(map(str, sorted(sizes)))}.')
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)))
    return coco.iou(list(first), list(second), [0] * len(second))
