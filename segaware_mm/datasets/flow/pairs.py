"""Pairs of images with optical flow as a data set."""

import os.path as osp
from pathlib import Path
from typing import Any, List, Optional

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from ...engine.errors import DataError
from .naming import PairFiles, find_pairs


@DATASETS.register_module()
class FlowPairs(BaseDataset):
    """All pairs below a folder, or those of a list.

    Which images belong to a flow is told by the names, see
    :mod:`segaware_mm.datasets.flow.naming`. A list has a line for every pair:
    first image, second image, flow, relative to ``data_root``.

    Every pair has a ``dataset_name``, under which metrics report it.

    Args:
        data_root (str): Root folder.
        data_prefix (dict): ``dict(img_path=FOLDER)`` below the root.
        ann_file (str): The list; all pairs of the folder if empty.
        dataset_name (str | None): Name of all pairs; the name of the folder that
            holds the flow if None.
        **kwargs: As in mmengine's ``BaseDataset``.

    Raises:
        DataError: No pair, a flow without its images, a wrong list.
    """

    def __init__(self, ann_file: str = '', dataset_name: Optional[str] = None,
                 **kwargs: Any) -> None:
        self.dataset_name = dataset_name
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> List[dict]:
        """Return one entry a pair."""
        folder = Path(self.data_prefix.get('img_path') or self.data_root or '.')
        pairs = list(self._listed() if self.ann_file else find_pairs(folder))
        if not pairs:
            where = (f'the list {osp.abspath(self.ann_file)} is empty' if self.ann_file
                     else f'no .flo file and no flow_gt.png below {folder.absolute()}')
            raise DataError(
                f'FlowPairs has no pairs: {where}. Make procedural ones with python '
                'tools/make_flow.py --out FOLDER, or set data_root and data_prefix.')
        return [self._entry(pair) for pair in pairs]

    def _entry(self, pair: PairFiles) -> dict:
        entry = dict(
            img_path=str(pair.first), img2_path=str(pair.second),
            flow_path=str(pair.flow),
            dataset_name=self.dataset_name or pair.flow.absolute().parent.name)
        if pair.layers is not None:
            entry['layers_path'] = str(pair.layers)
        return entry

    def _listed(self) -> List[PairFiles]:
        root = Path(self.data_root or '.')
        pairs = []
        for number, line in enumerate(Path(self.ann_file).read_text().splitlines(), 1):
            names = line.split()
            if names and len(names) != 3:
                raise DataError(
                    f'{self.ann_file}, line {number}: {len(names)} names; wanted are '
                    'three: first image, second image, flow.')
            if names:
                pairs.append(PairFiles(*(root / name for name in names)))
        return pairs
