"""A textured layer with an outline, drawn before and after its motion."""

from typing import List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from ..scenes import shapes
from ..scenes.raster import Coverage, coverage
from ..scenes.shapes import Group
from .motion import Motion

#: Pixels of texture beyond what is seen, for the cubic interpolation.
_MARGIN = 3


class Layer(NamedTuple):
    """What moves as one.

    Attributes:
        outline: Groups of contours in the first image, None for the backdrop.
        motion: To the second image.
        canvas: (h, w, 3) float32, the texture in pixels of the first image.
        corner: Row and column of the canvas' first pixel in the first image.
    """
    outline: Optional[List[Group]]
    motion: Motion
    canvas: np.ndarray
    corner: Tuple[int, int]


def canvas_box(outline: Optional[List[Group]], motion: Motion, height: int,
               width: int) -> Tuple[int, int, int, int]:
    """Return top, left, bottom, right of all texture that either image shows.

    Args:
        outline: Of the layer in the first image.
        motion: Of the layer.
        height, width: Of the images.
    """
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    seen = np.concatenate([corners, motion.inverse().move(corners)])
    low, high = seen.min(0), seen.max(0)
    if outline is not None:
        points = np.concatenate([c for group in outline for c in group])
        low, high = np.maximum(low, points.min(0)), np.minimum(high, points.max(0))
    left, top = np.floor(low).astype(int) - _MARGIN
    right, bottom = np.maximum(np.ceil(high).astype(int), (left, top)) + _MARGIN
    return int(top), int(left), int(bottom), int(right)


def covered(layer: Layer, second: bool, height: int, width: int) -> Optional[Coverage]:
    """Return what a layer covers in one of the images, None if nothing."""
    if layer.outline is None:
        return Coverage(np.ones((height, width), np.float32), 0, 0)
    outline = layer.outline
    if second:
        outline = [[layer.motion.move(c) for c in group] for group in outline]
    return coverage(outline, height, width)


def coat(layer: Layer, second: bool, found: Coverage) -> np.ndarray:
    """Return the layer's colours in the window of a coverage, (h, w, 3) float32."""
    height, width = found.alpha.shape
    top, left = layer.corner
    if not second:
        row, column = found.top - top, found.left - left
        return layer.canvas[row:row + height, column:column + width]
    back = layer.motion.inverse()
    # from the window's pixels to the canvas' pixels, both counted from centres
    offset = back.move(np.array([found.left + 0.5, found.top + 0.5])) - (
        left + 0.5, top + 0.5)
    matrix = np.concatenate([back.linear, offset[:, None]], 1)
    return cv2.warpAffine(layer.canvas, matrix, (width, height),
                          flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)


def draw_outline(rng: np.random.Generator, x: float, y: float,
                 radius: float) -> List[Group]:
    """Return a random outline about a point.

    Args:
        rng: Source of randomness.
        x, y: Its middle, pixels.
        radius: Its size, pixels.
    """
    kind = rng.integers(5)
    angle = rng.uniform(0, 2 * np.pi)
    if kind == 0:
        return [[shapes.blob(rng, x, y, radius)]]
    if kind == 1:
        return [[shapes.ellipse(x, y, radius, radius * rng.uniform(0.4, 1), angle)]]
    if kind == 2:
        return [[shapes.star(x, y, 1.2 * radius, int(rng.integers(4, 8)),
                             rng.uniform(0.35, 0.6), angle)]]
    if kind == 3:
        return [[shapes.block(x, y, radius * rng.uniform(0.3, 1.6), 1.6 * radius,
                              angle)]]
    inner = radius * rng.uniform(0.4, 0.65)
    return [[shapes.ellipse(x, y, radius, radius),
             shapes.ellipse(x, y, inner, inner)]]
