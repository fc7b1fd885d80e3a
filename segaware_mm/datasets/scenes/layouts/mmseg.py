"""mmsegmentation's plain layout.

images/{split}/NAME.png, annotations/{split}/NAME.png (class ids, coloured);
beside them annotations/instances_{split}.json (COCO, things; category id =
class id) and annotations/image_labels_{split}.json.
"""

from typing import Dict, Iterator, List

from ..classes import PALETTE
from ..encoding import png_palette, png_rgb
from ..render import Scene
from .base import File, Layout, Record


class MMSegLayout(Layout):
    """See the module."""

    name = 'mmseg'

    def scene_paths(self, split: str, index: int) -> List[str]:
        stem = self.stem(split, index)
        return [f'images/{split}/{stem}.png', f'annotations/{split}/{stem}.png']

    def scene_files(self, split: str, index: int,
                    scene: Scene) -> Iterator[File]:
        image, label = self.scene_paths(split, index)
        yield image, png_rgb(scene.image)
        yield label, png_palette(scene.semantic, PALETTE)

    def summary_paths(self, splits: List[str]) -> List[str]:
        return [
            f'annotations/{kind}_{split}.json' for split in splits
            for kind in ('instances', 'image_labels')
        ]

    def summary_files(self,
                      records: Dict[str, List[Record]]) -> Iterator[File]:
        for split, rows in records.items():
            yield f'annotations/instances_{split}.json', self.coco_json(rows)
            yield (f'annotations/image_labels_{split}.json',
                   self.image_labels_json(rows))
