"""RANet's Region Interaction Block.

Shapes: B batch, M channels, H x W map, N = H*W, R representatives (padded).
J is the membership, r a representative, phi(R_q) those of region q.
"""

from typing import Optional, Union

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor

from ..ops.checks import check_choice, check_number
from . import paper_messages, released_messages
from .region_construction import Regions
from .representatives import RepresentativeConv

#: The released activation.
LEAKY = dict(type='LeakyReLU', negative_slope=0.01)


@MODELS.register_module()
class RegionInteraction(BaseModule):
    """Context for every pixel by way of the representatives of the regions.

    "Region Interaction Block" (RIB) in the paper. Three steps: representatives
    collect from pixels, interact with each other, and hand out to pixels.
    ``mode`` decides who talks to whom:

    * 'released': collect from all pixels, interact with all representatives
      (itself included), hand out from all of them to a query feature; keys are
      scaled by J (paper eq. unspecified; this is the published system).
    * 'paper': collect within the region, interact with other regions only,
      hand out within the region; messages are scaled by J.

    Between the steps stand convolutions, as in the released system. Scores are
    computed in float32 under autocast: unscaled dot products of hundreds of
    channels overflow float16.

    Args:
        in_channels (int): Channels of the input.
        channels (int): M.
        mode (str): 'released' or 'paper'.
        global_norm (str): Of mode 'paper': 'joint' (one softmax over all foreign
            representatives, bounded; ours) or 'per_region' (one for each foreign
            region, the literal equation; the sum grows with the regions).
        scale (float | str): Factor of the scores, not negative: 1 (released and
            paper) or 'sqrt' for 1 / sqrt(M).
        representative_kernel (int): 3 (released: a convolution along the raster
            order) or 1 (independent of the order).
        zero_init (bool): Start with a context of zeros (the weight of the last
            norm is 0), so that a short training first learns without it
            (ours; needs ``norm_cfg``).
        conv_cfg, norm_cfg, act_cfg: As in mmcv; the released activation is a
            leaky ReLU of slope 0.01, our default. Of the norms batch norms only
            (BN, SyncBN): others would mix the representatives of all images.

    Raises:
        TypeError, ValueError: ``mode``, ``global_norm``, ``scale`` or
            ``representative_kernel`` is none of the values above, ``norm_cfg``
            is no batch norm, or ``zero_init`` finds no norm.
    """

    def __init__(self,
                 in_channels: int,
                 channels: int,
                 mode: str = 'released',
                 global_norm: str = 'joint',
                 scale: Union[float, str] = 1.,
                 representative_kernel: int = 3,
                 zero_init: bool = False,
                 conv_cfg: Optional[dict] = None,
                 norm_cfg: Optional[dict] = None,
                 act_cfg: Optional[dict] = LEAKY,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        check_choice('mode', mode, ('released', 'paper'))
        check_choice('global_norm', global_norm, ('joint', 'per_region'))
        if scale == 'sqrt':
            scale = channels**-0.5
        elif isinstance(scale, str):
            raise ValueError(f"scale must be a number or 'sqrt', got {scale!r}.")
        check_number('scale', scale, 0)
        self.mode = mode
        self.global_norm = global_norm
        self.scale = float(scale)
        block = dict(kernel_size=3, padding=1, conv_cfg=conv_cfg,
                     norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.value = ConvModule(in_channels, channels, **block)
        # The paper has one feature A; the released system a query beside it.
        self.query = ConvModule(in_channels, channels,
                                **block) if mode == 'released' else None
        along = (channels, representative_kernel, norm_cfg, act_cfg)
        self.after_collect = RepresentativeConv(*along)
        self.after_interact = RepresentativeConv(*along)
        self.after_distribute = ConvModule(channels, channels, **block)
        self.zero_init = zero_init
        if zero_init and getattr(self.after_distribute.norm, 'weight', None) is None:
            raise ValueError('zero_init needs a norm with a weight, got '
                             f'norm_cfg={norm_cfg!r}.')

    def init_weights(self) -> None:
        """Initialise as mmengine does, then as ``zero_init`` wants."""
        super().init_weights()
        if self.zero_init:
            torch.nn.init.zeros_(self.after_distribute.norm.weight)

    def forward(self, features: Tensor, regions: Regions) -> Tensor:
        """Return the context (B, M, H, W) of features (B, in_channels, H, W).

        Raises:
            ValueError: The map is not the one the regions were built on.
        """
        if tuple(features.shape[2:]) != tuple(regions.shape):
            raise ValueError(
                f'features have a map of {tuple(features.shape[2:])}, the '
                f'regions of {tuple(regions.shape)}; resize the features.')
        value = self.value(features)
        query = self.query(features) if self.query is not None else None
        with torch.autocast(features.device.type, enabled=False):
            kind = torch.promote_types(value.dtype, regions.membership.dtype) \
                if value.dtype == torch.float64 else torch.float32
            rows = value.flatten(2).transpose(1, 2).to(kind)
            membership = regions.membership.to(kind)
            if self.mode == 'released':
                asks = query.flatten(2).transpose(1, 2).to(kind)
                out = released_messages.exchange(
                    rows, asks, membership, regions.representatives, self.scale,
                    self.after_collect, self.after_interact)
            else:
                out = paper_messages.exchange(
                    rows, membership, regions.labels, regions.representatives,
                    self.scale, self.global_norm, self.after_collect,
                    self.after_interact)
        out = out.transpose(1, 2).reshape(value.shape)
        return self.after_distribute(out.to(value.dtype))
