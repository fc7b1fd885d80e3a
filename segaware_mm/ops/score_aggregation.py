"""Score maps of overlapping boxes, joined in the frame of the image.

Noh, Hong, Han (ICCV 2015), section 4.2: G_i is the score map of proposal i, pasted
where its box is, 0 outside; then

    P(c, y, x) = max_i G_i(c, y, x)      or      P(c, y, x) = mean_i G_i(c, y, x)

Shapes: R boxes, C classes, h x w score maps, H x W image.
"""

from typing import Iterable, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor

from .checks import check_choice, check_same, check_size, check_tensor

MODES = ('max', 'mean')


def box_windows(boxes: Tensor, image_size: Union[int, Sequence[int]]) -> Tensor:
    """Return the windows of whole pixels that boxes cover inside an image.

    Args:
        boxes: (R, 4) as (x1, y1, x2, y2), continuous pixels.
        image_size: (H, W).

    Returns:
        (R, 4) int64; rows ``y1:y2`` and columns ``x1:x2``, at least one pixel each. A
        box that is outside gets the nearest pixel.
    """
    check_tensor('boxes', boxes, '(R, 4)', 2)
    check_same('boxes', boxes.shape, 'R boxes', (len(boxes), 4))
    height, width = check_size('image_size', image_size)
    limit = torch.tensor([width, height], device=boxes.device)
    low = torch.minimum(boxes[:, :2].floor().long().clamp(min=0), limit - 1)
    high = torch.minimum(torch.maximum(boxes[:, 2:].ceil().long(), low + 1), limit)
    return torch.cat([low, high], 1)


@torch.no_grad()
def aggregate_scores(parts: Iterable[Tuple[Tensor, Tensor]], num_classes: int,
                     image_size: Union[int, Sequence[int]], mode: str = 'max',
                     like: Tensor = None) -> Tensor:
    """Return the joined score map; no gradient.

    Args:
        parts: Pairs of scores (R, C, h, w) and windows (R, 4), int64 as from
            :func:`box_windows`. A generator makes one part at a time: memory is that
            of one part and of the result.
        num_classes: C.
        image_size: (H, W).
        mode: ``'max'`` or ``'mean'``. Both count the zeros of a proposal outside its
            box: below 0 the maximum of all classes is 0 where one proposal ends.
        like: A tensor whose device and format the result has; default float32 on the
            CPU.

    Returns:
        (C, H, W); scores are resized to their window (bilinear); 0 where no window is.

    Raises:
        TypeError, ValueError: A wrong shape or mode, or a window outside.
    """
    check_choice('mode', mode, MODES)
    height, width = check_size('image_size', image_size)
    like = torch.zeros(()) if like is None else like
    out = like.new_zeros(num_classes, height, width)
    covered = torch.zeros(height, width, dtype=torch.int64, device=out.device)
    if mode == 'max':
        out.fill_(-float('inf'))
    total = 0
    for scores, windows in parts:
        check_tensor('scores', scores, '(R, C, h, w)', 4)
        check_same('scores', scores.shape[:2], f'{len(windows)} windows and num_classes '
                   f'{num_classes}', (len(windows), num_classes))
        for one, (x1, y1, x2, y2) in zip(scores, windows.tolist()):
            if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
                raise ValueError(
                    f'windows must be inside the image ({height}, {width}), got '
                    f'({x1}, {y1}, {x2}, {y2}); see box_windows.')
            pasted = F.interpolate(one[None], (y2 - y1, x2 - x1), mode='bilinear',
                                   align_corners=False)[0].to(out.dtype)
            place = out[:, y1:y2, x1:x2]
            if mode == 'max':
                torch.maximum(place, pasted, out=place)
            else:
                place += pasted
            covered[y1:y2, x1:x2] += 1
            total += 1
    if mode == 'max':
        return torch.where(covered < max(total, 1), out.clamp(min=0), out)
    return out / max(total, 1)
