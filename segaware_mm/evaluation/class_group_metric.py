"""Mean IoU of groups of classes, such as those whose masks were seen and the others.

Everingham et al. (IJCV 2010): IoU = TP / (TP + FP + FN), pixels counted over the
data set.
"""

from typing import Dict, List, Mapping, Optional, Sequence

import numpy as np
from mmengine.logging import MMLogger, print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable

from ..engine.near import did_you_mean, near_names
from .class_names import class_names
from .label_maps import LabelMapMetric, iou_percent, known_mean


@METRICS.register_module()
class ClassGroupIoUMetric(LabelMapMetric):
    """IoU of every class, and its mean over all classes and over each group.

    A mean runs over the classes of the group that occur in the ground truth or
    the prediction. Predictions of classes outside a group count as errors of its
    classes, as in the mean over all.

    Args:
        groups (Mapping[str, Sequence[str]]): Class names of each group.
        ignore_index (int): Label of pixels that are not evaluated.
        collect_device, prefix: As in mmengine's ``BaseMetric``; the prefix is
            'group'.

    Metrics: ``group/mIoU``, ``group/mIoU_NAME`` and ``group/classes_NAME`` (how
    many classes the mean of that group has), IoU in percent, NaN for a group
    without pixels.
    """

    default_prefix: Optional[str] = 'group'

    def __init__(self,
                 groups: Mapping[str, Sequence[str]],
                 ignore_index: int = 255,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(ignore_index, collect_device, prefix)
        if not groups:
            raise ValueError('groups is empty; name the classes of at least one, such '
                             "as groups=dict(target=['cat', 'dog']).")
        for group, names in groups.items():
            if isinstance(names, str) or not len(names):
                raise ValueError(f'groups[{group!r}] must be a list of class names, got '
                                 f'{names!r}.')
        self.groups = {group: list(names) for group, names in groups.items()}

    def group_ids(self) -> Dict[str, List[int]]:
        """Return the class ids of each group.

        Raises:
            ValueError: A name that the data set does not have.
        """
        classes = class_names(self)
        for group, names in self.groups.items():
            for name in names:
                if name not in classes:
                    raise ValueError(
                        f'groups[{group!r}] names the class {name!r}, which the data '
                        f'set lacks.{did_you_mean(near_names(name, classes))}')
        return {group: [classes.index(name) for name in names]
                for group, names in self.groups.items()}

    def counts(self, pred: np.ndarray, label: np.ndarray,
               classes: int) -> np.ndarray:
        """Return pixel counts (3, classes): right ones, of the label, predicted."""
        known = label != self.ignore_index
        pred, label = pred[known].astype(np.int64), label[known].astype(np.int64)
        return np.stack([np.bincount(values, minlength=classes)
                         for values in (label[pred == label], label, pred)])

    def compute_metrics(self, results: List[np.ndarray]) -> Dict[str, float]:
        """Return the means, and log the classes."""
        right, labels, preds = np.sum(results, axis=0)
        iou = iou_percent(right, labels, preds)
        groups = self.group_ids()
        table = PrettyTable(['class', 'group', 'IoU'])
        for k, name in enumerate(class_names(self)):
            member = ', '.join(group for group, ids in groups.items() if k in ids)
            table.add_row([name, member, f'{iou[k]:.2f}'])
        print_log(f'IoU of classes:\n{table.get_string()}',
                  MMLogger.get_current_instance())
        found = dict(mIoU=known_mean(iou))
        for group, ids in groups.items():
            found[f'mIoU_{group}'] = known_mean(iou[ids])
            found[f'classes_{group}'] = float(np.isfinite(iou[ids]).sum())
        return found

