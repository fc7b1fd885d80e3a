"""The classes of an image, and the one that a training sample asks for.

TransferNet (Hong et al., CVPR 2016) trains on pairs of an image and one of its labels.
Both keys go to the model through ``PackSegInputs(meta_keys=(..., 'image_labels',
'label_set', 'condition_label', 'domain'))``.
"""

from typing import Optional, Sequence, Union

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS

from ..datasets.class_names import class_list, find_ids
from ..datasets.label_file import ImageLabelFile
from ..ops.checks import check_choice, check_number


def labels_in_map(seg_map: np.ndarray, min_pixels: int = 1, ignore_index: int = 255,
                  background: Optional[int] = 0) -> np.ndarray:
    """Return the ids of a map, sorted, (L,) int64.

    Args:
        seg_map: (H, W) integers.
        min_pixels: A class with fewer pixels does not count.
        ignore_index: Not a class.
        background: Not a label either; None where id 0 is a class like others.
    """
    ids, counts = np.unique(seg_map, return_counts=True)
    keep = (counts >= min_pixels) & (ids != ignore_index)
    if background is not None:
        keep &= ids != background
    return ids[keep].astype(np.int64)


@TRANSFORMS.register_module()
class LoadImageLabels(BaseTransform):
    """Add ``image_labels``, the sorted ids of the classes in the image.

    From a file (see :mod:`segaware_mm.datasets.label_file`), or from ``gt_seg_map`` as
    it is at this place: after a crop, the labels are those of the crop.

    An image that shows no class gets an empty array: it makes no pair with a label, so
    it adds nothing to TransferNet's losses. For a multi-label classifier it is an image
    where every class of ``label_set`` is absent.

    Required keys: img_path, or gt_seg_map. Added keys: image_labels (L,) int64, and
    label_set with ``keep``. Where the data set has set label_set, other labels are left
    out.

    Args:
        label_file (str, optional): JSON file. Default: the labels come from the map.
        classes (Sequence[str] | str, optional): Names by id, or the data set class that
            has them; needed for names in ``label_file`` and in ``keep``.
        key (str, optional): The part of the file that has the images.
        keep (Sequence[str | int] | str, optional): Classes that count, ids or names of
            ``classes``; they become ``label_set``. Default: all.
        min_pixels (int): In a map, a class with fewer pixels is not there.
        ignore_index (int): Value in a map that is no class.
        background (int, optional): Id that is no label; None where there is none.

    Raises:
        DataError: A file that is absent or of another form, an unknown class, an image
            that the file has not.
        ValueError: A name in ``keep`` that ``classes`` has not.
    """

    def __init__(self,
                 label_file: Optional[str] = None,
                 classes: Union[str, Sequence[str], None] = None,
                 key: Optional[str] = None,
                 keep: Union[str, Sequence[Union[str, int]], None] = None,
                 min_pixels: int = 1,
                 ignore_index: int = 255,
                 background: Optional[int] = 0) -> None:
        check_number('min_pixels', min_pixels, 1, integer=True)
        names = None if classes is None else class_list(classes).names
        self.label_set = None if keep is None else _ids(keep, names, background)
        self.labels = None
        if label_file is not None:
            self.labels = ImageLabelFile(label_file, names, key,
                                         needed=self.label_set or ())
        self.label_file = label_file
        self.min_pixels = min_pixels
        self.ignore_index = ignore_index
        self.background = background

    def transform(self, results: dict) -> dict:
        """Add the labels.

        Raises:
            KeyError: Neither a file nor a map.
        """
        if self.labels is not None:
            found = self.labels(results['img_path'])
        elif 'gt_seg_map' in results:
            found = labels_in_map(results['gt_seg_map'], self.min_pixels,
                                  self.ignore_index, self.background)
        else:
            raise KeyError("LoadImageLabels needs label_file, or 'gt_seg_map' to take "
                           'the labels from: put it after LoadAnnotations.')
        for allowed in (results.get('label_set'), self.label_set):
            if allowed is not None:
                found = found[np.isin(found, allowed)]
        if self.label_set is not None:
            results['label_set'] = tuple(
                label for label in self.label_set
                if results.get('label_set') is None or label in results['label_set'])
        results['image_labels'] = found
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(label_file={self.label_file}, '
                f'label_set={self.label_set}, min_pixels={self.min_pixels}, '
                f'ignore_index={self.ignore_index}, background={self.background})')


