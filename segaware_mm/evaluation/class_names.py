"""The names of the classes that a metric counts."""

from typing import List

from mmengine.evaluator import BaseMetric


def class_names(metric: BaseMetric) -> List[str]:
    """Return the names of the classes of a metric's data set.

    Args:
        metric: The evaluator of mmengine gives it ``dataset_meta``.

    Raises:
        ValueError: None are known.
    """
    names = (metric.dataset_meta or {}).get('classes')
    if not names:
        raise ValueError(f'{type(metric).__name__} needs the classes of the data set: '
                         'metric.dataset_meta = dict(classes=(...)).')
    return list(names)
