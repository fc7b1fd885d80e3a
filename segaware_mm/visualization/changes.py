"""Where two predictions of an image differ, and which of them is right there."""

import numpy as np

from .colors import overlay
from .common_views import base_image
from .geometry import enlarge
from .registry import Picture, Subject

RIGHT, WRONG, OTHER = (46, 204, 113), (231, 60, 60), (255, 196, 0)


def changed_picture(subject: Subject, first: np.ndarray, last: np.ndarray,
                    title: str) -> Picture:
    """Return a picture of what differs.

    Args:
        subject: The image.
        first, last: (H, W) int, the two predictions.
        title: Of the picture.
    """
    changed = first != last
    colors = np.zeros(first.shape + (3, ), np.uint8)
    colors[changed] = OTHER
    note = f'changed {100 * changed.mean():.1f} %'
    if subject.truth is not None:
        known = changed & (subject.truth != subject.ignore_index)
        better = known & (last == subject.truth)
        worse = known & (first == subject.truth)
        colors[better], colors[worse] = RIGHT, WRONG
        note = (f'now right {100 * better.mean():.1f} % (green), now wrong '
                f'{100 * worse.mean():.1f} % (red), else yellow')
    colors = enlarge(colors, subject.size)
    painted = overlay(base_image(subject), colors, 0.75)
    plain = overlay(base_image(subject), np.zeros_like(colors), 0.45)
    shown = colors.any(2, keepdims=True)
    return Picture(title, np.where(shown, painted, plain), note)
