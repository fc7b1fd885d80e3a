"""The network whose logits the released pipeline refines: DeepLab, version 2.

Chen et al., "DeepLab", PAMI 2018: parallel dilated convolutions straight to the
classes, summed; one network at several image scales, joined by the maximum.
Shapes: B batch, C classes, h x w logits, H x W image.
"""

from typing import Any, List, Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.utils import add_prefix
from torch import Tensor, nn


@MODELS.register_module()
class DeepLabV2Head(BaseDecodeHead):
    """The sum of 3x3 convolutions of several dilations, from features to classes.

    Args:
        in_channels (int): Of the features.
        num_classes (int): C.
        dilations (Sequence[int]): One convolution each.
        **kwargs: As in ``BaseDecodeHead``; ``channels`` is ``in_channels``.
    """

    def __init__(self, in_channels: int, num_classes: int,
                 dilations: Sequence[int] = (6, 12, 18, 24), **kwargs: Any) -> None:
        kwargs.setdefault('dropout_ratio', 0)
        super().__init__(in_channels, kwargs.pop('channels', in_channels),
                         num_classes=num_classes, **kwargs)
        # Upstream's name: its initialisation (normal, 0.01) finds it.
        self.conv_seg = nn.ModuleList(
            nn.Conv2d(in_channels, self.out_channels, 3, padding=d, dilation=d)
            for d in dilations)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return logits (B, C, h, w)."""
        x = self._transform_inputs(inputs)
        return sum(conv(x) for conv in self.conv_seg)


@MODELS.register_module()
class MultiScaleMaxSegmentor(EncoderDecoder):
    """One network at several scales of the image; the largest logit wins.

    In training every scale has its loss, and the maximum too.

    Args:
        scales (Sequence[float]): Of the image; the first gives the size of the
            joined logits.
        **kwargs: As in mmseg's ``EncoderDecoder``; auxiliary heads are refused.
    """

    def __init__(self, scales: Sequence[float] = (1., 0.75, 0.5),
                 **kwargs: Any) -> None:
        if kwargs.get('auxiliary_head') is not None:
            raise ValueError('MultiScaleMaxSegmentor trains every scale by its decode '
                             'head: auxiliary_head must be None.')
        if not scales or min(scales) <= 0:
            raise ValueError(f'scales must be positive numbers, got {scales}.')
        super().__init__(**kwargs)
        self.scales = tuple(scales)

    def logits_of_scales(self, inputs: Tensor) -> List[Tensor]:
        """Return logits (B, C, h_k, w_k) of (B, 3, H, W), one for each scale."""
        out = []
        for scale in self.scales:
            # Sides stay 1 + 8 n where the image's are, so that corners align.
            size = [max(1, int((n - 1) * scale) + 1) for n in inputs.shape[2:]]
            image = resize(inputs, size, mode='bilinear',
                           align_corners=self.align_corners)
            out.append(self.decode_head(self.extract_feat(image)))
        return out

    def join(self, logits: Sequence[Tensor]) -> Tensor:
        """Return the maximum (B, C, h, w) at the first one's size."""
        size = logits[0].shape[2:]
        return torch.stack([
            resize(x, size, mode='bilinear', align_corners=self.align_corners)
            for x in logits]).amax(0)

    def encode_decode(self, inputs: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Return logits (B, C, H, W)."""
        return resize(self.join(self.logits_of_scales(inputs)), inputs.shape[2:],
                      mode='bilinear', align_corners=self.align_corners)

    def loss(self, inputs: Tensor, data_samples: List) -> dict:
        """Return the losses of every scale and of the maximum."""
        logits = self.logits_of_scales(inputs)
        losses = add_prefix(
            self.decode_head.loss_by_feat(self.join(logits), data_samples), 'decode')
        for scale, one in zip(self.scales, logits):
            # A dot is a sub-module to mmengine's log, so 0.75 is written 75.
            losses.update(add_prefix(self.decode_head.loss_by_feat(one, data_samples),
                                     f'scale{round(100 * scale)}'))
        return losses

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> Tensor:
        """Return the joined logits, for mode 'tensor'."""
        return self.join(self.logits_of_scales(inputs))
