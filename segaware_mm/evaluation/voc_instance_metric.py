"""mAP^r: mean average precision of instance masks in the protocol of SDS.

What is true and false says :mod:`segaware_mm.evaluation.mask_ap`. COCO's AP of masks
differs: there a detection may move on to its next best instance, precision is read at
101 recalls, and at most 100 detections of an image count.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from prettytable import PrettyTable

from ..utils.rle import Rle, as_rles, mask_iou, usable_polygons
from .class_names import class_names
from .mask_ap import MODES, class_average_precision, match_detections

#: IoUs of the volume under the curve of mAP^r, mAP^r_vol.
VOLUME_THRS = tuple((np.arange(1, 10) / 10).tolist())
PIPELINE = ("dict(type='LoadAnnotations', with_bbox=True, with_mask=True) after Resize "
            'in the test pipeline')


class ImageResult(NamedTuple):
    """What is kept of an image: numbers of its detections, no mask.

    Attributes:
        labels: (D,) class of every detection.
        scores: (D,).
        flags: (T, D), see :func:`match_detections`.
        wanted: (G,) class of every instance that is to be found.
    """

    labels: np.ndarray
    scores: np.ndarray
    flags: np.ndarray
    wanted: np.ndarray


@METRICS.register_module()
class VOCInstanceMetric(BaseMetric):
    """Mean AP^r at several IoUs, and the volume mAP^r_vol over the IoUs .1 to .9.

    Works with every dataset whose samples have masks: ``gt_instances`` and
    ``ignored_instances`` with ``LoadAnnotations(with_bbox=True, with_mask=True)`` after
    ``Resize`` in the test pipeline, or the dataset's ``instances`` with
    ``meta_keys=(..., 'instances')`` of ``PackDetInputs``, as ``CocoMetric`` without
    ``ann_file`` reads them. Predictions are ``pred_instances`` with ``labels``,
    ``masks`` (N, H, W) or RLE, and ``scores``; ``mask_scores`` come before ``scores``.

    Instances with ``ignore_flag`` (crowds of COCO, "difficult" of VOC) are neither to
    be found nor an error to find. SDS has none: all instances of SBD count.

    Images are matched as they come; of each, some numbers a detection are kept.

    Args:
        iou_thrs (float | Sequence[float]): IoUs to report, in (0, 1].
        eval_mode (str): '11points', which SDS and MNC report, or 'area'.
        classwise (bool): Log a table of the classes, and return theirs too.
        collect_device, prefix: As in mmengine's ``BaseMetric``; the prefix is
            'voc_inst'.

    Metrics, in [0, 1]: ``voc_inst/mAPr@0.5`` and so on, ``voc_inst/mAPr_vol``; with
    ``classwise`` ``voc_inst/APr@0.5_NAME`` of every class. Means leave out classes
    without an instance to be found; NaN where that is all of them.
    """

    default_prefix: Optional[str] = 'voc_inst'

    def __init__(self,
                 iou_thrs: Union[float, Sequence[float]] = (0.5, 0.7),
                 eval_mode: str = '11points',
                 classwise: bool = False,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        thrs = [iou_thrs] if isinstance(iou_thrs, (int, float)) else list(iou_thrs)
        if not thrs or not all(0 < thr <= 1 for thr in thrs):
            raise ValueError(f'iou_thrs must be numbers in (0, 1], got {iou_thrs}.')
        if eval_mode not in MODES:
            raise ValueError("eval_mode must be '11points' or 'area', got "
                             f'{eval_mode!r}.')
        self.iou_thrs = thrs
        self.eval_mode = eval_mode
        self.classwise = classwise

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Match the detections of a batch.

        Args:
            data_batch: Not read.
            data_samples (Sequence[dict]): Ground truth and predictions.

        Raises:
            ValueError: No masks, masks of different sizes, labels outside the classes.
        """
        classes = len(class_names(self))
        for sample in data_samples:
            self.results.append(self._matched(sample, classes))

    def _matched(self, sample: dict, classes: int) -> ImageResult:
        """Match one image."""
        image = sample.get('img_path') or sample.get('img_id', 'an image')
        masks, labels, scores = _predicted(sample, image)
        truth, owners, ignore = _ground_truth(sample, image)
        for name, values in (('predictions', labels), ('ground truth', owners)):
            if len(values) and not 0 <= values.min() <= values.max() < classes:
                raise ValueError(f'the {name} of {image} have labels {values.min()}..'
                                 f'{values.max()}; the dataset has {classes} classes.')
        _check_sizes(masks, truth, image)
        thresholds = (*self.iou_thrs, *VOLUME_THRS)
        flags = np.zeros((len(thresholds), len(labels)), np.int8)
        for label in np.unique(labels):
            mine = np.flatnonzero(labels == label)
            mine = mine[np.argsort(-scores[mine], kind='stable')]
            theirs = np.flatnonzero(owners == label)
            ious = mask_iou([masks[i] for i in mine], [truth[i] for i in theirs])
            flags[:, mine] = match_detections(ious, thresholds, ignore[theirs])
        return ImageResult(labels, scores, flags, owners[~ignore])

    def compute_metrics(self, results: List[ImageResult]) -> Dict[str, float]:
        """Return the means over the classes.

        Args:
            results (list): Of :meth:`process`, of all processes.
        """
        names = class_names(self)
        thresholds = (*self.iou_thrs, *VOLUME_THRS)
        nothing = ImageResult(np.zeros(0, np.int64), np.zeros(0),
                              np.zeros((len(thresholds), 0), np.int8),
                              np.zeros(0, np.int64))
        labels, scores, flags, wanted = (np.concatenate(part, -1) for part in zip(
            *(ImageResult(*result) for result in results), nothing))
        positives = np.bincount(wanted, minlength=len(names))
        found = np.bincount(labels, minlength=len(names))
        table = np.stack([
            class_average_precision(scores[labels == c], flags[:, labels == c],
                                    positives[c], self.eval_mode)
            for c in range(len(names))], 1)
        count = len(self.iou_thrs)
        rows = [*table[:count], table[count:].mean(0)]
        keys = [*(f'APr@{thr:g}' for thr in self.iou_thrs), 'APr_vol']
        metrics = {f'm{key}': _mean(row) for key, row in zip(keys, rows)}
        if self.classwise:
            shown = PrettyTable(['class', 'instances', 'detections', *keys])
            for c, name in enumerate(names):
                shown.add_row([name, positives[c], found[c],
                               *(f'{row[c]:.3f}' for row in rows)])
                metrics.update({f'{key}_{name}': float(row[c])
                                for key, row in zip(keys, rows)})
            print_log(f'AP^r ({self.eval_mode}):\n{shown.get_string()}',
                      MMLogger.get_current_instance())
        return metrics


