"""The 60 classes of COCO that VOC has not: TransferNet's source domain.

Hong, Oh, Lee, Han, "Learning Transferrable Knowledge for Semantic Segmentation with Deep
Convolutional Neural Network", CVPR 2016. Ids: 0 background, 1..20 the classes of VOC in
VOC's order, 21..80 the others of COCO in the order of COCO's category ids.
"""

import json
import os.path as osp
from collections import defaultdict
from typing import Any, Dict, Iterator, List, Optional, Set

import numpy as np
from mmengine.dist import is_main_process
from mmengine.fileio import get, get_text
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.voc import PascalVOCDataset
from mmseg.registry import DATASETS

from ..engine.errors import DataError
from ..ops.checks import check_choice
from .class_names import canonical, hint, ids_by_name
from .label_file import ImageLabelFile
from .scenes.encoding import voc_colormap

VOC_NAMES = PascalVOCDataset.METAINFO['classes']
EXCLUSIVE_NAMES = (
    'truck', 'traffic light', 'fire hydrant', 'stop sign', 'parking meter', 'bench',
    'elephant', 'bear', 'zebra', 'giraffe', 'backpack', 'umbrella', 'handbag', 'tie',
    'suitcase', 'frisbee', 'skis', 'snowboard', 'sports ball', 'kite', 'baseball bat',
    'baseball glove', 'skateboard', 'surfboard', 'tennis racket', 'wine glass', 'cup',
    'fork', 'knife', 'spoon', 'bowl', 'banana', 'apple', 'sandwich', 'orange',
    'broccoli', 'carrot', 'hot dog', 'pizza', 'donut', 'cake', 'bed', 'toilet',
    'laptop', 'mouse', 'remote', 'keyboard', 'cell phone', 'microwave', 'oven',
    'toaster', 'sink', 'refrigerator', 'book', 'clock', 'vase', 'scissors',
    'teddy bear', 'hair drier', 'toothbrush')
NAMES = (*VOC_NAMES, *EXCLUSIVE_NAMES)
VOC_IDS = tuple(range(1, len(VOC_NAMES)))
EXCLUSIVE_IDS = tuple(range(len(VOC_NAMES), len(NAMES)))
VOC_PIXELS = ('background', 'ignore', 'keep')
#: From so many masks on, progress is shown.
MANY = 500


