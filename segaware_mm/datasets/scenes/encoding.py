"""Arrays to the bytes of files."""

import io
import json
from typing import Any, Dict, List, Sequence

import cv2
import numpy as np
from PIL import Image

from .classes import VOID


def png_rgb(image: np.ndarray) -> bytes:
    """Encode (H, W, 3) uint8 RGB without loss."""
    return _cv2_encode('.png', image[..., ::-1],
                       [cv2.IMWRITE_PNG_COMPRESSION, 3])


def jpeg_rgb(image: np.ndarray) -> bytes:
    """Encode (H, W, 3) uint8 RGB as JPEG of quality 95."""
    return _cv2_encode('.jpg', image[..., ::-1],
                       [cv2.IMWRITE_JPEG_QUALITY, 95])


def png_gray(values: np.ndarray) -> bytes:
    """Encode (H, W) uint8 or uint16 without loss."""
    return _cv2_encode('.png', values, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def png_palette(values: np.ndarray, palette: Sequence[Sequence[int]]) -> bytes:
    """Encode (H, W) uint8 indices with the colours a viewer shows them in.

    Args:
        values: Indices.
        palette: Up to 256 RGB colours, each 0..255.
    """
    picture = Image.fromarray(values)
    picture.putpalette([v for color in palette for v in color])
    buffer = io.BytesIO()
    picture.save(buffer, format='PNG')
    return buffer.getvalue()


def json_bytes(content: Any) -> bytes:
    """Encode as JSON with sorted keys: equal content, equal bytes."""
    return (json.dumps(content, sort_keys=True, separators=(',', ':')) +
            '\n').encode()


def rle(mask: np.ndarray) -> Dict[str, List[int]]:
    """Encode a (H, W) bool mask as COCO's uncompressed run lengths.

    Runs go down the columns and begin with the zeros (pycocotools'
    ``frPyObjects`` reads them).
    """
    flat = mask.ravel(order='F')
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    counts = counts.tolist()
    if flat[0]:
        counts.insert(0, 0)
    return dict(size=list(mask.shape), counts=counts)


def contours_to_void(semantic: np.ndarray, instance_map: np.ndarray,
                     radius: int) -> np.ndarray:
    """Return the pixels within ``radius`` of a change of object or class.

    Args:
        semantic: (H, W) uint8 class ids.
        instance_map: (H, W) int32 instance ids, below 256.
        radius: In pixels, >= 1.

    Returns:
        (H, W) bool.
    """
    key = semantic.astype(np.uint16) * 256 + instance_map.astype(np.uint16)
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return cv2.dilate(key, kernel) != cv2.erode(key, kernel)


def voc_colormap() -> np.ndarray:
    """Return VOC's 256 colours: the bits of an index dealt to R, G, B in turn.

    Returns:
        (256, 3) uint8 RGB; 255 is (224, 224, 192).
    """
    index = np.arange(256)
    colors = np.zeros((256, 3), int)
    for level in range(8):
        for channel in range(3):
            bit = index >> (3 * level + channel) & 1
            colors[:, channel] |= bit << (7 - level)
    return colors.astype(np.uint8)


def lookup(table: Dict[int, int]) -> np.ndarray:
    """Return a (256,) uint8 table from ours to other ids; the rest is void."""
    values = np.full(256, VOID, np.uint8)
    for ours, theirs in table.items():
        values[ours] = theirs
    return values


def _cv2_encode(suffix: str, array: np.ndarray, options: List[int]) -> bytes:
    done, buffer = cv2.imencode(suffix, array, options)
    if not done:
        raise RuntimeError(f'OpenCV could not encode a {suffix} file')
    return buffer.tobytes()
