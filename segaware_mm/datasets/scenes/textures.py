"""Textures: how much of its second colour a region shows at every pixel.

Each texture is ``f(rng, height, width, unit) -> (height, width) float32`` in
[0, 1], where ``unit`` is the length in pixels of one hundred-and-twenty-eighth
of the image's shorter side, so that a scene looks alike at every size.
"""

from typing import Callable, Dict, Tuple

import cv2
import numpy as np

Texture = Callable[[np.random.Generator, int, int, float], np.ndarray]


def noise(rng: np.random.Generator, height: int, width: int, period_y: float,
          period_x: float) -> np.ndarray:
    """Return smooth Gaussian noise, zero mean and unit variance.

    Args:
        rng: Source of randomness.
        height: Rows.
        width: Columns.
        period_y: Rough distance of two bright spots along the rows, pixels.
        period_x: The same along the columns.

    Returns:
        (height, width) float32.
    """
    step_y, step_x = max(period_y / 2.5, 1.0), max(period_x / 2.5, 1.0)
    grid = _grid(rng, int(height / step_y) + 4, int(width / step_x) + 4)
    size = (max(int(grid.shape[1] * step_x), width),
            max(int(grid.shape[0] * step_y), height))
    big = cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
    return _standard(big[:height, :width])


def oriented_noise(rng: np.random.Generator, height: int, width: int,
                   across: float, along: float, angle: float) -> np.ndarray:
    """Return noise stretched to streaks of direction ``angle`` (radians).

    ``across`` and ``along`` are the periods in pixels. (height, width)
    float32, zero mean and unit variance.
    """
    diagonal = float(np.hypot(height, width))
    step_y, step_x = max(across / 2.5, 1.0), max(along / 2.5, 1.0)
    grid = _grid(rng, int(diagonal / step_y) + 5, int(diagonal / step_x) + 5)
    cos, sin = np.cos(angle), np.sin(angle)
    # image pixel -> grid cell; the image's centre falls on the grid's
    matrix = np.array([[cos / step_x, sin / step_x, 0],
                       [-sin / step_y, cos / step_y, 0]])
    matrix[:, 2] = (np.array(grid.shape[::-1]) / 2 -
                    matrix[:, :2] @ (width / 2, height / 2))
    return _standard(
        cv2.warpAffine(
            grid,
            matrix, (width, height),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT))


def blotches(rng: np.random.Generator, height: int, width: int,
             unit: float) -> np.ndarray:
    """Spots without a direction: the bush."""
    period = rng.uniform(5.0, 7.0) * unit
    return _two_tone(noise(rng, height, width, period, period))


def layers(rng: np.random.Generator, height: int, width: int,
           unit: float) -> np.ndarray:
    """Short streaks with one direction: the rock. Same histogram as the bush."""
    period = rng.uniform(4.5, 6.0) * unit
    return _two_tone(
        oriented_noise(rng, height, width, period, 5.0 * period,
                       rng.uniform(0, np.pi)))


def plain(rng: np.random.Generator, height: int, width: int,
          unit: float) -> np.ndarray:
    """A slow change of tone."""
    period = rng.uniform(40, 70) * unit
    return 0.5 + 0.18 * np.clip(
        noise(rng, height, width, period, period), -2.5, 2.5)


def speckle(rng: np.random.Generator, height: int, width: int,
            unit: float) -> np.ndarray:
    """Fine grain."""
    return _two_tone(noise(rng, height, width, 2.5 * unit, 2.5 * unit))


def bricks(rng: np.random.Generator, height: int, width: int,
           unit: float) -> np.ndarray:
    """Rows of bricks with joints of the other colour."""
    brick_h = rng.uniform(3.5, 5.5) * unit
    return _cells(rng, height, width, rng.uniform(1.6, 2.4) * brick_h,
                  brick_h, 0.7 * unit, shift=0.5)


def windows(rng: np.random.Generator, height: int, width: int,
            unit: float) -> np.ndarray:
    """A grid of openings in a front."""
    side = rng.uniform(6.0, 9.0) * unit
    return _cells(rng, height, width, side * rng.uniform(0.8, 1.2), side,
                  rng.uniform(2.2, 3.2) * unit, shift=0.0)


