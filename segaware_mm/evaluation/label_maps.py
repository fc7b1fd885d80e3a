"""What metrics of label maps share: checked pairs of maps, and IoU of counts.

IoU = TP / (TP + FP + FN) of a class (Everingham et al., IJCV 2010).
"""

from typing import Iterator, Sequence, Tuple

import numpy as np


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
