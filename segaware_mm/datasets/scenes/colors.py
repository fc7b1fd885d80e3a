"""One palette a scene, for all classes.

What an object is painted with depends only on what lies behind it (the two
must differ enough to be seen), never on its class.
"""

import colorsys
from typing import Tuple

import numpy as np

_LUMA = np.array([0.3, 0.59, 0.11], np.float32)


def scene_palette(rng: np.random.Generator, count: int = 9) -> np.ndarray:
    """Draw the colours of a scene.

    Args:
        rng: Source of randomness.
        count: Number of colours.

    Returns:
        (count, 3) float32 RGB in [0, 1]: hues around two anchors, lightness
        spread evenly from dark to light.
    """
    anchors = rng.uniform(0, 1, 2)
    light = np.linspace(0.2, 0.85, count) + rng.uniform(-0.03, 0.03, count)
    colors = []
    for value in rng.permutation(light):
        hue = anchors[rng.integers(2)] + rng.normal(0, 0.07)
        colors.append(
            colorsys.hls_to_rgb(hue % 1.0, value, rng.uniform(0.05, 0.6)))
    return np.array(colors, np.float32)


def pick_pair(rng: np.random.Generator, palette: np.ndarray,
              behind: np.ndarray,
              contrast: float = 1.0) -> Tuple[np.ndarray, np.ndarray]:
    """Choose the two colours of a region.

    Args:
        rng: Source of randomness.
        palette: (K, 3) colours of the scene.
        behind: (3,) mean colour of what the region will hide.
        contrast: Factor on the difference of the two colours.

    Returns:
        Two colours, (3,) float32 each: the first of four drawn pairs whose
        middle differs visibly from ``behind``, else the one that differs
        most.
    """
    best, best_gap = None, -1.0
    for _ in range(4):
        first = palette[rng.integers(len(palette))]
        # the second tone is the first one, lighter or darker: a pair of far
        # colours would hide the outline under its own texture
        change = contrast * rng.uniform(0.14, 0.28) * rng.choice((-1.0, 1.0))
        if not 0.08 < float(first @ _LUMA) + change < 0.95:
            change = -change
        tint = palette[rng.integers(len(palette))]
        mix = 0.25 * contrast
        second = np.clip(
            first + mix * (tint - first) - mix * ((tint - first) @ _LUMA) +
            change, 0.02, 0.98)
        gap = float(np.abs((first + second) / 2 - behind).mean())
        if gap > best_gap:
            best, best_gap = (first, second.astype(np.float32)), gap
        if gap > 0.16:
            break
    return best