def _mean(values: np.ndarray) -> float:
    """The mean of what is not NaN; NaN where that is nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float('nan')


def _array(values: Any, kind: type) -> np.ndarray:
    if hasattr(values, 'cpu'):
        values = values.detach().cpu()
        values = values.double() if kind is float else values
    return np.asarray(values, kind).reshape(-1)


def _predicted(sample: dict, image: Any) -> Tuple[List[Rle], np.ndarray, np.ndarray]:
    """Return masks, labels and scores of the predictions."""
    pred = sample['pred_instances']
    if 'masks' not in pred:
        raise ValueError(f'the predictions of {image} have no masks: the model needs a '
                         'mask head, or `bbox` metrics are meant.')
    masks = as_rles(pred['masks'], sample.get('ori_shape'),
                    f'pred_instances.masks of {image}')
    labels = _array(pred['labels'], int)
    scores = _array(pred['mask_scores' if 'mask_scores' in pred else 'scores'], float)
    if not len(masks) == len(labels) == len(scores):
        raise ValueError(f'the predictions of {image} have {len(masks)} masks, '
                         f'{len(labels)} labels and {len(scores)} scores.')
    return masks, labels, scores


def _ground_truth(sample: dict, image: Any) -> Tuple[List[Rle], np.ndarray, np.ndarray]:
    """Return masks, labels and which of them are ignored."""
    if 'instances' in sample:
        return _raw_ground_truth(sample, image)
    masks: List[Rle] = []
    labels, ignore = [], []
    for key, ignored in (('gt_instances', False), ('ignored_instances', True)):
        part = sample.get(key)
        if part is None or 'labels' not in part:
            if not ignored:
                raise ValueError(f'{image} has no ground truth; put {PIPELINE}.')
            continue
        if 'masks' not in part:
            raise ValueError(f'the ground truth of {image} has no masks; put '
                             f'{PIPELINE}.')
        more, theirs = as_rles(part['masks'], name=f'{key}.masks of {image}'), \
            _array(part['labels'], int)
        if len(more) != len(theirs):
            raise ValueError(f'{key} of {image} has {len(more)} masks and '
                             f'{len(theirs)} labels.')
        masks += more
        labels.append(theirs)
        ignore.append(np.full(len(theirs), ignored))
    return masks, np.concatenate(labels), np.concatenate(ignore)


def _raw_ground_truth(sample: dict,
                      image: Any) -> Tuple[List[Rle], np.ndarray, np.ndarray]:
    """Return masks, labels and which are ignored of a dataset's own entries."""
    instances = sample['instances']
    for instance in instances:
        if 'mask' not in instance:
            raise ValueError(f'the ground truth of {image} has no masks: the dataset '
                             'has boxes alone.')
    given = [instance['mask'] for instance in instances]
    labels = [instance['bbox_label'] for instance in instances]
    # LoadAnnotations as well ignores what has no polygon of three corners.
    ignore = [bool(instance.get('ignore_flag')) or
              isinstance(mask, list) and not usable_polygons(mask)
              for instance, mask in zip(instances, given)]
    return (as_rles(given, sample.get('ori_shape'), f'instances of {image}'),
            np.array(labels, int), np.array(ignore, bool))


def _check_sizes(masks: List[Rle], truth: List[Rle], image: Any) -> None:
    """Raise where predictions and ground truth are not maps of one size."""
    got, wanted = (sorted({tuple(int(n) for n in rle['size']) for rle in rles})
                   for rles in (masks, truth))
    if len(got) > 1 or len(wanted) > 1 or (got and wanted and got != wanted):
        raise ValueError(
            f'the masks predicted for {image} have the size {got}, those of the ground '
            f'truth {wanted} (height, width). Both are wanted at the size of the image '
            f'file; put {PIPELINE}.')
