"""How an image falls into regions, and how well these keep to the classes.

The number that decides what RANet's regions are worth is the threshold of the
similarity; which one suits a model is a matter of its maps, and seen here.
"""

from typing import NamedTuple, Optional

import numpy as np


class RegionStatistics(NamedTuple):
    """Of one image.

    Attributes:
        regions: Their number.
        largest: Share of the pixels that lie in the largest region, (0, 1].
        pure: Labelled pixels whose class is the most frequent one of their
            region; None without labels.
        labelled: Pixels that have a label; None without labels.
    """
    regions: int
    largest: float
    pure: Optional[int] = None
    labelled: Optional[int] = None


def region_statistics(regions: np.ndarray, truth: Optional[np.ndarray] = None,
                      ignore_index: int = 255) -> RegionStatistics:
    """Count the regions of an image, and the pixels that agree in them.

    Regions of one pixel are all pure: read ``pure`` beside ``regions``.

    Args:
        regions: (H, W) integers, a region each.
        truth: (H, W) class ids, or None where unknown.
        ignore_index: The id in ``truth`` that is no class.

    Raises:
        ValueError: No pixel, or ``truth`` has another shape.
    """
    if regions.size == 0:
        raise ValueError(f'regions has no pixel: shape {regions.shape}.')
    ids, numbers, sizes = np.unique(regions, return_inverse=True,
                                    return_counts=True)
    largest = float(sizes.max() / regions.size)
    if truth is None:
        return RegionStatistics(len(ids), largest)
    if truth.shape != regions.shape:
        raise ValueError(f'truth must have the shape of regions {regions.shape}, '
                         f'got {truth.shape}.')
    known = truth.ravel() != ignore_index
    pairs, votes = np.unique(
        np.stack([numbers.ravel()[known], truth.ravel()[known].astype(np.int64)]),
        axis=1, return_counts=True)
    best = np.zeros(len(ids), np.int64)
    np.maximum.at(best, pairs[0], votes)
    return RegionStatistics(len(ids), largest, int(best.sum()), int(known.sum()))
