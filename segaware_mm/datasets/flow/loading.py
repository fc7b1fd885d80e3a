"""From the files of a pair to arrays, and from arrays to what the model gets."""

from typing import Optional, Sequence

import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.fileio import get
from mmengine.registry import TRANSFORMS
from mmengine.structures import BaseDataElement, PixelData

from ...engine.errors import DataError
from .files import read_flow


@TRANSFORMS.register_module()
class LoadFlowPair(BaseTransform):
    """Load both images, the flow, and the map of layers if wanted.

    Required keys: img_path, img2_path, flow_path, layers_path (with_layers).
    Added keys: img, img2 ((H, W, 3) uint8, BGR), flow ((H, W, 2) float32),
    known ((H, W) bool), layers ((H, W) uint8), ori_shape, img_shape.

    Args:
        with_flow (bool): Load the flow.
        with_layers (bool): Load the map of layers; there is one for procedural
            pairs.
        backend_args (dict | None): Where the files lie; local if None.
    """

    def __init__(self, with_flow: bool = True, with_layers: bool = False,
                 backend_args: Optional[dict] = None) -> None:
        self.with_flow = with_flow
        self.with_layers = with_layers
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load the files of a pair.

        Raises:
            DataError: A file that is absent or damaged, or sizes that differ.
        """
        results['img'] = self._image(results['img_path'])
        size = results['img'].shape[:2]
        results['img2'] = self._image(results['img2_path'])
        self._check(results['img2'], size, results['img2_path'], results['img_path'])
        if self.with_flow:
            results['flow'], results['known'] = read_flow(
                results['flow_path'], self.backend_args)
            self._check(results['flow'], size, results['flow_path'],
                        results['img_path'])
        if self.with_layers:
            if 'layers_path' not in results:
                raise DataError(
                    f'{results["flow_path"]} has no map of layers beside it '
                    '(with_layers=True); pairs of tools/make_flow.py have one.')
            results['layers'] = self._image(results['layers_path'], 'unchanged')
            self._check(results['layers'], size, results['layers_path'],
                        results['img_path'])
        results['ori_shape'] = results['img_shape'] = size
        return results

    def _image(self, path: str, flag: str = 'color') -> np.ndarray:
        try:
            content = get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise DataError(f'the image {path} does not exist.') from error
        image = mmcv.imfrombytes(content, flag=flag, backend='cv2') if content else None
        if image is None:
            raise DataError(f'the image {path} cannot be read ({len(content)} bytes): '
                            'copy it again.')
        return image

    @staticmethod
    def _check(array: np.ndarray, size: Sequence[int], path: str, other: str) -> None:
        if tuple(array.shape[:2]) != tuple(size):
            raise DataError(
                f'{path} is {array.shape[1]} x {array.shape[0]} (width x height), '
                f'{other} {size[1]} x {size[0]}: do they belong together?')


@TRANSFORMS.register_module()
class PackFlowInputs(BaseTransform):
    """Make the input (6, H, W) and the data sample of a pair.

    The sample has ``gt_flow`` with ``data`` (2, H, W) and ``valid`` (1, H, W)
    bool, and ``gt_layers`` with ``data`` (1, H, W), where these were loaded.

    Args:
        meta_keys (Sequence[str]): What of the entry goes along.
    """

    def __init__(self, meta_keys: Sequence[str] = (
            'img_path', 'img2_path', 'flow_path', 'dataset_name', 'ori_shape',
            'img_shape', 'flip')) -> None:
        self.meta_keys = meta_keys

    def transform(self, results: dict) -> dict:
        """Pack the arrays of a pair."""
        sample = BaseDataElement(
            metainfo={k: results[k] for k in self.meta_keys if k in results})
        if 'flow' in results:
            sample.gt_flow = PixelData(data=_planes(results['flow']),
                                       valid=_planes(results['known'][..., None]))
        if 'layers' in results:
            sample.gt_layers = PixelData(
                data=_planes(results['layers'][..., None]).long())
        images = np.concatenate([results['img'], results['img2']], 2)
        return dict(inputs=_planes(images), data_samples=sample)


def _planes(array: np.ndarray) -> torch.Tensor:
    """Return (H, W, C) as a tensor (C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
