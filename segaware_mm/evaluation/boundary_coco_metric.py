"""Boundary AP of instance masks: COCO's AP with the IoU of contours.

Cheng et al., CVPR 2021, section 6: a detection matches an object by

    min(mask IoU, Boundary IoU)

where COCO takes the mask IoU; all else is COCO's AP. Boundary IoU alone would let a ring
match a disc. See :mod:`segaware_mm.evaluation.boundary_band`.
"""

from contextlib import redirect_stdout
from io import StringIO
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmdet.datasets.api_wrappers import COCO, COCOeval
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from mmengine.fileio import load
from mmengine.logging import MMLogger, print_log
from prettytable import PrettyTable
from pycocotools import mask as coco_mask

from ..utils.rle import Rle, encode_mask
from .boundary_band import band_radius, check_ratio, mask_band
from .class_names import class_names

#: pycocotools' names of the sizes of objects.
AREAS = dict(mAP_s='small', mAP_m='medium', mAP_l='large')


class BoundaryCOCOeval(COCOeval):
    """pycocotools' evaluation with min(mask IoU, Boundary IoU).

    Bands are made of the masks that a threshold can match, image by image, and not
    kept. Objects that stand for a crowd keep COCO's overlap with them, which is no IoU:
    they have no contour of their own.

    Args:
        truth, found: ``COCO`` objects, the second of ``loadRes``.
        ratio: d over the diagonal of the image.
    """

    def __init__(self, truth: COCO, found: COCO, ratio: float = 0.02) -> None:
        super().__init__(truth, found, 'segm')
        self.ratio = check_ratio(ratio)

    def computeIoU(self, imgId: int, catId: int) -> Any:  # noqa: N802 (pycocotools')
        """Return (D, G) of an image and a class, detections by falling score."""
        ious = super().computeIoU(imgId, catId)
        if not len(ious):
            return ious
        truth, found = self._annotations(imgId, catId)
        objects = np.array([not ann['iscrowd'] for ann in truth])
        # A pair below every threshold matches nothing, whatever its contours are.
        near = (ious >= min(self.params.iouThrs)) & objects
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        if len(rows):
            place = np.ix_(rows, columns)
            ious[place] = np.minimum(ious[place], coco_mask.iou(
                [self._band(found[i]) for i in rows],
                [self._band(truth[j]) for j in columns], [0] * len(columns)))
        return ious

    def _annotations(self, imgId: int, catId: int) -> Tuple[List[dict], List[dict]]:
        """Return the annotations in the order of pycocotools' IoU."""
        classes = [catId] if self.params.useCats else self.params.catIds
        truth, found = ([ann for c in classes for ann in part[imgId, c]]
                        for part in (self._gts, self._dts))
        order = np.argsort([-ann['score'] for ann in found], kind='mergesort')
        return truth, [found[i] for i in order[:self.params.maxDets[-1]]]

    def _band(self, annotation: dict) -> Rle:
        mask = coco_mask.decode(annotation['segmentation'])
        return encode_mask(mask_band(mask, band_radius(*mask.shape, self.ratio)))


