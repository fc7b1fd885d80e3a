"""Several small pictures in one: a map for each label of an image."""

from typing import Sequence, Tuple

import numpy as np

from .geometry import enlarge
from .tags import Tag, draw_tags

#: Tiles in a picture, at most.
MOST = 9
#: Colour between and behind the tiles; pixels between them.
GROUND, GAP = 255, 4


def grid_side(count: int) -> int:
    """Return n of the n x n grid that so many tiles are laid out in."""
    return max(1, int(np.ceil(np.sqrt(min(count, MOST)))))


def tile(pictures: Sequence[np.ndarray], names: Sequence[str],
         colors: Sequence[Sequence[int]], size: Tuple[int, int]) -> np.ndarray:
    """Return a picture of a size with smaller ones in it, each with its name.

    Args:
        pictures: (h, w, 3) uint8, of the size's proportions; those beyond
            :data:`MOST` are left out.
        names: What stands in the corner of each.
        colors: RGB of the names' grounds.
        size: (height, width).
    """
    side = grid_side(len(pictures))
    gap = GAP if side > 1 else 0
    height, width = (max(1, (n - (side - 1) * gap) // side) for n in size)
    out = np.full((*size, 3), GROUND, np.uint8)
    for k, (picture, name, color) in enumerate(zip(pictures[:MOST], names, colors)):
        y, x = (place * (step + gap) for place, step in
                zip(divmod(k, side), (height, width)))
        small = enlarge(picture, (height, width), smooth=True)
        tagged, _ = draw_tags(small, [Tag(name, (0, 0, 0, 0), color)])
        out[y:y + height, x:x + width] = tagged
    return out
