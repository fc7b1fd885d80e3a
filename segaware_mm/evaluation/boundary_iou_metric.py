"""Boundary IoU of label maps: IoU of the bands along the contours of the classes.

Cheng et al., CVPR 2021; see :mod:`segaware_mm.evaluation.boundary_band`. Errors inside a
large segment hide those at its contour from IoU; here they do not count. The trimap
(:mod:`segaware_mm.evaluation.trimap_metric`) looks at pixels near the contour of the
truth alone, so a contour of the prediction far from it costs nothing there.
"""

from typing import Dict, List, Optional

import numpy as np
from mmengine.logging import MMLogger, print_log
from mmseg.registry import METRICS
from prettytable import PrettyTable

from .boundary_band import band_radius, check_ratio, label_bands
from .class_names import class_names
from .label_maps import LabelMapMetric, iou_percent, known_mean


@METRICS.register_module()
class BoundaryIoUMetric(LabelMapMetric):
    """Boundary IoU of every class and its mean over classes, in percent.

    The mask of a class has a band in the label and one in the prediction: its pixels
    within d of its contour. Intersections and unions of the two bands are summed over
    the data set, as mIoU sums those of masks; then IoU is their ratio, and the mean
    runs over the classes that have a band in either.

    Pixels that the label ignores are taken out of both maps. Their borders are no
    contours, but with ``void_is_boundary``, which VOC wants: it draws its void lines
    along the contours.

    Args:
        ratio (float): d over the diagonal of the image; 0.02, the paper's, is 16
            pixels of an image of COCO. Cityscapes, whose images are larger and labels
            finer, takes 0.005: 11 pixels.
        ignore_index (int): Label of pixels that are not evaluated.
        void_is_boundary (bool): Borders of ignored areas count as contours.
        collect_device, prefix: As in mmengine's ``BaseMetric``; the prefix is
            'boundary'.

    Metrics: ``boundary/mIoU``, and ``boundary/IoU_NAME`` of every class; NaN for a class
    that never occurs.
    """

    default_prefix: Optional[str] = 'boundary'

    def __init__(self,
                 ratio: float = 0.02,
                 ignore_index: int = 255,
                 void_is_boundary: bool = False,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(ignore_index, collect_device, prefix)
        self.ratio = check_ratio(ratio)
        self.void_is_boundary = void_is_boundary

    def counts(self, pred: np.ndarray, label: np.ndarray,
               classes: int) -> np.ndarray:
        """Return pixel counts (3, classes) of one image.

        In both bands, in the band of the label, in that of the prediction.
        """
        radius = band_radius(*label.shape, self.ratio)
        pred = np.where(label == self.ignore_index, self.ignore_index, pred)
        theirs, mine = (
            label_bands(labels, radius, self.ignore_index, self.void_is_boundary)
            for labels in (label, pred))
        return np.stack([
            np.bincount(values.astype(np.int64), minlength=classes)
            for values in (label[theirs & mine & (label == pred)], label[theirs],
                           pred[mine])])

    def compute_metrics(self, results: List[np.ndarray]) -> Dict[str, float]:
        """Return the mean and the classes, and log them."""
        iou = iou_percent(*np.sum(results, axis=0))
        names = class_names(self)
        table = PrettyTable(['class', 'Boundary IoU'])
        for name, value in zip(names, iou):
            table.add_row([name, f'{value:.2f}'])
        print_log(f'Boundary IoU, d = {100 * self.ratio:g} % of the diagonal:\n'
                  f'{table.get_string()}', MMLogger.get_current_instance())
        return dict(mIoU=known_mean(iou),
                    **{f'IoU_{name}': float(value) for name, value in zip(names, iou)})
