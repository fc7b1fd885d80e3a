"""COCO's layout, with our own category names.

{split}2017/ID.jpg, annotations/instances_{split}2017.json (things; run
lengths), annotations/image_labels_{split}2017.json, and class ids of every
pixel in stuffthingmaps/{split}2017/ID.png, where mmdet's ``seg`` prefix looks.
"""

from typing import Dict, Iterator, List

from ..encoding import jpeg_rgb, png_gray
from ..render import Scene
from .base import File, Layout, Record


class CocoLayout(Layout):
    """See the module."""

    name = 'coco'

    def stem(self, split: str, index: int) -> str:
        return f'{index + 1:012d}'

    def scene_paths(self, split: str, index: int) -> List[str]:
        stem = self.stem(split, index)
        return [
            f'{split}2017/{stem}.jpg', f'stuffthingmaps/{split}2017/{stem}.png'
        ]

    def scene_files(self, split: str, index: int,
                    scene: Scene) -> Iterator[File]:
        image, label = self.scene_paths(split, index)
        yield image, jpeg_rgb(scene.image)
        yield label, png_gray(scene.semantic)

    def summary_paths(self, splits: List[str]) -> List[str]:
        return [
            f'annotations/{kind}_{split}2017.json' for split in splits
            for kind in ('instances', 'image_labels')
        ]

    def summary_files(self,
                      records: Dict[str, List[Record]]) -> Iterator[File]:
        for split, rows in records.items():
            yield (f'annotations/instances_{split}2017.json',
                   self.coco_json(rows))
            yield (f'annotations/image_labels_{split}2017.json',
                   self.image_labels_json(rows))
