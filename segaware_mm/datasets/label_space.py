"""A data set seen in the classes of another one: the base of two wrappers.

Two domains that train one network share a joint list of classes, 0 background. Any data
set of mmsegmentation is brought into it by name (:mod:`class_names` has the aliases);
``label_set`` says which of the joint ids this data set annotates.

::

    dataset (its own pipeline: load image and mask)  ->  ids of the joint list
        ->  pipeline of the wrapper (augment, pack)
"""

import copy
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.dataset import Compose
from mmseg.registry import DATASETS
from torch.utils.data import Dataset

from ..engine.errors import DataError
from ..ops.checks import check_choice
from .class_names import BACKGROUND, canonical, class_list, find_ids, joint_classes

Names = Union[str, Sequence[str]]
IGNORED = 255


class LabelSpaceDataset(Dataset):
    """Base: classes, ids and the loop over images that the pipeline refuses.

    Args:
        dataset (dict | Dataset): Any data set of mmsegmentation, or a wrapper of some.
        classes (Sequence[str] | str): The joint list; 'background' first. A string
            names the data set class that has it.
        pipeline (Sequence[dict | callable]): Runs on what ``dataset`` gives.
        keep (Sequence[str] | str, optional): Classes that are annotated here. Default:
            all that ``dataset`` and ``classes`` share.
        exclude (Sequence[str] | str, optional): All shared ones but these.
        palette (list, optional): RGB of the joint classes. Default: that of ``classes``
            where it is a data set class, else random and always the same.
        domain (str): 'source' or 'target'; goes into the sample.
        lazy_init (bool): Whether the list of images is read later.
        max_refetch (int): How many other images are tried where the pipeline gives None.

    Raises:
        ValueError: A class that is not there; near names are told.
    """

    def __init__(self,
                 dataset: Union[dict, Dataset],
                 classes: Names,
                 pipeline: Sequence[Any] = (),
                 keep: Optional[Names] = None,
                 exclude: Optional[Names] = None,
                 palette: Optional[List[List[int]]] = None,
                 domain: str = 'source',
                 lazy_init: bool = False,
                 max_refetch: int = 1000) -> None:
        check_choice('domain', domain, ('source', 'target'))
        joint = joint_classes(classes)
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.inner_name = type(self.dataset).__name__
        inner = (getattr(self.dataset, 'metainfo', None) or {}).get('classes')
        if inner is None:
            raise ValueError(f'{self.inner_name} names no classes; give them with its '
                             'metainfo=dict(classes=(...)).')
        self.classes = joint.names
        self.inner_classes = tuple(inner)
        self.label_set = self._find_label_set(keep, exclude)
        #: Id of the inner data set -> joint id, -1 for classes that are not kept.
        self.joint_ids = self._joint_ids()
        self.domain = domain
        self.max_refetch = max_refetch
        self.pipeline = Compose(list(pipeline))
        self._metainfo = dict(
            classes=self.classes, palette=palette or joint.palette or
            _palette(len(self.classes)), label_map=None, reduce_zero_label=False)
        if len(self._metainfo['palette']) != len(self.classes):
            raise ValueError(f'palette has {len(self._metainfo["palette"])} colours for '
                             f'{len(self.classes)} classes.')
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def _find_label_set(self, keep: Optional[Names],
                        exclude: Optional[Names]) -> Tuple[int, ...]:
        """Return the joint ids that are annotated here, sorted."""
        if keep is not None and exclude is not None:
            raise ValueError('keep and exclude were given; one of them says it all.')
        mine = {canonical(name) for name in self.inner_classes}
        if keep is not None:
            wanted = _foreground(class_list(keep, 'keep').names)
            find_ids(wanted, self.inner_classes, 'keep', f'{self.inner_name}')
        else:
            wanted = [name for name in _foreground(self.classes)
                      if canonical(name) in mine]
        ids = set(find_ids(wanted, self.classes, 'keep'))
        if exclude is not None:
            ids -= set(find_ids(_foreground(class_list(exclude, 'exclude').names),
                                self.classes, 'exclude'))
        if not ids:
            raise ValueError(
                f'no class is left: {self.inner_name} has '
                f'{", ".join(self.inner_classes[:6])}, ...; classes are '
                f'{", ".join(self.classes[:6])}, ... Names are compared, with aliases.')
        return tuple(sorted(ids))

    def _joint_ids(self) -> np.ndarray:
        names = {canonical(self.classes[i]): i for i in self.label_set}
        names[BACKGROUND] = 0
        return np.array([names.get(canonical(name), -1) for name in self.inner_classes],
                        np.int64)

    @property
    def metainfo(self) -> dict:
        """The joint classes and palette; equal for both domains."""
        return copy.deepcopy(self._metainfo)

    @property
    def test_mode(self) -> bool:
        """Whether the wrapped data set is one to test on."""
        return bool(getattr(self.dataset, 'test_mode', False))

    def full_init(self) -> None:
        """Read the list of images of the wrapped data set."""
        if not self._fully_initialized:
            if hasattr(self.dataset, 'full_init'):
                self.dataset.full_init()
            self._fully_initialized = True

    def __len__(self) -> int:
        """Return the number of images."""
        self.full_init()
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        """Return a sample; of another image where the pipeline gives None."""
        self.full_init()
        for _ in range(self.max_refetch + 1):
            data = self.convert(self.dataset[index])
            if data is not None:
                return data
            if self.test_mode:
                break
            index = int(np.random.randint(len(self)))
        raise DataError(
            f'{type(self).__name__}: its pipeline gave no sample'
            f'{" in test mode" if self.test_mode else ""}. Does any image have a label '
            f'of {", ".join(self.classes[i] for i in self.label_set[:6])}, ...?')

    def convert(self, data: Optional[dict]) -> Optional[dict]:
        """Turn what the wrapped data set gives into a sample of the joint list."""
        raise NotImplementedError

    def check_inner(self, seg_map: np.ndarray, image: str) -> None:
        """Raise where a map has a value that the wrapped data set has no class for."""
        bad = seg_map[(seg_map != IGNORED) & (
            (seg_map < 0) | (seg_map >= len(self.inner_classes)))]
        if bad.size:
            raise DataError(
                f'the mask of {image} has the value {int(bad[0])}; {self.inner_name} '
                f'has the classes 0..{len(self.inner_classes) - 1}, and {IGNORED} for '
                'pixels without one. Is reduce_zero_label right, and the mask not '
                'binary already?')


def _foreground(names: Sequence[str]) -> List[str]:
    return [name for name in names if canonical(name) != BACKGROUND]


def _palette(count: int) -> List[List[int]]:
    return np.random.RandomState(42).randint(0, 255, (count, 3)).tolist()


def image_of(data: Dict[str, Any]) -> str:
    """Return the path of the image of a sample, packed or not, for messages."""
    sample = data.get('data_samples')
    found = data if sample is None else sample.metainfo
    return found.get('img_path') or 'an image'