def planks(rng: np.random.Generator, height: int, width: int,
           unit: float) -> np.ndarray:
    """Upright boards."""
    return _cells(rng, height, width, rng.uniform(3.5, 6.0) * unit,
                  rng.uniform(25, 60) * unit, 0.7 * unit, shift=0.37)


def clouds(rng: np.random.Generator, height: int, width: int,
           unit: float) -> np.ndarray:
    """Soft banks in two scales, wider than high: the sky."""
    period = rng.uniform(22, 40) * unit
    field = noise(rng, height, width, period, 2 * period)
    field = field + 0.5 * noise(rng, height, width, period / 2.5, period)
    return 0.5 + 0.5 * np.tanh(0.7 * field)


def furrows(rng: np.random.Generator, height: int, width: int,
            unit: float) -> np.ndarray:
    """Level streaks that grow towards the viewer: the ground."""
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    # equal steps on the ground shrink as 1 / depth towards the horizon
    depth_row = 6.0 * np.log1p(6.0 * rows)
    tall = max(int(np.ceil(depth_row[-1])) + 4, 8)
    period = rng.uniform(9, 16) * unit
    grid = _grid(rng, tall, int(width * 2.5 / period) + 6)
    centre = (np.arange(width, dtype=np.float32) - width / 2) * 2.5 / period
    scale = (1.6 / (0.6 + 1.4 * rows))[:, None]
    columns = np.clip(centre[None] * scale * 0.7 + grid.shape[1] / 2, 0,
                      grid.shape[1] - 1).astype(np.float32)
    field = cv2.remap(
        grid,
        columns,
        np.broadcast_to(depth_row[:, None], columns.shape).astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT)
    fine = noise(rng, height, width, 2.5 * unit, 5.0 * unit)
    return 0.5 + 0.5 * np.tanh(0.8 * _standard(field) + 0.35 * fine)


#: Materials of towers and walls, one list for both.
BUILDING = ('bricks', 'windows', 'planks')
#: What a disc, a ring or a star carries, mostly one of the first two.
ANY = ('plain', 'speckle', 'blotches', 'layers') + BUILDING
_ANY_SHARES = (0.4, 0.3) + 5 * (0.06, )

TEXTURES: Dict[str, Texture] = {
    f.__name__: f
    for f in (blotches, layers, plain, speckle, bricks, windows, planks,
              clouds, furrows)
}


def _grid(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    return cv2.GaussianBlur(grid, (0, 0), 0.7)


def _standard(field: np.ndarray) -> np.ndarray:
    return (field - field.mean()) / max(float(field.std()), 1e-6)


def _two_tone(field: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(2.0 * field)


def _cells(rng: np.random.Generator, height: int, width: int, cell_w: float,
           cell_h: float, joint: float, shift: float) -> np.ndarray:
    """Return cells of about 0.25 and joints of about 0.9 between them."""
    y = np.arange(height, dtype=np.float32) + rng.uniform(0, cell_h)
    x = np.arange(width, dtype=np.float32) + rng.uniform(0, cell_w)
    row = (y // cell_h).astype(np.int32)
    across = x[None] + (row * shift % 1.0)[:, None].astype(np.float32) * cell_w
    column = (across // cell_w).astype(np.int32)
    tones = rng.uniform(0.0, 0.45, (16, 16)).astype(np.float32)
    gap_y = _ramp(y % cell_h, joint)
    gap_x = _ramp(across % cell_w, joint)
    gap = np.maximum(gap_x, gap_y[:, None])
    return tones[row[:, None] % 16, column % 16] * (1 - gap) + 0.95 * gap


def _ramp(position: np.ndarray, joint: float) -> np.ndarray:
    """Return 1 in a joint, 0 beyond, with an edge of one pixel."""
    return np.clip(joint - position + 0.5, 0, 1)


def texture_pair(rng: np.random.Generator) -> Tuple[str, str]:
    """Return two different textures of :data:`ANY`: a body and its spot."""
    first, second = rng.choice(len(ANY), 2, replace=False, p=_ANY_SHARES)
    return ANY[first], ANY[second]
