"""Cityscapes' layout: our classes under the names of ten of its nineteen.

leftImg8bit/{split}/CITY/CITY_SEQ_FRAME_leftImg8bit.png and, in gtFine,
``_labelTrainIds`` (0..18), ``_labelIds`` (the official ids) and
``_instanceIds`` (16 bit: label id * 1000 + n for the classes Cityscapes tells
apart, n from 0; else the label id). ``_polygons.json`` is not written.
Beside them annotations/instancesonly_filtered_gtFine_{split}.json (COCO, the
name mmdet looks for) and annotations/image_labels_{split}.json (train ids).
"""

from typing import Dict, Iterator, List

import numpy as np

from ..classes import SCENE_CLASSES
from ..encoding import lookup, png_gray, png_rgb
from ..render import Scene
from .base import File, Layout, Record

#: Cityscapes' name, official label id; in the order of the train ids.
TRAIN_CLASSES = (
    ('road', 7), ('sidewalk', 8), ('building', 11), ('wall', 12),
    ('fence', 13), ('pole', 17), ('traffic light', 19), ('traffic sign', 20),
    ('vegetation', 21), ('terrain', 22), ('sky', 23), ('person', 24),
    ('rider', 25), ('car', 26), ('truck', 27), ('bus', 28), ('train', 31),
    ('motorcycle', 32), ('bicycle', 33))
_NAMES = tuple(name for name, _ in TRAIN_CLASSES)
_LABEL_IDS = dict(TRAIN_CLASSES)
#: Classes whose single objects Cityscapes tells apart.
INSTANCE_CLASSES = ('person', 'rider', 'car', 'truck', 'bus', 'train',
                    'motorcycle', 'bicycle')


class CityscapesLayout(Layout):
    """See the module."""

    name = 'cityscapes'
    class_ids = {
        i: _NAMES.index(c.cityscapes)
        for i, c in enumerate(SCENE_CLASSES)
    }
    class_names = _NAMES
    category_ids = {
        i: _LABEL_IDS[c.cityscapes]
        for i, c in enumerate(SCENE_CLASSES)
        if c.is_thing and c.cityscapes in INSTANCE_CLASSES
    }

    def stem(self, split: str, index: int) -> str:
        return f'scenes{split}_{index:06d}_000000'

    def file_name(self, split: str, index: int) -> str:
        return f'scenes{split}/{self.stem(split, index)}_leftImg8bit.png'

    def scene_paths(self, split: str, index: int) -> List[str]:
        fine = f'gtFine/{split}/scenes{split}/{self.stem(split, index)}_gtFine'
        return [f'leftImg8bit/{split}/{self.file_name(split, index)}'] + [
            f'{fine}_{kind}.png'
            for kind in ('labelTrainIds', 'labelIds', 'instanceIds')
        ]

    def scene_files(self, split: str, index: int,
                    scene: Scene) -> Iterator[File]:
        paths = self.scene_paths(split, index)
        official = lookup({
            i: _LABEL_IDS[c.cityscapes]
            for i, c in enumerate(SCENE_CLASSES)
        })[scene.semantic]
        yield paths[0], png_rgb(scene.image)
        yield paths[1], png_gray(lookup(self.class_ids)[scene.semantic])
        yield paths[2], png_gray(official)
        yield paths[3], png_gray(self._instance_ids(scene, official))

    def _instance_ids(self, scene: Scene, official: np.ndarray) -> np.ndarray:
        coded = official.astype(np.uint16)
        count: Dict[int, int] = {}
        for item in scene.instances:
            label_id = self.category_ids.get(item.class_id)
            if label_id is None:
                continue
            number = count.get(label_id, 0)
            coded[scene.instance_map == item.instance_id] = (
                label_id * 1000 + number)
            count[label_id] = number + 1
        return coded

    def categories(self) -> List[Record]:
        return [
            dict(id=_LABEL_IDS[name], name=name, supercategory='thing')
            for name in INSTANCE_CLASSES
        ]

    def summary_paths(self, splits: List[str]) -> List[str]:
        return [
            f'annotations/{kind}_{split}.json' for split in splits
            for kind in ('instancesonly_filtered_gtFine', 'image_labels')
        ]

    def summary_files(self,
                      records: Dict[str, List[Record]]) -> Iterator[File]:
        for split, rows in records.items():
            yield (f'annotations/instancesonly_filtered_gtFine_{split}.json',
                   self.coco_json(rows))
            yield (f'annotations/image_labels_{split}.json',
                   self.image_labels_json(rows))
