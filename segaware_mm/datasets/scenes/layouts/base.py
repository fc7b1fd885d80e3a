"""What every layout says: which files a scene becomes, and their content.

A layout turns scenes into ``(path, bytes)`` pairs and never touches the disk;
how files get there (atomically, again after a kill) is the driver's business.
"""

from typing import Any, Dict, Iterator, List, Tuple

import numpy as np

from ..classes import CLASS_NAMES, SCENE_CLASSES, THING_IDS
from ..encoding import json_bytes, rle
from ..render import Scene

#: Path relative to the output folder ('/' between parts), content.
File = Tuple[str, bytes]
Record = Dict[str, Any]


class Layout:
    """Base of the layouts.

    A subclass fills in :meth:`scene_paths`, :meth:`scene_files`,
    :meth:`summary_paths` and :meth:`summary_files`. The paths are known
    without drawing, so a later run can tell what is missing.
    """

    name = ''

    #: Our class id -> id in the label files and image labels of the layout.
    class_ids: Dict[int, int] = {i: i for i in range(len(SCENE_CLASSES))}
    #: Names by layout id.
    class_names: Tuple[str, ...] = CLASS_NAMES
    #: Our class id -> COCO category id, for the classes with instances.
    category_ids: Dict[int, int] = {i: i for i in THING_IDS}

    def scene_paths(self, split: str, index: int) -> List[str]:
        """Return the files of one scene, the image first."""
        raise NotImplementedError

    def scene_files(self, split: str, index: int,
                    scene: Scene) -> Iterator[File]:
        """Yield the files of one scene, in the order of the paths."""
        raise NotImplementedError

    def summary_paths(self, splits: List[str]) -> List[str]:
        """Return the files that tell about whole splits."""
        raise NotImplementedError

    def summary_files(self,
                      records: Dict[str, List[Record]]) -> Iterator[File]:
        """Yield the files that tell about whole splits.

        Args:
            records: What :meth:`record` gave, by split, in order.
        """
        raise NotImplementedError

    def record(self, split: str, index: int, scene: Scene) -> Record:
        """Return what the summaries need of one scene, ready for JSON.

        ``labels`` holds the sorted layout ids of the classes in the scene.
        """
        present = {self.class_ids[int(i)] for i in np.unique(scene.semantic)}
        height, width = scene.semantic.shape
        return dict(
            name=self.stem(split, index),
            file_name=self.file_name(split, index),
            id=index + 1,
            height=height,
            width=width,
            labels=sorted(present),
            instances=self.annotations(scene))

    def stem(self, split: str, index: int) -> str:
        """Return the name of a scene without suffix."""
        return f'{index:06d}'

    def file_name(self, split: str, index: int) -> str:
        """Return the image's path as COCO annotations give it."""
        return self.scene_paths(split, index)[0].rsplit('/', 1)[-1]

    def annotations(self, scene: Scene) -> List[Record]:
        """Return the scene's instances as COCO annotations without ids."""
        rows = []
        for item in scene.instances:
            if item.class_id not in self.category_ids:
                continue
            rows.append(
                dict(
                    category_id=self.category_ids[item.class_id],
                    bbox=list(item.bbox),
                    area=item.area,
                    iscrowd=0,
                    segmentation=rle(scene.instance_map == item.instance_id)))
        return rows

    def coco_json(self, records: List[Record]) -> bytes:
        """Return the COCO instance annotations of a split."""
        images, annotations = [], []
        for record in records:
            images.append({
                key: record[key]
                for key in ('id', 'file_name', 'height', 'width')
            })
            for row in record['instances']:
                annotations.append(
                    dict(row, id=len(annotations) + 1, image_id=record['id']))
        return json_bytes(
            dict(
                info=dict(description='procedural scenes of segaware_mm'),
                images=images,
                annotations=annotations,
                categories=self.categories()))

    def categories(self) -> List[Record]:
        """Return the COCO categories."""
        return [
            dict(id=theirs, name=CLASS_NAMES[ours], supercategory='thing')
            for ours, theirs in sorted(self.category_ids.items(),
                                       key=lambda pair: pair[1])
        ]

    def image_labels_json(self, records: List[Record]) -> bytes:
        """Return ``{classes: [...], labels: {image name: [ids]}}``."""
        return json_bytes(
            dict(
                classes=list(self.class_names),
                labels={r['name']: r['labels'] for r in records}))
