"""RoI warping by mmcv's precise RoI pooling: the mean over a cell, not one value.

Its kernel exists for CUDA alone and takes float32. Where the map is linear both
agree; a cell of no area, and all beyond the map, count as 0.
"""

from typing import Callable, Tuple

import torch
from torch import Tensor


def _operator() -> Callable:
    try:
        from mmcv.ops import prroi_pool
    except ImportError as error:
        raise ValueError(
            "impl is 'prroi', which needs mmcv with its compiled operators "
            f"({error}); install it, or use 'torch'.") from error
    return prroi_pool


def warp_boxes(features: Tensor, images: Tensor, boxes: Tensor,
               size: Tuple[int, int], sampling: str) -> Tensor:
    """Return (R, C, h, w) for boxes (R, 4) in pixels of the map.

    Raises:
        ValueError: The tensors are not on a CUDA device, or mmcv's operators
            are absent.
    """
    if features.device.type != 'cuda':
        raise ValueError("impl is 'prroi', which runs on CUDA; the tensors are on "
                         f"{features.device}. Use 'torch' or 'auto'.")
    operator = _operator()
    # The kernel has pixel centres at integers; a cell of 'center' is what its
    # point is the middle of, a cell of 'corner' begins at its point.
    shifted = boxes - .5 if sampling == 'center' else boxes
    rois = torch.cat((images.detach().to(boxes.dtype), shifted), 1).float()
    return operator(features.float(), rois, size, 1.0).to(features.dtype)
