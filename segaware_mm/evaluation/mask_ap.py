"""Average precision of instances that are matched by the IoU of their masks: AP^r.

Hariharan, Arbelaez, Girshick, Malik, "Simultaneous Detection and Segmentation",
ECCV 2014, section 5; the protocol that MNC (Dai et al., CVPR 2016) and others report
on VOC 2012. In every class, detections are taken by falling score. Each belongs to the
instance of its image and class that it overlaps most. It is true where the IoU reaches
the threshold and no better one has taken that instance before, else false: a second
detection of an instance is an error, and does not move on to the next best.

Numpy alone. Shapes: D detections, G instances, T thresholds of the IoU.
"""

from typing import Optional, Sequence, Tuple

import numpy as np

TRUE, FALSE, IGNORED = 1, 0, -1
MODES = ('11points', 'area')
#: A recall that equals one of the 11 points may lie a rounding error below it.
SLACK = 1e-12


def match_detections(ious: np.ndarray, iou_thrs: Sequence[float],
                     ignore: Optional[np.ndarray] = None) -> np.ndarray:
    """Say which detections of one class in one image are true.

    Args:
        ious: (D, G) IoU of masks; detections by falling score.
        iou_thrs: T thresholds; an IoU that equals it is enough.
        ignore: (G,) bool: instances that are neither to be found nor an error to find
            ("difficult" in VOC). A detection that overlaps one of them most, and
            enough, does not count, however many there are.

    Returns:
        (T, D) int8: 1 true, 0 false, -1 does not count.
    """
    ious = np.asarray(ious, float)
    detections, instances = ious.shape
    flags = np.full((len(iou_thrs), detections), FALSE, np.int8)
    if not detections or not instances:
        return flags
    best = ious.argmax(1)  # the first, where several are equal
    top = ious[np.arange(detections), best]
    for row, threshold in zip(flags, iou_thrs):
        hits = np.flatnonzero(top >= threshold)
        _, first = np.unique(best[hits], return_index=True)
        row[hits[first]] = TRUE
        if ignore is not None:
            row[hits[np.asarray(ignore, bool)[best[hits]]]] = IGNORED
    return flags


def recall_and_precision(scores: np.ndarray, flags: np.ndarray,
                         positives: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return recall and precision after every detection that counts.

    Args:
        scores: (D,) of all images; equal scores keep their order.
        flags: (D,) of :func:`match_detections`.
        positives: Instances to be found, more than 0.

    Returns:
        Recall and precision, by falling score.
    """
    flags = np.asarray(flags)[np.argsort(-np.asarray(scores, float), kind='stable')]
    flags = flags[flags != IGNORED]
    true = np.cumsum(flags == TRUE)
    return true / positives, true / np.arange(1, len(flags) + 1)


def average_precision(recall: np.ndarray, precision: np.ndarray,
                      mode: str = '11points') -> float:
    """Return the average precision of one curve.

    Args:
        recall: (D,) rising.
        precision: (D,).
        mode: ``'11points'``: mean, over the recalls 0, .1, ..., 1, of the best
            precision at that recall or more (VOC 2007; what SDS and MNC report).
            ``'area'``: area under that best precision (VOC 2010 and later).

    Returns:
        In [0, 1]; 0 without a detection.

    Raises:
        ValueError: Another mode.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be '11points' or 'area', got {mode!r}.")
    if not len(recall):
        return 0.
    best = np.maximum.accumulate(np.asarray(precision, float)[::-1])[::-1]
    if mode == 'area':
        return float(np.sum(np.diff(recall, prepend=0) * best))
    # The first detection that reaches a point has the best precision from there on.
    reach = np.searchsorted(recall, np.arange(11) / 10 - SLACK)
    return float(np.append(best, 0)[reach].sum() / 11)


def class_average_precision(scores: np.ndarray, flags: np.ndarray, positives: int,
                            mode: str = '11points') -> np.ndarray:
    """Return the average precision of one class at every threshold.

    Args:
        scores: (D,) of all images.
        flags: (T, D) of :func:`match_detections`.
        positives: Instances to be found in all images.
        mode: As for :func:`average_precision`.

    Returns:
        (T,); NaN where there is no instance to be found.
    """
    if positives == 0:
        return np.full(len(flags), np.nan)
    return np.array([
        average_precision(*recall_and_precision(scores, row, positives), mode)
        for row in flags])
