"""Hypercolumns: several maps of a network, read at one place.

Hariharan et al. (CVPR 2015); the embedding networks of Harley et al. (ICCV
2017) are 1x1 convolutions on them. Shapes: x_k (B, C_k, H_k, W_k), O outputs.
"""

from typing import Optional, Sequence, Tuple

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional


@MODELS.register_module()
class Hypercolumn(BaseModule):
    """Resize maps to one size, concatenate, and apply a 1x1 convolution.

    Both steps are linear, so every map meets its columns of the weight at its
    own size and only the O results are resized and added: the same values
    without the wide concatenation (451 channels at full resolution for the
    published embedding).

    Args:
        in_channels (Sequence[int]): C_k.
        out_channels (int): O.
        align_corners (bool): Of the bilinear resizing; True as published.
        bias (bool): Of the convolution.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 out_channels: int,
                 align_corners: bool = True,
                 bias: bool = True,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = tuple(in_channels)
        self.align_corners = align_corners
        self.conv = nn.Conv2d(sum(self.in_channels), out_channels, 1, bias=bias)
        nn.init.xavier_uniform_(self.conv.weight)
        if bias:
            nn.init.zeros_(self.conv.bias)

    def forward(self, maps: Sequence[Tensor], size: Tuple[int, int]) -> Tensor:
        """Return (B, O, *size).

        Args:
            maps: The x_k, in the order of ``in_channels``.
            size: Height and width of the result.

        Raises:
            ValueError: Another number of maps, or of channels.
        """
        found = tuple(x.shape[1] for x in maps)
        if found != self.in_channels:
            raise ValueError('in_channels must be the channels of the maps that are '
                             f'read, {found}; got {self.in_channels}.')
        total: Optional[Tensor] = None
        for x, weight in zip(maps, self.conv.weight.split(self.in_channels, 1)):
            part = functional.conv2d(x, weight)
            if tuple(part.shape[2:]) != tuple(size):
                part = functional.interpolate(
                    part, size, mode='bilinear', align_corners=self.align_corners)
            total = part if total is None else total + part
        if self.conv.bias is not None:
            total = total + self.conv.bias.to(total.dtype).view(-1, 1, 1)
        return total
