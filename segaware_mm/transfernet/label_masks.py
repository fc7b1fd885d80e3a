"""Maps of TransferNet's training: figure and ground of one label, or nothing at all."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import RandomCrop
from mmseg.registry import TRANSFORMS

from ..ops.checks import check_choice, check_number


@TRANSFORMS.register_module()
class BinaryMaskFromLabel(BaseTransform):
    """Turn ``gt_seg_map`` into 1 where it is ``condition_label``, else 0; 255 stays.

    Optional: the model does so itself. Other objects are ground, as released. Without
    ``condition_label`` there is nothing to tell apart, and the map becomes 255.

    Required key: gt_seg_map. Modified key: gt_seg_map. Added key: binary_label (int).

    Args:
        ignore_index (int): Value of pixels that are not evaluated.
    """

    def __init__(self, ignore_index: int = 255) -> None:
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        """Replace the map.

        Raises:
            KeyError: There is no map.
        """
        if 'gt_seg_map' not in results:
            raise KeyError("BinaryMaskFromLabel needs 'gt_seg_map': put it after "
                           'LoadAnnotations.')
        seg_map = results['gt_seg_map']
        label = results.get('condition_label')
        if label is None:
            results['gt_seg_map'] = np.full_like(seg_map, self.ignore_index)
            return results
        binary = (seg_map == label).astype(seg_map.dtype)
        binary[seg_map == self.ignore_index] = self.ignore_index
        results['gt_seg_map'] = binary
        results['binary_label'] = int(label)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(ignore_index={self.ignore_index})'


@TRANSFORMS.register_module()
class DropSegMap(BaseTransform):
    """Forget the masks of an image: every map becomes 255, their path is removed.

    For pipelines that use image labels alone. ``ImageLabelDataset`` does so by itself,
    and guards what leaves it.

    Required keys: img, image_labels. Modified keys: gt_seg_map (made where it is not
    there), the other seg_fields. Removed keys: seg_map_path and all further maps.

    Args:
        ignore_index (int): The value of every pixel.
    """

    #: Keys of upstream's and our own pipelines that hold or name masks.
    MASK_KEYS = ('seg_map_path', 'gt_edge_map', 'gt_depth_map', 'depth_map_path',
                 'gt_masks', 'gt_bboxes', 'gt_bboxes_labels', 'gt_ignore_flags',
                 'instances')

    def __init__(self, ignore_index: int = 255) -> None:
        self.ignore_index = ignore_index

    def transform(self, results: dict) -> dict:
        """Replace the maps.

        Raises:
            KeyError: The labels of the image were not taken before.
        """
        if 'image_labels' not in results:
            raise KeyError("DropSegMap finds no 'image_labels'; they could not be taken "
                           'from the mask any more. Put LoadImageLabels before it.')
        for key in {*self.MASK_KEYS, *results.get('seg_fields', ())}:
            results.pop(key, None)
        results['gt_seg_map'] = np.full(results['img'].shape[:2], self.ignore_index,
                                        np.uint8)
        results['seg_fields'] = ['gt_seg_map']
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(ignore_index={self.ignore_index})'


@TRANSFORMS.register_module()
class ConditionedRandomCrop(RandomCrop):
    """mmseg's ``RandomCrop`` that knows of the object the sample is about.

    A crop may leave nothing of it; the target is then ground everywhere.

    Args:
        crop_size (int | tuple): (height, width).
        cropped_away (str): 'keep': so be it, as released. 'resample': draw again while
            fewer than ``min_pixels`` pixels of ``condition_label`` are left, at most
            ``max_tries`` times; then the crop with most of them is taken.
        min_pixels (int): See there. An object that has fewer in the whole image is as
            well left alone.
        max_tries (int): See there.
        **kwargs: As in mmseg's ``RandomCrop``.

    Images without ``condition_label``, or whose map is ignored everywhere (image labels
    alone), are cropped once.
    """

    def __init__(self,
                 crop_size,
                 cropped_away: str = 'keep',
                 min_pixels: int = 1,
                 max_tries: int = 10,
                 **kwargs) -> None:
        super().__init__(crop_size, **kwargs)
        check_choice('cropped_away', cropped_away, ('keep', 'resample'))
        check_number('min_pixels', min_pixels, 1, integer=True)
        check_number('max_tries', max_tries, 1, integer=True)
        self.cropped_away = cropped_away
        self.min_pixels = min_pixels
        self.max_tries = max_tries

    def crop_bbox(self, results: dict) -> tuple:
        """Return the box of the crop, (y1, y2, x1, x2)."""
        box = super().crop_bbox(results)
        label, seg_map = results.get('condition_label'), results.get('gt_seg_map')
        if self.cropped_away == 'keep' or label is None or seg_map is None:
            return box
        figure = seg_map == label
        wanted = min(self.min_pixels, int(figure.sum()))
        left = self.crop(figure, box).sum()
        for _ in range(self.max_tries if left < wanted else 0):
            other = super().crop_bbox(results)
            count = self.crop(figure, other).sum()
            if count > left:
                box, left = other, count
            if left >= wanted:
                break
        return box

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(crop_size={self.crop_size}, '
                f'cropped_away={self.cropped_away!r}, min_pixels={self.min_pixels}, '
                f'max_tries={self.max_tries})')
