"""What metrics of label maps share: the counts of every pair of maps, IoU of counts.

IoU = TP / (TP + FP + FN) of a class (Everingham et al., IJCV 2010).
"""

from abc import abstractmethod
from typing import Any, Iterator, Optional, Sequence, Tuple

import numpy as np
from mmengine.evaluator import BaseMetric

from .class_names import class_names


class LabelMapMetric(BaseMetric):
    """A metric that adds up pixel counts of every prediction and label.

    Args:
        ignore_index (int): Label of pixels that are not evaluated.
        collect_device, prefix: As in mmengine's ``BaseMetric``.
    """

    def __init__(self, ignore_index: int = 255, collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.ignore_index = ignore_index

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Add the counts of a batch.

        Raises:
            ValueError: Sizes that differ, or a class that there is not; names the
                image.
        """
        classes = len(class_names(self))
        for pred, label in map_pairs(data_samples, classes, self.ignore_index):
            self.results.append(self.counts(pred, label, classes))

    @abstractmethod
    def counts(self, pred: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
        """Return pixel counts (3, ..., classes) of one image.

        Args:
            pred, label: (H, W) ids; those of the label may be ``ignore_index``.
            classes: How many there are.
        """


def map_pairs(data_samples: Sequence[dict], classes: int,
              ignore_index: int) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Yield prediction and label (H, W) of every sample.

    Args:
        data_samples: With ``pred_sem_seg`` and ``gt_sem_seg``.
        classes: Ids are 0..classes - 1.
        ignore_index: Also allowed in labels.

    Raises:
        ValueError: Sizes that differ, or a class that there is not; names the image.
    """
    for sample in data_samples:
        pred, label = (sample[key]['data'].flatten(0, -2).cpu().numpy()
                       for key in ('pred_sem_seg', 'gt_sem_seg'))
        name = sample.get('img_path', 'an image')
        if pred.shape != label.shape:
            raise ValueError(f'the prediction of {name} has size {pred.shape}, its '
                             f'label {label.shape}.')
        for what, values in (('label', label[label != ignore_index]),
                             ('prediction', pred)):
            wrong = values[(values < 0) | (values >= classes)]
            if wrong.size:
                raise ValueError(
                    f'the {what} of {name} has class {wrong[0]}; the data set has the '
                    f'classes 0..{classes - 1}, and {ignore_index} for pixels without '
                    'one.')
        yield pred, label


def iou_percent(right: np.ndarray, labels: np.ndarray,
                preds: np.ndarray) -> np.ndarray:
    """Return IoU in percent of counts of one shape, NaN where a class never occurs.

    Args:
        right, labels, preds: Pixels that are right, of the label, of the prediction.
    """
    union = labels + preds - right
    return 100 * np.divide(right, union, where=union > 0,
                           out=np.full(union.shape, np.nan))


def known_mean(values: np.ndarray) -> float:
    """Return the mean of what is no NaN, NaN without any."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float('nan')
