"""Views that need no family: the image, its labels, a prediction."""

from typing import Optional, Tuple

import numpy as np

from .colors import overlay, paint_classes
from .geometry import enlarge
from .registry import Picture, Subject

#: Share of the class colours over the image.
CLASS_ALPHA = 0.78


def base_image(subject: Subject) -> np.ndarray:
    """Return the image at the picture's size."""
    return enlarge(subject.image, subject.size, smooth=True)


def class_picture(subject: Subject, labels: np.ndarray, title: str,
                  note: str = '') -> Picture:
    """Return a picture of class labels over the image.

    Args:
        subject: The image.
        labels: (H, W) int.
        title, note: Of the picture.
    """
    colors = enlarge(paint_classes(labels, subject.palette), subject.size)
    present = [int(c) for c in np.unique(labels) if 0 <= c < len(subject.palette)]
    return Picture(title, overlay(base_image(subject), colors, CLASS_ALPHA), note,
                   classes=present)


def image(subject: Subject) -> Picture:
    """The image as it is."""
    height, width = subject.image.shape[:2]
    return Picture('Image', base_image(subject), f'{width} x {height} pixels')


def truth(subject: Subject) -> Picture:
    """The labels of the dataset."""
    if subject.truth is None:
        raise ValueError('the subject has no truth to draw')
    labels = np.where(subject.truth == subject.ignore_index, -1, subject.truth)
    return class_picture(subject, labels, 'Ground truth')


def scores(labels: np.ndarray, subject: Subject) -> Optional[Tuple[float, float]]:
    """Return pixel accuracy and mean IoU of a prediction, None without truth.

    The mean is over the classes that are in the truth of this image.

    Args:
        labels: (H, W) int, predicted.
        subject: The image.
    """
    if subject.truth is None:
        return None
    known = subject.truth != subject.ignore_index
    if not known.any():
        return None
    right, found = subject.truth[known], labels[known]
    overlaps = []
    for one in np.unique(right):
        both = np.sum((right == one) & (found == one))
        overlaps.append(both / np.sum((right == one) | (found == one)))
    return float(np.mean(right == found)), float(np.mean(overlaps))


def score_note(labels: np.ndarray, subject: Subject) -> str:
    """Return the line below a prediction: its scores where there is truth."""
    found = scores(labels, subject)
    score = '' if found is None else (f'{100 * found[0]:.1f} % of pixels right, '
                                      f'mIoU of this image {100 * found[1]:.1f}')
    return '; '.join(filter(None, [score, subject.remark]))
