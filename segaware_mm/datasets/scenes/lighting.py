"""Light and camera: shadows, gradient, colour cast, blur, noise.

All functions take (H, W, 3) float32 RGB, about [0, 1].
"""

from typing import List

import cv2
import numpy as np

from .raster import coverage
from .shapes import Group


def shade_object(rng: np.random.Generator, paint: np.ndarray,
                 light: float) -> None:
    """Brighten the side of an object that faces the light, in place.

    Args:
        rng: Source of randomness.
        paint: (h, w, 3) colours of the object's box.
        light: Direction of the light in [-1, 1], negative from the left.
    """
    height, width = paint.shape[:2]
    strength = rng.uniform(0.05, 0.16)
    x = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(
        light * strength)
    y = np.linspace(1, -1, height, dtype=np.float32) * np.float32(
        0.6 * strength)
    paint *= (1 + x[None, :] + y[:, None])[..., None]


def cast_shadow(image: np.ndarray, groups: List[Group], base: float,
                light: float, unit: float, darkness: float) -> None:
    """Darken the ground behind an object that stands on ``base``, in place.

    The object's outline is laid down: its height shrinks to a quarter and
    leans away from the light.
    """
    laid = [[
        np.stack([
            c[:, 0] - 0.6 * light * (base - c[:, 1]),
            base - 0.28 * (base - c[:, 1])
        ], axis=1) for c in group
    ] for group in groups]
    found = coverage(laid, *image.shape[:2])
    if found is not None:
        soft = cv2.blur(found.alpha, _odd(2 * unit))
        image[found.window] *= (1 - darkness * soft)[..., None]


def cloud_shadows(rng: np.random.Generator, image: np.ndarray) -> None:
    """Darken up to two large soft quadrangles, in place."""
    height, width = image.shape[:2]
    for _ in range(rng.integers(0, 3)):
        # a quarter of the resolution is enough for an edge this soft
        small = np.zeros((height // 4 + 1, width // 4 + 1), np.float32)
        centre = rng.uniform(0, 1, 2) * small.shape[::-1]
        corners = centre + rng.uniform(-0.6, 0.6, (4, 2)) * small.shape[::-1]
        hull = cv2.convexHull(corners.astype(np.float32))
        cv2.fillConvexPoly(small, hull.round().astype(np.int32), 1.0)
        small = cv2.GaussianBlur(small, (0, 0), 0.02 * max(small.shape) + 0.5)
        soft = cv2.resize(small, (width, height))
        image *= (1 - rng.uniform(0.2, 0.45) * soft)[..., None]


def illuminate(rng: np.random.Generator, image: np.ndarray) -> None:
    """Apply a linear light gradient and a colour cast, in place."""
    height, width = image.shape[:2]
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3)
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)
    gradient = 1 + np.float32(strength) * (
        np.float32(np.cos(angle)) * x[None, :] +
        np.float32(np.sin(angle)) * y[:, None]) / np.float32(1.4)
    image *= gradient[..., None]
    image *= (rng.uniform(0.85, 1.15) *
              rng.uniform(0.88, 1.12, 3)).astype(np.float32)


def expose(rng: np.random.Generator, image: np.ndarray,
           unit: float) -> np.ndarray:
    """Return what a camera saves: blurred, noisy, (H, W, 3) uint8 RGB."""
    image = cv2.GaussianBlur(image, (0, 0),
                             rng.uniform(0.3, 0.65) * max(unit, 1.0)**0.5)
    level = np.float32(rng.uniform(0.008, 0.032))
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    image += level * grain
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _odd(size: float) -> tuple:
    side = 2 * int(size / 2) + 1
    return side, side
