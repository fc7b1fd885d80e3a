"""From a map of classes to the figure of one label.

Hong, Oh, Lee, Han (CVPR 2016): a pixel of the label is 1, one that is ignored stays
ignored, all others, other objects too, are 0. Labels are class ids: 0 background,
1..N, 255 ignored. Shapes: B images, P pairs of image and label, H x W pixels.
"""

from typing import Union

import torch
from torch import Tensor

from ..ops.checks import check_tensor


def binary_target(seg: Tensor, label: Union[int, Tensor],
                  ignore_index: int = 255) -> Tensor:
    """Return 1 where a map has the label, 0 elsewhere, ignored pixels as they are.

    Args:
        seg: (P, H, W) class ids, integers.
        label: The id, or (P,) an id for each map.
        ignore_index: Id of pixels that are ignored.

    Returns:
        (P, H, W) int64.

    Raises:
        TypeError, ValueError: A wrong shape or dtype.
    """
    check_tensor('seg', seg, '(P, H, W)', 3, floating=False)
    if isinstance(label, Tensor):
        check_tensor('label', label, '(P,)', 1, floating=False)
        if len(label) != len(seg):
            raise ValueError(f'label has {len(label)} ids for {len(seg)} maps; one for '
                             'each is wanted.')
        label = label.view(-1, 1, 1)
    target = (seg == label).long()
    return target.masked_fill_(seg == ignore_index, ignore_index)


def foreign_pixels(seg: Tensor, allowed: Tensor, ignore_index: int = 255) -> Tensor:
    """Return (H, W) bool: pixels whose class is neither allowed nor ignored.

    Args:
        seg: (H, W) integers.
        allowed: (K,) bool, which of the ids 0..K-1 may occur.
        ignore_index: Id of pixels that are ignored.
    """
    ids = seg.long()
    inside = (ids >= 0) & (ids < len(allowed))
    known = allowed[ids.clamp(0, len(allowed) - 1)] & inside
    return ~(known | (ids == ignore_index))


def count_pixels(seg: Tensor, ignore_index: int = 255) -> Tensor:
    """Return (B,) int64: pixels of each map (B, H, W) that are not ignored."""
    return torch.count_nonzero(seg != ignore_index, (1, 2))
