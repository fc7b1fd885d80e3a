"""A map of classes, drawn from the instances of an image."""

from typing import Any, Dict, List

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ..utils.rle import as_rles


def draw_instances(instances: List[Dict[str, Any]], height: int, width: int,
                   ignore_index: int = 255) -> np.ndarray:
    """Draw instances, the larger first, so that smaller ones lie on top.

    Args:
        instances: Each with ``label`` (int), ``crowd`` (bool), ``area`` (float) and
            ``segmentation`` (polygons, or an RLE); equal areas keep their order.
        height, width: Of the image.
        ignore_index: What crowds become where no instance covers them.

    Returns:
        (height, width) uint8; 0 where nothing is.
    """
    from pycocotools import mask as coco
    out = np.zeros((height, width), np.uint8)
    order = sorted(instances, key=lambda one: (not one['crowd'], -one['area']))
    for one in order:
        rle = as_rles([one['segmentation']], (height, width), 'segmentation')[0]
        out[coco.decode(rle) > 0] = ignore_index if one['crowd'] else one['label']
    return out


@TRANSFORMS.register_module()
class LoadSegMapFromInstances(BaseTransform):
    """Draw ``gt_seg_map`` from the instances of ``COCOExclusiveDataset``.

    Stands where ``LoadAnnotations`` would. ``label_map`` of the data set is applied
    afterwards, so that what becomes background still covers what lies behind it.

    Required keys: instances, height, width, label_map. Added keys: gt_seg_map (H, W)
    uint8. Modified key: seg_fields.
    """

    def transform(self, results: dict) -> dict:
        """Draw the map.

        Raises:
            KeyError: The data set gives no instances.
        """
        if 'instances' not in results:
            raise KeyError(
                "LoadSegMapFromInstances finds no 'instances': it is for data sets whose "
                'ann_file holds COCO instances (.json). Maps in files are read by '
                'LoadAnnotations.')
        seg_map = draw_instances(results['instances'], results['height'],
                                 results['width'])
        table = np.arange(256, dtype=np.uint8)
        for old, new in (results.get('label_map') or {}).items():
            table[old] = new
        results['gt_seg_map'] = table[seg_map]
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
