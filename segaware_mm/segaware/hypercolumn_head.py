"""A classifier on hypercolumns (Hariharan et al., CVPR 2015)."""

from typing import Optional, Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from .hypercolumn import Hypercolumn


@MODELS.register_module()
class HypercolumnHead(BaseDecodeHead):
    """Bilinear taps of several stages, one 1x1 layer, one 1x1 classifier.

    Args:
        in_channels (Sequence[int]): Channels of the maps.
        channels (int): Width of the layer.
        in_index (Sequence[int]): The maps that are read; the result has the
            size of the largest.
        **kwargs: As in mmseg's ``BaseDecodeHead``. ``norm_cfg`` and ``act_cfg``
            follow the 1x1 layer.
    """

    def __init__(self, in_channels: Sequence[int], channels: int,
                 in_index: Sequence[int] = (0, 1, 2, 3), **kwargs) -> None:
        super().__init__(in_channels, channels, in_index=in_index,
                         input_transform='multiple_select', **kwargs)
        self.hypercolumn = Hypercolumn(in_channels, channels, self.align_corners,
                                       bias=self.norm_cfg is None)
        from mmcv.cnn import build_activation_layer, build_norm_layer
        self.norm: Optional[nn.Module] = None
        if self.norm_cfg is not None:
            self.norm = build_norm_layer(self.norm_cfg, channels)[1]
        self.act = build_activation_layer(self.act_cfg) if self.act_cfg else None

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return class logits (B, C, h, w) at the size of the largest map."""
        maps = self._transform_inputs(inputs)
        size = torch.Size(max(x.shape[axis] for x in maps) for axis in (2, 3))
        x = self.hypercolumn(maps, size)
        if self.norm is not None:
            x = self.norm(x)
        if self.act is not None:
            x = self.act(x)
        return self.cls_seg(x)
