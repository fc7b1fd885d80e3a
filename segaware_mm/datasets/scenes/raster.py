"""Polygons to pixels: the part of each pixel that an object covers.

Label and picture come from one array: a pixel carries the label of the last
object that covers at least half of it, and its colour is mixed by the same
coverage. So labels are exact, to a sixteenth of a pixel.
"""

from typing import List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from .shapes import Group

_SUB = 4  # sub-pixels a side
_SHIFT = 4  # fractional bits of a vertex


class Coverage(NamedTuple):
    """Coverage of one object, cut to the object's box inside the image.

    Attributes:
        alpha: (h, w) float32 in [0, 1].
        top: First row of the box.
        left: First column of the box.
    """
    alpha: np.ndarray
    top: int
    left: int

    @property
    def window(self) -> Tuple[slice, slice]:
        """The box as an index into the image."""
        height, width = self.alpha.shape
        return (slice(self.top, self.top + height),
                slice(self.left, self.left + width))


def coverage(groups: List[Group], height: int,
             width: int) -> Optional[Coverage]:
    """Rasterise an object.

    Args:
        groups: Outlines in pixels, see :mod:`.shapes`.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        The coverage, or None where the object lies outside the image.
    """
    every = np.concatenate([c for group in groups for c in group])
    left, top = np.maximum(np.floor(every.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(
        np.ceil(every.max(axis=0)).astype(int), (width, height))
    if right <= left or bottom <= top:
        return None
    fine = np.zeros(((bottom - top) * _SUB, (right - left) * _SUB), np.uint8)
    for group in groups:
        # sub-pixel k has its centre at (k + 0.5) / _SUB
        vertices = [
            np.round((((c - (left, top)) * _SUB) - 0.5) *
                     (1 << _SHIFT)).astype(np.int32) for c in group
        ]
        cv2.fillPoly(fine, vertices, 255, shift=_SHIFT)
    alpha = cv2.resize(
        fine, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return Coverage(alpha.astype(np.float32) / 255, top, left)
