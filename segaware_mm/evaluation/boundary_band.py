"""The bands inside masks that Boundary IoU compares.

Cheng, Girshick, Dollar, Berg, Kirillov, "Boundary IoU: Improving Object-Centric Image
Segmentation Evaluation", CVPR 2021, section 4: G_d are the pixels within distance d of
the contour of mask G, P_d those of P, and

    Boundary IoU = |(G_d & G) & (P_d & P)| / |(G_d & G) | (P_d & P)|.

Distance is that of a square: G_d & G are the pixels of G that d erosions by 3 x 3
pixels take away. It needs two running extrema for all labels of a map at once, where
Euclidean distances (:mod:`segaware_mm.evaluation.boundary_distance`) need a transform
for each. The frame of the image is part of the contour: an object that it cuts ends
there.
"""

import cv2
import numpy as np


def band_radius(height: int, width: int, ratio: float) -> int:
    """Return d of an image: a part of its diagonal, in whole pixels, at least 1.

    Args:
        height, width: Of the image.
        ratio: 0.02 in the paper, 0.005 for Cityscapes.
    """
    return max(1, round(ratio * float(np.hypot(height, width))))


def check_ratio(ratio: float) -> float:
    """Return ``ratio``, or raise ValueError where it is no part of a diagonal."""
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) \
            or not 0 < ratio < 1:
        raise ValueError('ratio is the width of the band over the diagonal of the image, '
                         f'in (0, 1) as 0.02, got {ratio!r}.')
    return float(ratio)


def label_bands(labels: np.ndarray, radius: int, ignore_index: int = 255,
                void_is_other: bool = False) -> np.ndarray:
    """Return which pixels of a label map lie in the band of their label.

    Args:
        labels: (H, W) integers below 2^24.
        radius: d in pixels, 1 and more.
        ignore_index: Label of pixels that are not evaluated; they are in no band.
        void_is_other: Borders of ignored areas are contours too.

    Returns:
        (H, W) bool.
    """
    valid = labels != ignore_index
    square = _square(radius, labels.shape)
    values = labels.astype(np.float32)  # cv2 filters no int32 or int64
    if void_is_other:
        near = (cv2.dilate(values, square) != values) \
            | (cv2.erode(values, square) != values)
    else:
        near = (cv2.dilate(np.where(valid, values, -np.inf), square) != values) \
            | (cv2.erode(np.where(valid, values, np.inf), square) != values)
    for edge in (near[:radius], near[-radius:], near[:, :radius], near[:, -radius:]):
        edge[...] = True
    return near & valid


def mask_band(mask: np.ndarray, radius: int) -> np.ndarray:
    """Return the band of one mask.

    Args:
        mask: (H, W); not 0 is inside.
        radius: d in pixels, 1 and more.

    Returns:
        (H, W) uint8 of 0 and 1.
    """
    out = np.zeros(mask.shape, np.uint8)
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return out
    # What lies around the mask is outside as what lies around the image is.
    place = np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    inside = (mask[place] != 0).astype(np.uint8)
    core = cv2.erode(inside, _square(radius, inside.shape),
                     borderType=cv2.BORDER_CONSTANT, borderValue=0)
    out[place] = inside - core
    return out


def _square(radius: int, shape: tuple) -> np.ndarray:
    """The neighbours of a pixel, none of them farther than a map of that shape goes."""
    radius = min(radius, max(shape))
    return np.ones((2 * radius + 1, ) * 2, np.uint8)
