"""Bilinear upsampling by a transposed convolution, and sizes that do not fit.

Long, Shelhamer, Darrell (CVPR 2015), section 3.3: upsampling by an even factor f is
a transposed convolution of stride f and size 2f whose weights are

    w(i) = 1 - |i / f - c|,   c = (2f - 1) / (2f),   i = 0..2f - 1

along both axes. With the border pixels repeated, that is ``F.interpolate`` without
aligned corners. Shapes: B batch, C channels, h x w the map.
"""

from typing import Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def bilinear_weights(factor: int) -> Tensor:
    """Return w (2f, 2f) of an even factor f."""
    size = 2 * factor
    line = 1 - (torch.arange(size) / factor - (size - 1) / size).abs()
    return line[:, None] * line[None]


class LearnedUpsampling(nn.ConvTranspose2d):
    """A transposed convolution from C channels to C that starts as bilinear.

    Args:
        channels: C. Every output channel reads all input channels; at the start
            only its own.
        factor: f, even.
    """

    def __init__(self, channels: int, factor: int = 2) -> None:
        if factor % 2:
            raise ValueError(f'factor must be even, got {factor}.')
        # The padding cuts what the repeated border adds, and half a factor more.
        super().__init__(channels, channels, 2 * factor, factor,
                         padding=factor + factor // 2, bias=False)

    def reset_parameters(self) -> None:
        """Start as bilinear upsampling of each channel by itself."""
        weights = bilinear_weights(self.stride[0])
        with torch.no_grad():
            self.weight.zero_()
            for channel in range(self.in_channels):
                self.weight[channel, channel] = weights

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, f h, f w) of (B, C, h, w)."""
        return super().forward(F.pad(x, (1, 1, 1, 1), mode='replicate'))


def bilinear_upsampling(x: Tensor, factor: int) -> Tensor:
    """Return (B, C, f h, f w): the transposed convolution with its weights fixed."""
    return F.interpolate(x, scale_factor=factor, mode='bilinear', align_corners=False)


def fit_map(x: Tensor, size: Sequence[int], offset: int = 0) -> Tensor:
    """Cut a map to a size, or repeat its last row and column; no pixel moves.

    Args:
        x: (B, C, h, w), h and w at least 1.
        size: (H, W) wanted.
        offset: Rows and columns at the beginning to cut off.

    Returns:
        (B, C, H, W).
    """
    height, width = size
    below = max(offset + height - x.shape[2], 0)
    right = max(offset + width - x.shape[3], 0)
    if below or right:
        x = F.pad(x, (0, right, 0, below), mode='replicate')
    return x[..., offset:offset + height, offset:offset + width]


def misfit(x: Tensor, size: Sequence[int], offset: int = 0) -> Tuple[int, int]:
    """Return how many rows and columns of ``x`` are too many (or too few, < 0)."""
    return (x.shape[2] - offset - size[0], x.shape[3] - offset - size[1])
