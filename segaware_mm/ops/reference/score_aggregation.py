"""Joined score maps, slow and obvious: all of them in frames of the image's size."""

from typing import Iterable, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor


def aggregate_scores(parts: Iterable[Tuple[Tensor, Tensor]], num_classes: int,
                     image_size: Sequence[int], mode: str = 'max') -> Tensor:
    """Return (C, H, W)."""
    frames = []
    for scores, windows in parts:
        for one, window in zip(scores, windows):
            x1, y1, x2, y2 = (int(v) for v in window)
            frame = scores.new_zeros(num_classes, *image_size)
            frame[:, y1:y2, x1:x2] = F.interpolate(
                one[None], (y2 - y1, x2 - x1), mode='bilinear', align_corners=False)[0]
            frames.append(frame)
    if not frames:
        return torch.zeros(num_classes, *image_size)
    stacked = torch.stack(frames)
    return stacked.amax(0) if mode == 'max' else stacked.mean(0)