@METRICS.register_module()
class BoundaryCocoMetric(CocoMetric):
    """Boundary AP, beside the mask AP of mmdet's ``CocoMetric``.

    Reads what ``CocoMetric`` reads: ``ann_file``, or without it the instances of the
    dataset.

    Args:
        ratio (float): d over the diagonal of the image, 0.02 in the paper for COCO;
            0.005 for Cityscapes.
        ann_file, iou_thrs, outfile_prefix, backend_args, collect_device, prefix,
            sort_categories: As in ``CocoMetric``; the prefix is 'coco'.
        classwise (bool): Return and log the AP of every class too.
        max_per_image (int): Detections of an image and class that count.

    Metrics, in [0, 1] and not rounded: ``coco/boundary_mAP``, ``coco/boundary_mAP_50``,
    ``coco/boundary_mAP_75`` (where the thresholds have them), ``coco/boundary_mAP_s``,
    ``_m``, ``_l``; with ``classwise`` ``coco/boundary_AP_NAME``. -1, as COCO has it,
    where there is no object to be found.
    """

    def __init__(self,
                 ratio: float = 0.02,
                 ann_file: Optional[str] = None,
                 classwise: bool = False,
                 iou_thrs: Optional[Union[float, Sequence[float]]] = None,
                 max_per_image: int = 100,
                 **kwargs) -> None:
        unknown = set(kwargs) & {'metric', 'metric_items', 'proposal_nums',
                                 'format_only', 'use_mp_eval'}
        if unknown:
            raise ValueError(f'BoundaryCocoMetric has no {", ".join(sorted(unknown))}: '
                             'it measures boundary AP alone. Put CocoMetric beside it, '
                             'evaluators may be a list.')
        if iou_thrs is not None:
            iou_thrs = np.atleast_1d(np.asarray(iou_thrs, float))
        super().__init__(ann_file=ann_file, metric='segm', classwise=classwise,
                         iou_thrs=iou_thrs, **kwargs)
        self.ratio = check_ratio(ratio)
        self.max_per_image = max_per_image

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Return the boundary AP.

        Args:
            results (list): Of ``process``, of all processes.

        Raises:
            ValueError: Predictions without masks.
        """
        truth, preds = zip(*results)
        if 'masks' not in preds[0]:
            raise ValueError('the predictions have no masks: boundary AP needs a model '
                             'with a mask head.')
        with TemporaryDirectory() as folder, redirect_stdout(StringIO()):
            prefix = self.outfile_prefix or f'{folder}/results'
            if self._coco_api is None:
                self._coco_api = COCO(self.gt_to_coco_json(truth, prefix))
            if self.cat_ids is None:
                self.cat_ids = self._coco_api.get_cat_ids(
                    cat_names=class_names(self))
            if self.img_ids is None:
                self.img_ids = self._coco_api.get_img_ids()
            found = load(self.results2json(preds, prefix)['segm'])
            evaluation = BoundaryCOCOeval(self._coco_api, self._detections(found),
                                          self.ratio)
            params = evaluation.params
            params.catIds, params.imgIds = self.cat_ids, self.img_ids
            params.iouThrs, params.maxDets = self.iou_thrs, [self.max_per_image]
            evaluation.evaluate()
            evaluation.accumulate()
        # Thresholds, recalls, classes, areas, for the one number of detections.
        return self._summary(evaluation.eval['precision'][..., 0], params.areaRngLbl)

    def _detections(self, found: List[dict]) -> COCO:
        """Return the detections as a data set; pycocotools reads no empty list."""
        for detection in found:  # else sizes are those of boxes
            detection.pop('bbox')
        if found:
            return self._coco_api.loadRes(found)
        nothing = COCO()
        nothing.dataset = dict(self._coco_api.dataset, annotations=[])
        nothing.createIndex()
        return nothing

    def _summary(self, precision: np.ndarray, areas: Sequence[str]) -> Dict[str, float]:
        """Return the means of a (T, R, K, A) table of precisions, and log classes."""
        metrics = dict(boundary_mAP=_known_mean(precision[..., 0]))
        for threshold in (0.5, 0.75):
            rows = np.flatnonzero(np.isclose(self.iou_thrs, threshold))
            if len(rows):
                metrics[f'boundary_mAP_{100 * threshold:g}'] = _known_mean(
                    precision[rows, ..., 0])
        for key, area in AREAS.items():
            metrics[f'boundary_{key}'] = _known_mean(
                precision[..., areas.index(area)])
        if self.classwise:
            table = PrettyTable(['class', 'boundary AP'])
            for column, cat in enumerate(self._coco_api.load_cats(self.cat_ids)):
                value = _known_mean(precision[:, :, column, 0])
                table.add_row([cat['name'], f'{value:.3f}'])
                metrics[f'boundary_AP_{cat["name"]}'] = value
            print_log(f'Boundary AP:\n{table.get_string()}',
                      MMLogger.get_current_instance())
        return metrics


def _known_mean(precision: np.ndarray) -> float:
    """The mean of what is not -1, COCO's mark of what has no object; else -1."""
    known = precision[precision > -1]
    return float(known.mean()) if len(known) else -1.
