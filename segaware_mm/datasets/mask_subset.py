"""The masks of some classes of a data set, in the joint list: the source domain."""

from typing import Any, Optional

import numpy as np
import torch
from mmseg.registry import DATASETS

from ..engine.errors import DataError
from ..ops.checks import check_choice
from .label_space import IGNORED, LabelSpaceDataset, image_of


@DATASETS.register_module()
class MaskSubsetDataset(LabelSpaceDataset):
    """Any data set with masks; those of chosen classes stay, in ids of a joint list.

    The wrapped data set's pipeline loads image and mask, the wrapper's own augments and
    packs. For a validation at the size of the image the first does all but the packing.
    ``label_set`` and ``domain`` are set in every sample, so ``LoadImageLabels`` and
    ``PackSegInputs(meta_keys=...)`` of the wrapper's pipeline find them.

    Args:
        dataset, classes, pipeline, keep, exclude, palette, lazy_init, max_refetch: As in
            :class:`LabelSpaceDataset`.
        others (str): What pixels of other classes become: 'background', as released
            (the target of a label is figure against everything else), or 'ignore', 255.
        domain (str): 'source', or 'target' for a validation.

    Example::

        dict(type='MaskSubsetDataset',
             classes='COCOExclusiveDataset',   # 81 names
             keep='PascalVOCDataset',          # the masks that stay
             dataset=dict(type='PascalVOCDataset', ..., pipeline=[
                 dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]),
             pipeline=[dict(type='LoadImageLabels'), ..., dict(type='PackSegInputs')])
    """

    def __init__(self, *args: Any, others: str = 'background', **kwargs: Any) -> None:
        check_choice('others', others, ('background', 'ignore'))
        super().__init__(*args, **kwargs)
        self.others = others
        self.table = np.full(IGNORED + 1, IGNORED, np.uint8)
        rest = 0 if others == 'background' else IGNORED
        self.table[:len(self.joint_ids)] = np.where(self.joint_ids < 0, rest,
                                                    self.joint_ids)

    def get_data_info(self, index: int) -> dict:
        """Return the wrapped data set's entry."""
        return self.dataset.get_data_info(index)

    def convert(self, data: Optional[dict]) -> Optional[dict]:
        """Map the mask, run the pipeline, check what comes out."""
        if data is None:
            return None
        image = image_of(data)
        if 'data_samples' in data:
            self._map_sample(data['data_samples'], image)
        else:
            if 'gt_seg_map' not in data:
                raise KeyError(
                    f'{self.inner_name} gave no gt_seg_map of {image}: put '
                    'LoadAnnotations into the pipeline of the wrapped data set.')
            data['gt_seg_map'] = self.joint_map(data['gt_seg_map'], image)
            data.update(label_set=self.label_set, domain=self.domain, label_map=None,
                        reduce_zero_label=False)
        data = self.pipeline(data)
        if data is not None:
            self._check_outcome(data, image)
        return data

    def _map_sample(self, sample: Any, image: str) -> None:
        """Map the mask of a sample that is packed already."""
        if 'gt_sem_seg' not in sample:
            raise KeyError(f'{self.inner_name} gave no gt_sem_seg of {image}: put '
                           'LoadAnnotations into its pipeline.')
        mapped = self.joint_map(sample.gt_sem_seg.data.numpy(), image)
        sample.gt_sem_seg.data = torch.from_numpy(mapped.astype(np.int64))
        sample.set_metainfo(dict(label_set=self.label_set, domain=self.domain))

    def joint_map(self, seg_map: np.ndarray, image: str) -> np.ndarray:
        """Return a map of the wrapped data set in ids of the joint list.

        Args:
            seg_map: Integers; ids of the wrapped data set, or 255.
            image: Whose map it is, for the message.

        Raises:
            DataError: An id that the wrapped data set has not.
        """
        self.check_inner(seg_map, image)
        return self.table[seg_map]

    def _check_outcome(self, data: dict, image: str) -> None:
        """Raise where the pipeline has brought other classes in."""
        sample = data.get('data_samples')
        if sample is None:
            seg_map, info = data.get('gt_seg_map'), data
        else:
            seg_map = sample.gt_sem_seg.data.numpy() if 'gt_sem_seg' in sample else None
            info = sample.metainfo
        if seg_map is None or 'binary_label' in data or 'binary_label' in info:
            return
        extra = np.setdiff1d(seg_map, (0, IGNORED, *self.label_set))
        if extra.size and not self._is_binary(extra, info):
            raise DataError(
                f'the pipeline of {type(self).__name__} gave the mask of {image} the '
                f'value {int(extra[0])}, which is no class of `keep`. LoadAnnotations '
                'belongs into the pipeline of the wrapped data set, before the ids are '
                'mapped.')

    @staticmethod
    def _is_binary(extra: np.ndarray, info: dict) -> bool:
        """Whether this is a binary mask whose label was not packed."""
        return extra.tolist() == [1] and 'condition_label' in info
