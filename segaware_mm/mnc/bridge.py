"""From one pass of the cascade to the next: RoIs become their regressed boxes.

Dai, He, Sun (CVPR 2016), section 3.4: each RoI takes the offsets of its best
class. Shapes: R RoIs, N classes.
"""

from typing import Any, Sequence

import torch
from torch import Tensor


def best_class(seg_cls: Tensor) -> Tensor:
    """Return the best of the N classes, background aside, (R, ).

    Args:
        seg_cls: (R, N + 1) mask-level logits, the background last.
    """
    return seg_cls[:, :-1].argmax(1)


def offsets_of(offsets: Tensor, classes: Tensor, size: int = 4) -> Tensor:
    """Return the offsets (R, 4) of one class of each RoI.

    Args:
        offsets: (R, 4 N), or (R, 4) where all classes share them.
        classes: (R, ).
        size: Numbers of a box, 4.
    """
    each = offsets.view(len(offsets), -1, size)
    if each.shape[1] == 1:
        return each[:, 0]
    return each[torch.arange(len(each), device=each.device), classes]


def refined_boxes(boxes: Tensor, seg_cls: Tensor, offsets: Tensor, coder: Any,
                  image: Sequence[int], with_background: bool = False) -> Tensor:
    """Return the boxes (R, 4) of the next pass, inside the image.

    The offsets go through the coder, whose means and standard deviations they
    were trained with; the released training leaves these out here, and its
    boxes overshoot. Gradients reach boxes and offsets.

    Args:
        boxes: (R, 4) in image pixels.
        seg_cls: (R, N + 1) mask-level logits.
        offsets: (R, 4 N) or (R, 4).
        coder: mmdet's coder of the offsets.
        image: Height and width.
        with_background: A RoI whose best class is the background stays as it is
            (but for the clipping), as in the released test.
    """
    if not len(boxes):
        return boxes
    chosen = offsets_of(offsets, best_class(seg_cls.detach()),
                        coder.encode_size).float()
    moved = coder.decode(boxes, chosen, max_shape=image)
    if with_background:  # the offsets of a box to itself are NaN where it has no area
        background = seg_cls.detach().argmax(1) == seg_cls.shape[1] - 1
        moved = torch.where(background[:, None], boxes, moved)
    return clipped(moved, image)


def clipped(boxes: Tensor, image: Sequence[int]) -> Tensor:
    """Return boxes (R, 4) cut at the border of an image (height, width, ...)."""
    limit = boxes.new_tensor([image[1], image[0]] * 2)
    return torch.minimum(boxes.clamp(min=0), limit)
