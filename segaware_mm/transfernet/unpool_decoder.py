"""The decoder of DeconvNet, DecoupledNet and TransferNet: unpool, then deconvolve.

Noh, Hong, Han (ICCV 2015), section 3; Hong, Oh, Lee, Han (CVPR 2016). A stage is
some 3x3 transposed convolutions of stride 1 with ReLU; between two stages a level
of the encoder is undone: values go to the places that its switches name.

Shapes: P maps (images, or pairs of image and label), C channels, h x w the coarsest
map, H_k x W_k the size after level k.
"""

from contextlib import nullcontext
from typing import ContextManager, Optional, Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..ops.checks import check_choice, check_same, check_tensor
from ..ops.precision import autocast_dtype, no_autocast
from ..ops.switch_pooling import unpool
from .switched_maps import SwitchedMaps

#: Widths of TransferNet's stages, from conv5's level to conv1's.
TRANSFERNET = ((512, ), (512, 512, 256), (256, 256, 128), (128, 64), (64, 64))
#: Widths of DeconvNet's: pool5 is undone first.
DECONVNET = ((), (512, 512, 512)) + TRANSFERNET[1:]
UPSAMPLING = ('bilinear', 'nearest')


@MODELS.register_module()
class UnpoolDecoder(BaseModule):
    """From the coarsest map, through the levels of the encoder, to a fine one.

    The default is TransferNet's: a map of one channel to the 2 scores of figure and
    ground, 7,675,202 parameters, no normalisation. DeconvNet's and DecoupledNet's
    is ``in_channels=512, channels=((), (512, 512, 512), (512, 512, 256), (256, 256,
    128), (128, 64), (64, 64)), norm_cfg=dict(type='BN')``.

    Args:
        in_channels (int): Of the map that comes in.
        out_channels (int | None): Of a last 1x1 convolution; None for none, then
            the channels are those of the last stage.
        channels (Sequence[Sequence[int]]): Widths of the transposed convolutions of
            every stage; one level is undone between two stages, so a decoder of n
            stages ends n - 1 levels above the coarsest map. The channels that
            arrive at a level with switches of many planes must be as many.
        norm_cfg (dict | None): Normalisation behind every transposed convolution.
        upsample (str): 'bilinear' or 'nearest', where a level has no switches.
        with_cp (bool): In training keep only what stands between stages and
            compute the rest again; less memory, more time.
        init_cfg (dict | list | None): N(0, 0.01) by default, as published.

    Raises:
        ValueError: No stage, an unknown ``upsample``.
    """

    def __init__(self,
                 in_channels: int = 1,
                 out_channels: Optional[int] = 2,
                 channels: Sequence[Sequence[int]] = TRANSFERNET,
                 norm_cfg: Optional[dict] = None,
                 upsample: str = 'bilinear',
                 with_cp: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        if init_cfg is None:
            init_cfg = dict(type='Normal', layer=['ConvTranspose2d', 'Conv2d'], std=0.01)
        super().__init__(init_cfg)
        check_choice('upsample', upsample, UPSAMPLING)
        if not channels:
            raise ValueError('channels must have at least one stage, got none.')
        self.upsample = upsample
        self.with_cp = with_cp
        self.in_channels = in_channels
        self.stages = nn.ModuleList()
        before = in_channels
        for widths in channels:
            layers = []
            for width in widths:
                layers += deconv_layers(before, width, norm_cfg)
                before = width
            self.stages.append(nn.Sequential(*layers))
        self.score = (nn.Identity() if out_channels is None else
                      nn.Conv2d(before, out_channels, 1))
        self.out_channels = before if out_channels is None else out_channels

    @property
    def num_levels(self) -> int:
        """Levels of the encoder that are undone."""
        return len(self.stages) - 1

    def forward(self, x: Tensor, maps: SwitchedMaps) -> Tensor:
        """Return the fine map.

        Args:
            x: (P, in_channels, h, w), at the size of ``maps.feature``.
            maps: Its switches and sizes, with P rows (``maps.select``); the feature
                itself is not read.

        Returns:
            (P, out_channels, H_k, W_k), k the last level undone.

        Raises:
            TypeError, ValueError: A wrong shape, too few levels, or switches that do
                not fit the channels; the message names the level.
        """
        check_tensor('x', x, '(P, C, h, w)', 4)
        check_same('x', x.shape, f'in_channels {self.in_channels} and the maps',
                   (len(maps.feature), self.in_channels, *maps.feature.shape[2:]))
        if len(maps.sizes) < self.num_levels:
            raise ValueError(
                f'the decoder undoes {self.num_levels} levels, the encoder has '
                f'{len(maps.sizes)}; give the decoder {len(maps.sizes) + 1} stages of '
                'channels at most.')
        for level, stage in enumerate(self.stages):
            if level:
                x = self.undo(x, maps, level - 1)
            with self._first_format(x, level):
                if self.with_cp and x.requires_grad:
                    x = checkpoint(stage, x, use_reentrant=False)
                else:
                    x = stage(x)
        return self.score(x)

    @staticmethod
    def _first_format(x: Tensor, level: int) -> ContextManager:
        """Let a float32 map come in whole: a densified one may not fit into float16."""
        wide = level == 0 and x.dtype == torch.float32
        if wide and autocast_dtype(x) == torch.float16:
            return no_autocast(x.device)
        return nullcontext()

    def undo(self, x: Tensor, maps: SwitchedMaps, level: int) -> Tensor:
        """Return ``x`` (P, C, h_k, w_k) at the size (H_k, W_k) of a level."""
        switches, size = maps.switches[level], maps.sizes[level]
        if switches is None:
            corners = dict(align_corners=False) if self.upsample == 'bilinear' else {}
            return F.interpolate(x, size, mode=self.upsample, **corners)
        if switches.shape[1] not in (1, x.shape[1]):
            raise ValueError(
                f'{x.shape[1]} channels arrive at level {level} (0 is the coarsest), '
                f'where the encoder has switches of {switches.shape[1]}; make the last '
                f'width of stage {level} in channels {switches.shape[1]}.')
        return unpool(x, switches, size)


def deconv_layers(in_channels: int, out_channels: int, norm_cfg: Optional[dict] = None,
                  kernel_size: int = 3, padding: int = 1) -> list:
    """Return a transposed convolution of stride 1, its norm if any, and ReLU."""
    layers = [nn.ConvTranspose2d(in_channels, out_channels, kernel_size,
                                 padding=padding)]
    if norm_cfg is not None:
        from mmcv.cnn import build_norm_layer
        layers.append(build_norm_layer(norm_cfg, out_channels)[1])
    return layers + [nn.ReLU(inplace=True)]
