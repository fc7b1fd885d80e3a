"""Pascal VOC's layout: our things under the names of six of its classes.

JPEGImages/NAME.jpg, SegmentationClass/NAME.png and SegmentationObject/NAME.png
(palette; 0 background, 255 along the contours), Annotations/NAME.xml (boxes),
ImageSets/Segmentation and ImageSets/Main {train,val,trainval}.txt. Image
labels: ImageSets/Main/CLASS_{split}.txt (1 or -1, as VOC gives them) and
image_labels_{split}.json. Our stuff classes are background here.
"""

import xml.etree.ElementTree as ElementTree
from typing import Dict, Iterator, List, Tuple

import numpy as np

from ..classes import SCENE_CLASSES, VOID
from ..encoding import contours_to_void, jpeg_rgb, lookup, png_palette, voc_colormap
from ..render import Scene
from .base import File, Layout, Record

VOC_NAMES = ('background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle',
             'bus', 'car', 'cat', 'chair', 'cow', 'diningtable', 'dog',
             'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
             'train', 'tvmonitor')


class VOCLayout(Layout):
    """See the module.

    Args:
        void_border: Whether contour pixels are void, as in VOC.
    """

    name = 'voc'
    class_ids = {
        i: VOC_NAMES.index(c.voc) if c.voc else 0
        for i, c in enumerate(SCENE_CLASSES)
    }
    class_names = VOC_NAMES
    category_ids = {i: v for i, v in class_ids.items() if v}

    def __init__(self, void_border: bool = True) -> None:
        self.void_border = void_border

    def stem(self, split: str, index: int) -> str:
        return f'{split}_{index:06d}'

    def scene_paths(self, split: str, index: int) -> List[str]:
        stem = self.stem(split, index)
        return [
            f'JPEGImages/{stem}.jpg', f'SegmentationClass/{stem}.png',
            f'SegmentationObject/{stem}.png', f'Annotations/{stem}.xml'
        ]

    def scene_files(self, split: str, index: int,
                    scene: Scene) -> Iterator[File]:
        paths = self.scene_paths(split, index)
        semantic, objects = self.label_maps(scene)
        colors = voc_colormap().tolist()
        yield paths[0], jpeg_rgb(scene.image)
        yield paths[1], png_palette(semantic, colors)
        yield paths[2], png_palette(objects, colors)
        yield paths[3], self._xml(self.stem(split, index), scene)

    def label_maps(self, scene: Scene) -> Tuple[np.ndarray, np.ndarray]:
        """Return the class and the object of every pixel, (H, W) uint8 each.

        Raises:
            ValueError: If the scene holds more objects than the format.
        """
        if len(scene.instances) >= VOID:
            raise ValueError(
                f'the voc layout holds at most {VOID - 1} objects an image, '
                f'this scene has {len(scene.instances)}: choose a smaller '
                'width for the height')
        semantic = lookup(self.class_ids)[scene.semantic]
        objects = scene.instance_map.astype(np.uint8)
        if self.void_border:
            radius = max(1, round(min(semantic.shape) / 250))
            border = contours_to_void(semantic, scene.instance_map, radius)
            semantic = np.where(border, np.uint8(VOID), semantic)
            objects = np.where(border, np.uint8(VOID), objects)
        return semantic, objects

    def record(self, split: str, index: int, scene: Scene) -> Record:
        row = super().record(split, index, scene)
        row['labels'] = [i for i in row['labels'] if i]  # not background
        del row['instances']  # they stand in the XML files
        return row

    def summary_paths(self, splits: List[str]) -> List[str]:
        paths = []
        for split in splits + ['trainval']:
            paths.append(f'ImageSets/Segmentation/{split}.txt')
            paths.append(f'ImageSets/Main/{split}.txt')
            paths += [
                f'ImageSets/Main/{VOC_NAMES[i]}_{split}.txt'
                for i in sorted(self.category_ids.values())
            ]
        return paths + [f'image_labels_{split}.json' for split in splits]

    def summary_files(self,
                      records: Dict[str, List[Record]]) -> Iterator[File]:
        every = [row for rows in records.values() for row in rows]
        for split, rows in {**records, 'trainval': every}.items():
            names = ''.join(f'{row["name"]}\n' for row in rows).encode()
            yield f'ImageSets/Segmentation/{split}.txt', names
            yield f'ImageSets/Main/{split}.txt', names
            for i in sorted(self.category_ids.values()):
                lines = ''.join(
                    f'{row["name"]} {1 if i in row["labels"] else -1:2d}\n'
                    for row in rows)
                yield (f'ImageSets/Main/{VOC_NAMES[i]}_{split}.txt',
                       lines.encode())
        for split, rows in records.items():
            yield f'image_labels_{split}.json', self.image_labels_json(rows)

    def _xml(self, stem: str, scene: Scene) -> bytes:
        height, width = scene.semantic.shape
        root = ElementTree.Element('annotation')
        _add(root, 'folder', 'VOC2012')
        _add(root, 'filename', f'{stem}.jpg')
        size = _add(root, 'size')
        for key, value in (('width', width), ('height', height), ('depth', 3)):
            _add(size, key, value)
        _add(root, 'segmented', 1)
        for item in scene.instances:
            x, y, w, h = item.bbox
            cut = x == 0 or y == 0 or x + w == width or y + h == height
            node = _add(root, 'object')
            _add(node, 'name', VOC_NAMES[self.class_ids[item.class_id]])
            _add(node, 'pose', 'Unspecified')
            _add(node, 'truncated', int(cut))
            _add(node, 'occluded', int(item.visible < 1))
            _add(node, 'difficult', 0)
            box = _add(node, 'bndbox')
            # VOC counts pixels from 1 and includes the last one
            for key, value in (('xmin', x + 1), ('ymin', y + 1),
                               ('xmax', x + w), ('ymax', y + h)):
                _add(box, key, value)
        ElementTree.indent(root)
        return ElementTree.tostring(root) + b'\n'


def _add(parent: ElementTree.Element, tag: str,
         text: object = None) -> ElementTree.Element:
    node = ElementTree.SubElement(parent, tag)
    if text is not None:
        node.text = str(text)
    return node
