"""Mean IoU in narrow bands around the boundaries of the ground truth.

Kohli, Ladicky, Torr (IJCV 2009) call the bands trimaps; Harley et al. (ICCV
2017) report their curves. Inside a segment most methods agree; near its
boundary they do not.
"""

from typing import Dict, List, Optional, Sequence

import numpy as np
from mmengine.logging import MMLogger, print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable

from .boundary_distance import boundary_distance
from .class_names import class_names
from .label_maps import LabelMapMetric, iou_percent, known_mean


@METRICS.register_module()
class TrimapIoUMetric(LabelMapMetric):
    """mIoU of the pixels within r pixels of a boundary, for several r.

    Pixels of every band and class are counted over the data set, then IoU is
    intersection over union of each class and the mean runs over the classes
    that occur in the band, in the ground truth or the prediction.

    Args:
        radii (Sequence[float]): r in pixels, 1 and more, increasing.
        ignore_index (int): Label of pixels that are not evaluated.
        void_is_boundary (bool): Borders of ignored areas count as boundaries;
            set it for VOC. See :func:`boundary_distance`.
        collect_device, prefix: As in mmengine's ``BaseMetric``; the prefix is
            'trimap'.

    Metrics: ``trimap/mIoU@r`` in percent for every r, NaN where a band is empty.
    """

    default_prefix: Optional[str] = 'trimap'

    def __init__(self,
                 radii: Sequence[float] = (1, 2, 3, 5, 10, 20, 40),
                 ignore_index: int = 255,
                 void_is_boundary: bool = False,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(ignore_index, collect_device, prefix)
        radii = list(radii)
        if not radii or radii[0] < 1 or sorted(set(radii)) != radii:
            raise ValueError('radii must be increasing numbers of at least 1, got '
                             f'{radii}.')
        self.radii = radii
        self.void_is_boundary = void_is_boundary

    def counts(self, pred: np.ndarray, label: np.ndarray,
               classes: int) -> np.ndarray:
        """Return pixel counts (3, radii, classes) of one image.

        Right ones, those of the label, those of the prediction: a number for each
        class, where a confusion matrix has one for each pair.
        """
        distance = boundary_distance(label, self.ignore_index, self.void_is_boundary)
        near = (label != self.ignore_index) & (distance <= self.radii[-1])
        band = np.searchsorted(self.radii, distance[near])
        label, pred = label[near].astype(np.int64), pred[near].astype(np.int64)
        right = label == pred
        size = len(self.radii) * classes
        return np.stack([
            np.bincount(places * classes + values, minlength=size).reshape(-1, classes)
            for places, values in ((band[right], label[right]), (band, label),
                                   (band, pred))]).cumsum(1)

    def compute_metrics(self, results: List[np.ndarray]) -> Dict[str, float]:
        """Return ``mIoU@r`` for every radius, and log the classes."""
        total = np.sum(results, axis=0)
        iou = iou_percent(*total)
        table = PrettyTable(['class', *(f'r={r:g}' for r in self.radii)])
        for name, row in zip(class_names(self), iou.T):
            table.add_row([name, *(f'{value:.2f}' for value in row)])
        print_log(f'IoU near boundaries:\n{table.get_string()}',
                  MMLogger.get_current_instance())
        return {
            f'mIoU@{r:g}': known_mean(row)
            for r, row in zip(self.radii, iou)
        }