@DATASETS.register_module()
class COCOExclusiveDataset(BaseSegDataset):
    """COCO with the masks of the 60 classes that VOC has not; 81 classes in all.

    Two sources, told apart by ``ann_file``:

    - COCO's instances, ``ann_file='annotations/instances_train2017.json'``: the mask is
      drawn by ``LoadSegMapFromInstances`` in the pipeline, larger objects first, crowds
      255 where no object covers them. Images without annotation count too.
    - maps of the 81 ids, PNG, ``data_prefix=dict(img_path=..., seg_map_path=...)``, read
      by mmseg's ``LoadAnnotations``; ``ann_file`` is then empty or a list of names.

    ``label_set`` (21..80, or all with ``voc_pixels='keep'``) and ``domain`` 'source' are
    set in every sample.

    Args:
        ann_file (str): See above.
        strict (bool): Drop images that show an object of VOC's classes, crowds included
            (with maps: any pixel of them), unless ``test_mode``. False, as in the
            released files: they stay.
        voc_pixels (str): What pixels of VOC's classes become: 'background', as released;
            'ignore', 255; 'keep': their ids, for a target domain or a validation on COCO.
        label_file (str, optional): With maps: image labels (see
            :mod:`segaware_mm.datasets.label_file`), so that ``strict`` and
            ``filter_cfg`` need not read every map. Below ``data_root``.
        label_key (str, optional): Its part.
        filter_cfg (dict, optional): ``filter_empty_gt=True`` drops images without an
            object of ``label_set``, unless ``test_mode``.
        **kwargs: As in mmseg's ``BaseSegDataset``. ``metainfo`` may not change classes.

    Raises:
        DataError: Annotations that are not COCO's, or of unknown categories.
    """

    METAINFO = dict(classes=NAMES, palette=voc_colormap()[:len(NAMES)].tolist())

    def __init__(self,
                 ann_file: str = '',
                 strict: bool = False,
                 voc_pixels: str = 'background',
                 label_file: Optional[str] = None,
                 label_key: Optional[str] = None,
                 **kwargs: Any) -> None:
        check_choice('voc_pixels', voc_pixels, VOC_PIXELS)
        self.strict = strict
        self.voc_pixels = voc_pixels
        self.label_file = label_file
        self.label_key = label_key
        self.label_set = EXCLUSIVE_IDS if voc_pixels != 'keep' else \
            VOC_IDS + EXCLUSIVE_IDS
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> List[dict]:
        """Return one entry an image, without those that ``strict`` drops."""
        if self.label_map is not None:
            raise ValueError('COCOExclusiveDataset has its own 81 classes; choose among '
                             'them with a MaskSubsetDataset around it.')
        # PNG or drawn, maps have all 81 ids first; the loading transform applies this.
        becomes = {'background': 0, 'ignore': 255}.get(self.voc_pixels)
        label_map = None if becomes is None else dict.fromkeys(VOC_IDS, becomes)
        with_instances = self.ann_file.endswith('.json')
        entries = self._instance_entries() if with_instances else \
            super().load_data_list()
        for entry in entries:
            entry.update(label_map=label_map, reduce_zero_label=False,
                         label_set=self.label_set, domain='source')
        return entries

    def filter_data(self) -> List[dict]:
        """Drop what ``strict`` and ``filter_cfg`` drop; nothing in ``test_mode``."""
        filled = bool((self.filter_cfg or {}).get('filter_empty_gt', False))
        if self.test_mode or not (self.strict or filled):
            return self.data_list
        voc, wanted = set(VOC_IDS), set(self.label_set)
        return [
            entry for entry, (whole, crowds) in zip(self.data_list, self._contents())
            if not (self.strict and voc & (whole | crowds))
            and (not filled or wanted & whole)]

    def _contents(self) -> Iterator[tuple]:
        """Yield the ids of single objects and those of crowds of every image."""
        if self.ann_file.endswith('.json'):
            for entry in self.data_list:
                yield tuple({item['label'] for item in entry['instances']
                             if item['crowd'] is crowd} for crowd in (False, True))
            return
        labels = None
        if self.label_file is not None:
            labels = ImageLabelFile(osp.join(self.data_root or '', self.label_file),
                                    NAMES, self.label_key)
        from ..utils.progress import progress_bar
        hidden = labels is not None or len(self.data_list) < MANY or \
            not is_main_process()
        with progress_bar(desc='reading masks', unit='image', total=len(self.data_list),
                          disable=hidden) as bar:
            for entry in self.data_list:
                bar.update()
                yield (self._ids_of_map(entry['seg_map_path']) if labels is None
                       else set(labels(entry['img_path']).tolist())), set()

    def _ids_of_map(self, path: str) -> Set[int]:
        import mmcv
        content = mmcv.imfrombytes(get(path, backend_args=self.backend_args),
                                   flag='unchanged', backend='pillow')
        return set(np.unique(content).tolist())

    def _instance_entries(self) -> List[dict]:
        """Return the images of COCO's file with their annotations."""
        content = self._coco_file()
        labels = self._labels_of_categories(content['categories'])
        objects: Dict[int, List[dict]] = defaultdict(list)
        for row in content['annotations']:
            if row['category_id'] not in labels:
                raise DataError(f'{self.ann_file}: the annotation {row.get("id")} has '
                                f'the category {row["category_id"]}, which the file does '
                                'not list.')
            objects[row['image_id']].append(dict(
                label=labels[row['category_id']], crowd=bool(row.get('iscrowd', 0)),
                area=float(row.get('area', 0)), segmentation=row['segmentation']))
        folder = self.data_prefix.get('img_path') or ''
        return [
            dict(img_path=osp.join(folder, image['file_name']), img_id=image['id'],
                 height=image['height'], width=image['width'],
                 instances=objects[image['id']], seg_fields=[])
            for image in content['images']]

    def _coco_file(self) -> dict:
        try:
            content = json.loads(get_text(self.ann_file, backend_args=self.backend_args))
        except FileNotFoundError as error:
            raise DataError(f'the annotations {self.ann_file} do not exist. Set '
                            'data_root and ann_file.') from error
        except ValueError as error:
            raise DataError(f'{self.ann_file} is no JSON: {error}.') from error
        wanted = ('images', 'annotations', 'categories')
        if not isinstance(content, dict) or not set(wanted) <= set(content):
            raise DataError(f'{self.ann_file} holds no COCO instances: '
                            f'{", ".join(wanted)} are wanted.')
        return content

    def _labels_of_categories(self, categories: List[dict]) -> Dict[int, int]:
        """Return ``{category id: our id}``."""
        ids = ids_by_name(NAMES)
        for category in categories:
            name = category['name']
            if not ids.get(canonical(name)):
                raise DataError(f'{self.ann_file} has the category {name!r}, none of '
                                f"COCO's 80.{hint(name, NAMES[1:])}")
        return {one['id']: ids[canonical(one['name'])] for one in categories}
