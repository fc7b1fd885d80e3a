"""Join the maps of a multi-resolution backbone and run an ASPP over them.

"HRNetV2 + ASPP" of the RANet paper's second model. How the paper joins the
two is unknown; this is the plain reading: HRNetV2's concatenation, DeepLabV3's
atrous spatial pyramid pooling (Chen et al., 2017) on top.

Shapes: B batch; the maps x_k (B, in_channels[k], H_k, W_k); H x W = size of the
map ``join_index``.
"""

from typing import Optional, Sequence, Tuple

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmseg.models.decode_heads.aspp_head import ASPPModule
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

RELU = dict(type='ReLU')


@MODELS.register_module()
class ASPPNeck(BaseModule):
    """Maps of a backbone in; the joined map and the pyramid over it out.

    The first output serves as c3 of :class:`RANetHead`, the second as c4. The
    branches of the pyramid are concatenated and not fused: the head's first
    3x3 convolution does that.

    Args:
        in_channels (Sequence[int]): Channels of the maps.
        channels (int): Channels of one branch.
        dilations (Sequence[int]): One branch each; 1 is a 1x1 convolution.
            A further branch is the mean over the image, so the second output
            has (len(dilations) + 1) * channels channels. Where a BN stands
            behind it, training needs two images a process.
        join_index (int): The map to whose size all are brought; 1 is stride 8
            of HRNet. Regions and attention grow with the square of the
            positions.
        align_corners (bool): Of the bilinear resizing.
        conv_cfg, norm_cfg, act_cfg: As in mmcv; ReLU by default, none by None.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 channels: int,
                 dilations: Sequence[int] = (1, 12, 24, 36),
                 join_index: int = 1,
                 align_corners: bool = False,
                 conv_cfg: Optional[dict] = None,
                 norm_cfg: Optional[dict] = None,
                 act_cfg: Optional[dict] = RELU,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if not 0 <= join_index < len(in_channels):
            raise ValueError(f'join_index must name one of the {len(in_channels)} '
                             f'maps (0..{len(in_channels) - 1}), got {join_index}.')
        self.in_channels = tuple(in_channels)
        self.join_index = join_index
        self.align_corners = align_corners
        joined = sum(in_channels)
        parts = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.image_mean = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), ConvModule(joined, channels, 1, **parts))
        self.branches = ASPPModule(tuple(dilations), joined, channels, **parts)
        self.out_channels = (joined, (len(dilations) + 1) * channels)

    def forward(self, inputs: Sequence[Tensor]) -> Tuple[Tensor, Tensor]:
        """Return the joined map (B, sum(in_channels), H, W) and the pyramid
        (B, (branches + 1) * channels, H, W).

        Raises:
            ValueError: The maps have other channels than ``in_channels``.
        """
        found = tuple(x.shape[1] for x in inputs)
        if found != self.in_channels:
            raise ValueError(f'ASPPNeck was built for maps of {self.in_channels} '
                             f'channels, the backbone gives {found}: set '
                             'neck.in_channels.')
        size = inputs[self.join_index].shape[2:]
        joined = torch.cat([self._resize(x, size) for x in inputs], 1)
        mean = self.image_mean(joined).expand(-1, -1, *size)
        return joined, torch.cat([mean, *self.branches(joined)], 1)

    def _resize(self, x: Tensor, size: torch.Size) -> Tensor:
        if x.shape[2:] == size:
            return x
        return resize(x, size=size, mode='bilinear',
                      align_corners=self.align_corners)
