"""Outlines of the objects as polygons.

A contour is an (N, 2) float array of x, y in pixels, where pixel (row i,
column j) covers [j, j+1) x [i, i+1). A group is a list of contours filled by
the even-odd rule (a second contour inside the first is a hole); an object is
a list of groups, whose union it covers.
"""

from typing import List

import numpy as np

Group = List[np.ndarray]


def ellipse(cx: float, cy: float, rx: float, ry: float,
            angle: float = 0.0) -> np.ndarray:
    """Return an ellipse of radii ``rx``, ``ry`` turned by ``angle`` radians."""
    steps = int(np.clip(max(rx, ry) * 2, 24, 160))
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return _place(rx * np.cos(t), ry * np.sin(t), cx, cy, angle)


def star(cx: float, cy: float, radius: float, points: int, depth: float,
         angle: float) -> np.ndarray:
    """Return a star; ``depth`` in (0, 1) is its inner radius over its outer."""
    t = np.arange(2 * points) * np.pi / points
    r = np.where(np.arange(2 * points) % 2 == 0, radius, radius * depth)
    return _place(r * np.sin(t), -r * np.cos(t), cx, cy, angle)


def blob(rng: np.random.Generator, cx: float, cy: float,
         radius: float) -> np.ndarray:
    """Return a lumpy outline around a point, as of a bush or a rock.

    The radius varies by four harmonics of random strength and phase.
    """
    t = np.linspace(0, 2 * np.pi, int(np.clip(radius * 3, 40, 240)),
                    endpoint=False)
    r = np.ones_like(t)
    for order, strength in zip((2, 3, 5, 8), (0.12, 0.10, 0.07, 0.04)):
        r += strength * rng.uniform(0.3, 1.2) * np.sin(
            order * t + rng.uniform(0, 2 * np.pi))
    r *= radius
    stretch = rng.uniform(0.85, 1.3)
    return _place(r * np.cos(t) * stretch, r * np.sin(t), cx, cy, 0.0)


def block(cx: float, base: float, width: float, height: float,
          lean: float) -> np.ndarray:
    """Return an upright rectangle on ``base`` that leans by ``lean`` radians."""
    x = np.array([-0.5, 0.5, 0.5, -0.5]) * width
    y = np.array([-1.0, -1.0, 0.0, 0.0]) * height
    return _place(x, y, cx, base, lean)


def band(points: np.ndarray, width: float) -> np.ndarray:
    """Return the outline of a line of ``width`` pixels through ``points``."""
    step = np.gradient(points, axis=0)
    step /= np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9)
    side = 0.5 * width * np.stack([-step[:, 1], step[:, 0]], axis=1)
    return np.concatenate([points + side, (points - side)[::-1]])


def hanging_line(start: np.ndarray, end: np.ndarray, sag: float,
                 steps: int = 24) -> np.ndarray:
    """Return points of a wire between two points that hangs by ``sag``."""
    t = np.linspace(0, 1, steps)[:, None]
    line = start + (end - start) * t
    line[:, 1:] += 4 * sag * t * (1 - t)
    return line


def _place(x: np.ndarray, y: np.ndarray, cx: float, cy: float,
           angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cx + cos * x - sin * y, cy + sin * x + cos * y], axis=1)
