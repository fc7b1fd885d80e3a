"""DeconvNet's head: two fully connected layers, their mirror, and the decoder.

Noh, Hong, Han (ICCV 2015). Shapes: B batch, C channels of pool5 (512), F of fc6 and
fc7 (4096), h x w pool5 (7 x 7 for a crop of 224), H x W the last level undone.
"""

from typing import Any, Optional, Sequence

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..ops.checks import check_number
from ..utils.vgg_fc import load_vgg_fc
from .switched_maps import SwitchedMaps
from .unpool_decoder import DECONVNET, UnpoolDecoder, deconv_layers


@MODELS.register_module()
class DeconvNetHead(BaseDecodeHead):
    """A decode head of ``EncoderDecoder`` behind an encoder with switches.

    pool5 (C, h, w) -> fc6, a KxK convolution -> fc7, 1x1 -> deconv-fc6, a KxK
    transposed convolution, (C, h, w) again -> :class:`UnpoolDecoder` -> 1x1 scores.
    Norm and ReLU behind each layer. The two KxK layers have no padding: for a crop
    of 224 the map between them is 1x1. Maps smaller than the kernel get zeros at the
    right and the bottom, and are cut again.

    The backbone returns :class:`SwitchedMaps`: ``VGG16Switch(num_pools=5,
    frozen=False, norm_cfg=dict(type='BN'))`` as published, or ``SwitchedBackbone``.
    With the published widths there are 252 million parameters in all.

    Args:
        in_channels (int): C.
        num_classes (int): Classes.
        fc_channels (int | None): F; None leaves fc6, fc7 and deconv-fc6 out.
        fc_kernel (int): K.
        channels (Sequence[Sequence[int]]): Of the decoder, see
            :class:`UnpoolDecoder`; the last width is what the scores read.
        norm_cfg (dict | None): Normalisation of all layers.
        upsample, with_cp: As in :class:`UnpoolDecoder`.
        pretrained_fc (str | None): A checkpoint with VGG-16's ``classifier.0`` and
            ``classifier.3``, from which fc6 and fc7 start.
        **kwargs: As in ``BaseDecodeHead``. ``dropout_ratio`` is 0 by default.
    """

    def __init__(self,
                 in_channels: int = 512,
                 num_classes: int = 21,
                 fc_channels: Optional[int] = 4096,
                 fc_kernel: int = 7,
                 channels: Sequence[Sequence[int]] = DECONVNET,
                 norm_cfg: Optional[dict] = dict(type='BN'),  # noqa: B006
                 upsample: str = 'bilinear',
                 with_cp: bool = False,
                 pretrained_fc: Optional[str] = None,
                 **kwargs: Any) -> None:
        check_number('fc_kernel', fc_kernel, 1, integer=True)
        if pretrained_fc is not None and fc_channels is None:
            raise ValueError('pretrained_fc needs fc_channels: there is nothing to fill.')
        decoder = UnpoolDecoder(in_channels, None, channels, norm_cfg, upsample, with_cp)
        kwargs.setdefault('dropout_ratio', 0)
        kwargs.setdefault('in_index', 0)
        super().__init__(in_channels, decoder.out_channels, num_classes=num_classes,
                         norm_cfg=norm_cfg, **kwargs)
        self.decoder = decoder
        self.fc_kernel = fc_kernel
        self.pretrained_fc = pretrained_fc
        self.fc6 = None
        if fc_channels is not None:
            self.fc6 = _block(nn.Conv2d(in_channels, fc_channels, fc_kernel), norm_cfg)
            self.fc7 = _block(nn.Conv2d(fc_channels, fc_channels, 1), norm_cfg)
            self.deconv_fc6 = nn.Sequential(*deconv_layers(
                fc_channels, in_channels, norm_cfg, fc_kernel, padding=0))

    def init_weights(self) -> None:
        """Initialise, then load fc6 and fc7 where a checkpoint is named."""
        super().init_weights()
        if self.pretrained_fc is not None:
            load_vgg_fc(self.pretrained_fc, (self.fc6[0], self.fc7[0]))

    def bottleneck(self, x: Tensor) -> Tensor:
        """Return the map behind fc6, fc7 and deconv-fc6, (B, C, h, w) as it came.

        Raises:
            ValueError: Training with batch norm, and one value a channel.
        """
        if self.fc6 is None:
            return x
        height, width = x.shape[2:]
        right, below = (max(self.fc_kernel - n, 0) for n in (width, height))
        if right or below:
            x = F.pad(x, (0, right, 0, below))
        norm = any(isinstance(m, nn.BatchNorm2d) for m in self.fc6)
        values = len(x) * (x.shape[2] - self.fc_kernel + 1) * (
            x.shape[3] - self.fc_kernel + 1)
        if self.training and norm and values == 1:
            raise ValueError(
                'a batch of one image leaves one pixel between fc6 and fc7, and batch '
                'norm needs more values to train on: take a batch_size of at least 2, '
                "larger crops, or norm_cfg=dict(type='GN', num_groups=32).")
        x = self.deconv_fc6(self.fc7(self.fc6(x)))
        return x[..., :height, :width]

    def forward(self, inputs: SwitchedMaps) -> Tensor:
        """Return scores (B, num_classes, H, W)."""
        maps = SwitchedMaps.of(inputs)
        return self.cls_seg(self.decoder(self.bottleneck(maps.feature), maps))


def _block(conv: nn.Module, norm_cfg: Optional[dict]) -> nn.Sequential:
    """Return a convolution with its norm, if any, and ReLU."""
    norm = [] if norm_cfg is None else [build_norm_layer(norm_cfg, conv.out_channels)[1]]
    return nn.Sequential(conv, *norm, nn.ReLU(inplace=True))
