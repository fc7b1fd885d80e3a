"""Mean average precision of image labels.

Average precision of a class is the area under its steps of precision over recall,
``AP = sum_n (R_n - R_{n-1}) P_n`` over falling thresholds, equal scores together: the
definition of scikit-learn. VOC's differ (11 points, or precision made monotonous).
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable

from .class_names import class_names

PRESENT, ABSENT, UNKNOWN = 1, 0, -1


class ImageScores(NamedTuple):
    """What is kept of an image.

    Attributes:
        scores: (N,) of every class.
        truth: (N,) int8: 1 present, 0 absent, -1 not annotated.
    """

    scores: np.ndarray
    truth: np.ndarray


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the average precision of one class.

    Args:
        scores: (D,) of the images; higher is more likely.
        positive: (D,) bool, whether the class is present.

    Returns:
        In [0, 1]; NaN without a positive.
    """
    positive = np.asarray(positive, bool)
    if not positive.any():
        return float('nan')
    order = np.argsort(-np.asarray(scores, float), kind='stable')
    scores, positive = np.asarray(scores, float)[order], positive[order]
    # A threshold lies behind the last of several equal scores.
    last = np.append(np.diff(scores) != 0, True)
    hits = np.cumsum(positive)[last]
    precision = hits / (np.flatnonzero(last) + 1)
    return float(np.sum(np.diff(hits / hits[-1], prepend=0) * precision))


@METRICS.register_module()
class MultiLabelMetric(BaseMetric):
    """mAP of image labels, in percent.

    Reads of every sample ``pred_label_scores`` (N,), N classes without background;
    ``image_labels``, ids 1..N; and ``label_set``, the ids that are annotated (absent:
    all). An image counts for the classes of its ``label_set`` alone. Put the last two
    into ``meta_keys`` of ``PackSegInputs``.

    A class without an image that shows it has no average precision: it is left out of
    the mean and named in the log, as is one that no image annotates.

    Args:
        classwise (bool): Return ``AP_NAME`` of every class too. The table is logged
            anyway.
        collect_device, prefix: As in mmengine's ``BaseMetric``; the prefix is
            'multi_label'.

    Metrics: ``multi_label/mAP``; NaN where no class has a positive.
    """

    default_prefix: Optional[str] = 'multi_label'

    def __init__(self,
                 classwise: bool = False,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.classwise = classwise

    def _names(self) -> Sequence[str]:
        """Return the names of the foreground classes; the background is the first."""
        return class_names(self)[1:]

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep scores and labels of a batch.

        Args:
            data_batch: Not read.
            data_samples (Sequence[dict]): Ground truth and predictions.

        Raises:
            ValueError: Scores or labels that are absent, of another number of classes,
                or not finite; names the image.
        """
        count = len(self._names())
        for sample in data_samples:
            self.results.append(_scores_of(sample, count))

    def compute_metrics(self, results: List[ImageScores]) -> Dict[str, float]:
        """Return the mean over the classes, and log all of them.

        Args:
            results (list): Of :meth:`process`, of all processes.
        """
        names = self._names()
        scores = np.stack([one[0] for one in results])
        truth = np.stack([one[1] for one in results])
        known = truth != UNKNOWN
        positives = (truth == PRESENT).sum(0)
        values = np.array([
            average_precision(scores[known[:, c], c], truth[known[:, c], c] == PRESENT)
            for c in range(len(names))])
        there = positives > 0
        table = PrettyTable(['class', 'images', 'with it', 'AP'])
        for c in np.flatnonzero(there):
            table.add_row([names[c], known[:, c].sum(), positives[c],
                           f'{100 * values[c]:.2f}'])
        text = f'average precision of image labels:\n{table.get_string()}'
        for what, which in (('shown by no image', ~there & known.any(0)),
                            ('annotated in no image', ~known.any(0))):
            if which.any():
                text += (f'\nnot counted, {what}: '
                         f'{", ".join(names[c] for c in np.flatnonzero(which))}')
        print_log(text, MMLogger.get_current_instance())
        mean = float(100 * values[there].mean()) if there.any() else float('nan')
        metrics = dict(mAP=mean)
        if self.classwise:
            metrics.update({f'AP_{name}': float(100 * value)
                            for name, value in zip(names, values)})
        return metrics


def _scores_of(sample: dict, count: int) -> ImageScores:
    """Return scores and truth of one image, checked."""
    image = sample.get('img_path', 'an image')
    for key, cure in (
            ('pred_label_scores', 'the model must give it (a multi-label classifier)'),
            ('image_labels', "put LoadImageLabels into the test pipeline and "
             "'image_labels' into meta_keys of PackSegInputs")):
        if sample.get(key) is None:
            raise ValueError(f'{image} has no {key}: {cure}.')
    scores = sample['pred_label_scores']
    if hasattr(scores, 'cpu'):
        scores = scores.detach().float().cpu().numpy()
    scores = np.asarray(scores, np.float64)
    if scores.shape != (count, ):
        raise ValueError(f'pred_label_scores of {image} have the shape {scores.shape}; '
                         f'the data set has {count} classes without the background, so '
                         f'({count},) is wanted.')
    if not np.isfinite(scores).all():
        raise ValueError(f'pred_label_scores of {image} are not finite.')
    truth = np.full(count, ABSENT, np.int8)
    if sample.get('label_set') is not None:
        truth[:] = UNKNOWN
        truth[_ids('label_set', sample, image, count) - 1] = ABSENT
    labels = _ids('image_labels', sample, image, count)
    outside = labels[truth[labels - 1] == UNKNOWN]
    if outside.size:
        raise ValueError(f'{image} has the label {outside[0]}, which is not in its '
                         'label_set.')
    truth[labels - 1] = PRESENT
    return ImageScores(scores, truth)


def _ids(key: str, sample: dict, image: Any, count: int) -> np.ndarray:
    ids = np.asarray(sample[key], np.int64).reshape(-1)
    wrong = ids[(ids < 1) | (ids > count)]
    if wrong.size:
        raise ValueError(f'{key} of {image} has the id {wrong[0]}; ids are 1 to {count}.')
    return ids
