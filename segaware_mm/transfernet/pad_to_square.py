"""The square that TransferNet sees an image in."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PadToSquare(BaseTransform):
    """Pad image and maps at the bottom and right to a square of the longer side.

    As released: raw zeros, before the mean is subtracted. A ``Resize`` to the size of
    the network follows; a 375 x 500 image is then the upper 240 rows of 320 x 320. The
    model takes its scores back to the square and cuts ``valid_shape`` out.

    In a test pipeline ``LoadAnnotations`` stands behind ``Resize``: the ground truth
    keeps the size of the image.

    Required key: img. Modified keys: img, img_shape, and the maps in seg_fields. Added
    keys: pad_shape, square_side (int), valid_shape (height, width): the size before.

    Args:
        pad_val (float): Value of the added pixels of the image.
        seg_pad_val (int): Value of the added pixels of maps, the ignored one.
    """

    def __init__(self, pad_val: float = 0, seg_pad_val: int = 255) -> None:
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    def transform(self, results: dict) -> dict:
        """Pad.

        Raises:
            ValueError: A map of another size than the image.
        """
        height, width = results['img'].shape[:2]
        side = max(height, width)
        for key in results.get('seg_fields', ()):
            if results[key].shape[:2] != (height, width):
                raise ValueError(
                    f'PadToSquare: {key} has the size {results[key].shape[:2]}, the '
                    f'image {(height, width)}. In a test pipeline put LoadAnnotations '
                    'behind Resize.')
            results[key] = self._pad(results[key], side, self.seg_pad_val)
        results['img'] = self._pad(results['img'], side, self.pad_val)
        results['img_shape'] = results['pad_shape'] = results['img'].shape[:2]
        results['square_side'] = side
        results['valid_shape'] = (height, width)
        return results

    @staticmethod
    def _pad(array: np.ndarray, side: int, value: float) -> np.ndarray:
        margins = [(0, side - array.shape[0]), (0, side - array.shape[1])]
        margins += [(0, 0)] * (array.ndim - 2)
        return np.pad(array, margins, constant_values=value)

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(pad_val={self.pad_val}, '
                f'seg_pad_val={self.seg_pad_val})')
