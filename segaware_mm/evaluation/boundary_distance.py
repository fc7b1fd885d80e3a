"""How far every pixel is from the boundary of its label."""

import cv2
import numpy as np


def boundary_distance(labels: np.ndarray, ignore_index: int = 255,
                      void_is_other: bool = False) -> np.ndarray:
    """Return the distance of every pixel to the nearest of another label.

    Pixels on both sides of a boundary have distance 1.

    Args:
        labels: (H, W) integers.
        ignore_index: Label of pixels that are not evaluated.
        void_is_other: Count ignored pixels as another label. VOC draws its void
            lines on the boundaries, so its trimaps want True.

    Returns:
        (H, W) float32, Euclidean, in pixels; infinite where there is no other
        label, and for ignored pixels.
    """
    valid = labels != ignore_index
    out = np.full(labels.shape, np.inf, np.float32)
    for label in np.unique(labels[valid]):
        own = labels == label
        other = ~own if void_is_other else valid & ~own
        if other.any():
            # The distance of every pixel to the nearest zero.
            distance = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2,
                                             cv2.DIST_MASK_PRECISE)
            out[own] = distance[own]
    return out
