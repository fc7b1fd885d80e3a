"""Image labels of a data set and none of its masks: the target domain.

The guard: a sample is put together anew from a list of keys that are allowed, and its
map is written by this module, 255 everywhere. What a pipeline leaves under other keys
(edge maps, instances, paths of masks, metainfo) is not looked at and goes no further.
The image itself is passed on as it is: a transform that paints a mask into it is beyond
the guard.
"""

import os.path as osp
from typing import Any, Dict, Optional, Sequence

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample

from ..engine.config_nodes import leaf_datasets
from ..ops.checks import check_number
from .class_names import class_list
from .label_file import ImageLabelFile
from .label_space import IGNORED, LabelSpaceDataset, image_of

#: What may be known of an image; none of it can hold a mask.
ALLOWED = frozenset((
    'img_path', 'img_id', 'sample_idx', 'height', 'width', 'ori_shape', 'img_shape',
    'pad_shape', 'pad_fixed_size', 'pad_size_divisor', 'scale', 'scale_factor',
    'scale_idx', 'keep_ratio', 'flip', 'flip_direction', 'crop_size',
    'reduce_zero_label', 'label_map', 'image_labels', 'label_set', 'condition_label',
    'binary_label', 'domain', 'square_side', 'valid_shape'))
#: So many numbers an allowed value may have; image_labels and label_set as many as
#: there are classes.
MOST_NUMBERS = 16
#: Characters of a text, which is a path.
LONGEST_TEXT = 4096


@DATASETS.register_module()
class ImageLabelDataset(LabelSpaceDataset):
    """Any data set; of its annotation, the classes in an image are all that is left.

    Labels come from ``label_file``; else from ``image_labels`` where the wrapped data
    set's pipeline sets them (in its own ids); else from the mask that this pipeline
    loads, before the mask is dropped. With a file no mask need exist.

    Every sample has ``image_labels`` (of ``label_set``, joint ids), ``label_set``,
    ``domain``, and a map of 255. An image without a label of ``label_set`` stays, with
    an empty array; ``SampleConditionLabel(no_label='another')`` passes it over.

    Args:
        dataset, classes, pipeline, keep, exclude, palette, lazy_init, max_refetch: As in
            :class:`LabelSpaceDataset`.
        label_file (str, optional): JSON, below the wrapped data set's ``data_root``; see
            :mod:`segaware_mm.datasets.label_file`. Its ids are those of its own list of
            classes, else of ``file_classes``, else of ``classes``.
        label_key (str, optional): The part of the file that has the images.
        file_classes (Sequence[str] | str, optional): See there.
        min_pixels (int): In a mask, a class with fewer pixels is not there.
        domain (str): 'target', or 'source'.
        allowed_keys (Sequence[str]): Further keys, of small values, that may pass.

    Example::

        dict(type='ImageLabelDataset',
             classes='COCOExclusiveDataset',
             dataset=dict(type='PascalVOCDataset', ..., pipeline=[
                 dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]),
             pipeline=[..., dict(type='SampleConditionLabel'),
                       dict(type='PackSegInputs', meta_keys=(..., 'image_labels'))])
    """

    def __init__(self,
                 *args: Any,
                 label_file: Optional[str] = None,
                 label_key: Optional[str] = None,
                 file_classes: Optional[Sequence[str]] = None,
                 min_pixels: int = 1,
                 domain: str = 'target',
                 allowed_keys: Sequence[str] = (),
                 **kwargs: Any) -> None:
        check_number('min_pixels', min_pixels, 1, integer=True)
        super().__init__(*args, domain=domain, **kwargs)
        self.min_pixels = min_pixels
        self.allowed = ALLOWED | set(allowed_keys)
        self.labels = None
        if label_file is not None:
            if file_classes is not None:
                file_classes = class_list(file_classes, 'file_classes').names
            self.labels = ImageLabelFile(osp.join(self._data_root(), label_file),
                                         self.classes, label_key, file_classes,
                                         self.label_set)

    def _data_root(self) -> str:
        """Return the root folder of the wrapped data set, the first of several."""
        leaf = next((leaf for _, leaf in leaf_datasets(self.dataset)), None)
        return getattr(leaf, 'data_root', None) or ''

    def get_data_info(self, index: int) -> dict:
        """Return the wrapped data set's entry, without its annotation."""
        return self._kept(self.dataset.get_data_info(index))

    def convert(self, data: Optional[dict]) -> Optional[dict]:
        """Take the labels, drop everything else, run the pipeline, drop again."""
        if data is None:
            return None
        known = dict(image_labels=self._labels_of(data), label_set=self.label_set,
                     domain=self.domain)
        data = self.pipeline(self._clean(data, known))
        return None if data is None else self._clean(data)

    def _labels_of(self, data: dict) -> np.ndarray:
        """Return the joint ids of an image, sorted."""
        image, sample = image_of(data), data.get('data_samples')
        info = data if sample is None else sample.metainfo
        if self.labels is not None:
            ids = self.labels(image)
        elif 'image_labels' in info:
            inner = np.asarray(info['image_labels'], np.int64).reshape(-1)
            self.check_inner(inner, image)
            ids = self.joint_ids[inner]
        else:
            ids = self._labels_of_map(data, sample, image)
        return np.intersect1d(ids, self.label_set).astype(np.int64)

    def _labels_of_map(self, data: dict, sample: Any, image: str) -> np.ndarray:
        if sample is None:
            seg_map = data.get('gt_seg_map')
        else:
            seg_map = sample.gt_sem_seg.data.numpy() if 'gt_sem_seg' in sample else None
        if seg_map is None:
            raise KeyError(
                f'ImageLabelDataset finds no labels of {image}: give label_file, or put '
                'LoadAnnotations (or LoadImageLabels) into the pipeline of the wrapped '
                'data set; the mask is dropped afterwards.')
        self.check_inner(seg_map, image)
        ids, counts = np.unique(seg_map, return_counts=True)
        return self.joint_ids[ids[(counts >= self.min_pixels) & (ids != IGNORED)]]

    def _clean(self, data: dict, known: Optional[Dict[str, Any]] = None) -> dict:
        """Return a new sample of what is allowed, and a map of 255."""
        sample = data.get('data_samples')
        if sample is None:
            clean = self._kept(data)
            if 'img' in data:
                clean['img'] = data['img']
                clean['gt_seg_map'] = np.full(data['img'].shape[:2], IGNORED, np.uint8)
                clean['seg_fields'] = ['gt_seg_map']
            clean.update(known or {}, label_map=None, reduce_zero_label=False)
            return clean
        new = SegDataSample(metainfo={**self._kept(sample.metainfo), **(known or {})})
        size = data['inputs'].shape[-2:]
        new.gt_sem_seg = PixelData(
            data=torch.full((1, *size), IGNORED, dtype=torch.int64))
        return dict(inputs=data['inputs'], data_samples=new)

    def _kept(self, info: dict) -> Dict[str, Any]:
        """Return the allowed keys whose values are small."""
        most = max(MOST_NUMBERS, len(self.classes))
        return {key: value for key, value in info.items()
                if key in self.allowed and _count(value) <= most}


def _count(value: Any) -> float:
    """Return how many numbers a value holds; infinite for other kinds than plain ones."""
    if value is None or isinstance(value, (bool, int, float, np.generic)):
        return 1
    if isinstance(value, str):
        return 1 if len(value) <= LONGEST_TEXT else float('inf')
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return int(np.prod(value.shape))
    if isinstance(value, (list, tuple)):
        return sum(map(_count, value))
    return float('inf')
