"""Affine motions of the plane, in pixels.

A point (x, y) of the first image moves to ``linear @ (x, y) + shift`` in the
second; x to the right, y down, the centre of pixel (row i, column j) is
(j + 0.5, i + 0.5).
"""

from typing import NamedTuple, Tuple

import numpy as np


class Motion(NamedTuple):
    """An affine map.

    Attributes:
        linear: (2, 2) float64.
        shift: (2,) float64.
    """
    linear: np.ndarray
    shift: np.ndarray

    def move(self, points: np.ndarray) -> np.ndarray:
        """Return where points (..., 2) go."""
        return points @ self.linear.T + self.shift

    def after(self, other: 'Motion') -> 'Motion':
        """Return the motion ``other`` followed by this one."""
        return Motion(self.linear @ other.linear, self.move(other.shift))

    def inverse(self) -> 'Motion':
        """Return the motion back."""
        back = np.linalg.inv(self.linear)
        return Motion(back, -back @ self.shift)

    def flow(self, height: int, width: int) -> np.ndarray:
        """Return how far every pixel goes, (height, width, 2) float64."""
        points = pixel_centres(height, width)
        return self.move(points) - points


def pixel_centres(height: int, width: int) -> np.ndarray:
    """Return x and y of the pixels' centres, (height, width, 2)."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y], 2)


def draw_motion(rng: np.random.Generator, centre: Tuple[float, float], reach: float,
                turn: float, growth: float, shear: float = 0.02) -> Motion:
    """Draw a motion about a centre.

    Args:
        rng: Source of randomness.
        centre: x, y of the point that only the shift moves.
        reach: Standard deviation of the shift along each axis, pixels.
        turn: Standard deviation of the rotation, radians.
        growth: Standard deviation of the log of the size's change.
        shear: Standard deviation of the slant.
    """
    angle, log_size, slant = np.clip(rng.normal(size=3), -2.5, 2.5) * (
        turn, growth, shear)
    cos, sin = np.exp(log_size) * np.cos(angle), np.exp(log_size) * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, slant], [0, 1]])
    shift = np.clip(rng.normal(size=2), -2.5, 2.5) * reach
    return Motion(linear, np.asarray(centre) - linear @ centre + shift)
