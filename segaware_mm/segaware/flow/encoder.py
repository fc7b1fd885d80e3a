"""The contracting part of FlowNetS: two images to maps of strides 2, 4, 8, ...

Shapes: B batch, H x W images, base channels w.
"""

from typing import List, Optional, Tuple

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

#: Window, channels over the base channels, and convolutions of every stage. The
#: first convolution of a stage has stride 2.
STAGES = ((7, 1, 1), (5, 2, 1), (5, 4, 2), (3, 8, 2), (3, 8, 2), (3, 16, 1))


class FlowEncoder(BaseModule):
    """Stages of convolutions, each half as large as the one before.

    With six stages and 64 base channels these are the nine convolutions of
    FlowNetS (conv1 to conv6).

    Args:
        in_channels (int): 6 for two images.
        base_channels (int): w, channels of the first stage.
        num_stages (int): 2..6.
        conv_cfg (dict | None): Type of the convolutions; None for plain ones,
            ``dict(type='SegAwareConv2d')`` for segmentation-aware ones.
        norm_cfg (dict | None): Type of the norms; FlowNetS has none.
        act_cfg (dict): Type of the activations.
    """

    def __init__(self,
                 in_channels: int = 6,
                 base_channels: int = 64,
                 num_stages: int = 6,
                 conv_cfg: Optional[dict] = None,
                 norm_cfg: Optional[dict] = None,
                 act_cfg: dict = dict(  # noqa: B006
                     type='LeakyReLU', negative_slope=0.1),
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if not 2 <= num_stages <= len(STAGES):
            raise ValueError(f'num_stages must be 2..{len(STAGES)}, got {num_stages}.')
        if base_channels < 1:
            raise ValueError(f'base_channels must be 1 or more, got {base_channels}.')
        self.stages = nn.ModuleList()
        self.channels: List[int] = []
        before = in_channels
        for window, factor, count in STAGES[:num_stages]:
            stage = nn.Sequential()
            for k in range(count):
                size = 3 if k else window
                stage.append(ConvModule(
                    before, factor * base_channels, size, stride=1 if k else 2,
                    padding=size // 2, conv_cfg=conv_cfg, norm_cfg=norm_cfg,
                    act_cfg=act_cfg))
                before = factor * base_channels
            self.stages.append(stage)
            self.channels.append(before)

    def forward(self, images: Tensor) -> Tuple[Tensor, ...]:
        """Return one map a stage of images (B, 6, H, W), strides 2, 4, ..."""
        maps = []
        for stage in self.stages:
            images = stage(images)
            maps.append(images)
        return tuple(maps)