def _ids(keep, names, background) -> tuple:
    """Return sorted ids of classes given by id, by name or by a data set class."""
    if isinstance(keep, str):
        keep = class_list(keep, 'keep').names
    named = [one for one in keep if isinstance(one, str)]
    if named and names is None:
        raise ValueError(f'keep has the name {named[0]!r}; `classes`, the names by id, '
                         'are wanted too.')
    ids = [find_ids([one], names, 'keep')[0] if isinstance(one, str) else int(one)
           for one in keep]
    return tuple(sorted(set(ids) - {background}))


@TRANSFORMS.register_module()
class SampleConditionLabel(BaseTransform):
    """Draw the one label that this sample is about: ``condition_label``.

    Without ``condition_label`` the model takes every label of the image.

    Required keys: image_labels; gt_seg_map with ``how='crop'``. Added key:
    condition_label (int); not where the image has no label.

    Args:
        how (str): 'present': any label of the image, with equal chance, as released.
            'crop': of the labels of the image those with ``min_pixels`` pixels in
            ``gt_seg_map`` as it is at this place; any of the image where that is none,
            and where the map is ignored everywhere (image labels alone).
        p (float): Chance that a label is drawn at all.
        no_label (str): What happens to an image without label. 'keep': it goes on
            without ``condition_label``. 'another': the transform returns None, and the
            data set takes another image; do not use it in a test pipeline.
        min_pixels (int): For 'crop'.
        ignore_index (int): Value in the map that is no class.
    """

    def __init__(self,
                 how: str = 'present',
                 p: float = 1.0,
                 no_label: str = 'keep',
                 min_pixels: int = 1,
                 ignore_index: int = 255) -> None:
        check_choice('how', how, ('present', 'crop'))
        check_choice('no_label', no_label, ('keep', 'another'))
        check_number('p', p, 0, 1)
        check_number('min_pixels', min_pixels, 1, integer=True)
        self.how = how
        self.p = p
        self.no_label = no_label
        self.min_pixels = min_pixels
        self.ignore_index = ignore_index

    @cache_randomness
    def _draw(self, labels: np.ndarray) -> Optional[int]:
        if np.random.rand() >= self.p:
            return None
        return int(np.random.choice(labels))

    def transform(self, results: dict) -> Optional[dict]:
        """Add the label.

        Raises:
            KeyError: Labels, or the map, are not there.
        """
        if 'image_labels' not in results:
            raise KeyError("SampleConditionLabel needs 'image_labels': put it after "
                           'LoadImageLabels.')
        results.pop('condition_label', None)
        labels = results['image_labels']
        if not len(labels):
            return results if self.no_label == 'keep' else None
        if self.how == 'crop':
            labels = self._in_crop(labels, results)
        label = self._draw(labels)
        if label is not None:
            results['condition_label'] = label
        return results

    def _in_crop(self, labels: np.ndarray, results: dict) -> np.ndarray:
        if 'gt_seg_map' not in results:
            raise KeyError("SampleConditionLabel(how='crop') needs 'gt_seg_map': put it "
                           "after LoadAnnotations, or set how='present'.")
        there = np.intersect1d(labels, labels_in_map(
            results['gt_seg_map'], self.min_pixels, self.ignore_index))
        return there if len(there) else labels

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(how={self.how!r}, p={self.p}, '
                f'no_label={self.no_label!r}, min_pixels={self.min_pixels}, '
                f'ignore_index={self.ignore_index})')
