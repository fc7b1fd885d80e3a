"""VGG-16 as a fully convolutional network, the backbone of FCN.

Long, Shelhamer, Darrell (CVPR 2015). Shapes: image (B, 3, H, W); pool3 (B, 256, /8),
pool4 (B, 512, /16), fc7 (B, 4096, /32), each with twice the pixels of the next.
"""

from typing import Any, Optional, Sequence, Tuple

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..ops.checks import check_number
from ..utils.vgg_fc import VGG_LAYERS
from .vgg16_switch import CHANNELS, CONVS, conv_layers

#: fc6 without padding loses this many pixels of pool5 on each side.
FC6_MARGIN = 3


@MODELS.register_module()
class VGG16FC(BaseModule):
    """VGG-16 whose fc6 and fc7 are convolutions; maps of pool3, pool4 and fc7.

    Pools round sizes up, as Caffe's do, so maps cover the whole image whatever its
    size. torchvision's checkpoints of ``vgg16`` (``vgg16_bn`` with a ``norm_cfg``)
    load as they are, their ``classifier.0`` and ``classifier.3`` into fc6 and fc7.

    Published FCNs pad the image by 100 pixels in the first convolution, since their
    fc6 has no padding, and cut the result at offsets that follow from it. Here fc6 is
    padded by 3 instead and all maps begin where the image begins. With ``pad=100``
    the maps begin ``offset`` = 3 pixels before it (tell :class:`FCNSkipHead`), and
    what is cut is what the published networks cut.

    Args:
        pad (int | None): Padding of the first convolution, at least 97, if fc6
            shall have none; the offset is ``pad - 97``.
        channels (Sequence[int]): Of the five stages.
        fc_channels (int): Of fc6 and fc7.
        dropout_ratio (float): Behind fc6 and fc7.
        norm_cfg (dict | None): Normalisation behind the convolutions of the stages.
        init_cfg (dict | None): As in ``BaseModule``.
    """

    def __init__(self,
                 pad: Optional[int] = None,
                 channels: Sequence[int] = CHANNELS,
                 fc_channels: int = 4096,
                 dropout_ratio: float = 0.5,
                 norm_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if pad is not None:
            check_number('pad', pad, 32 * FC6_MARGIN + 1, integer=True)
        if len(channels) != len(CONVS):
            raise ValueError(f'channels must be those of {len(CONVS)} stages, got '
                             f'{tuple(channels)}.')
        self.pad = pad
        self.offset = 0 if pad is None else pad - 1 - 32 * FC6_MARGIN
        layers, before = [], 3
        self.pools = []
        for count, width in zip(CONVS, channels):
            for _ in range(count):
                layers += conv_layers(before, width, norm_cfg)
                before = width
            self.pools.append(len(layers))
            layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        self.fc6 = nn.Conv2d(before, fc_channels, 2 * FC6_MARGIN + 1,
                             padding=FC6_MARGIN if pad is None else 0)
        self.fc7 = nn.Conv2d(fc_channels, fc_channels, 1)
        self.dropout = nn.Dropout(dropout_ratio)
        self.out_channels = (channels[2], channels[3], fc_channels)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Read fc6 and fc7 from linear layers too."""
        for layer, name in zip(('fc6', 'fc7'), VGG_LAYERS):
            for kind, own in getattr(self, layer).named_parameters():
                found = state_dict.get(f'{prefix}{name}.{kind}')
                if found is not None and found.numel() == own.numel():
                    del state_dict[f'{prefix}{name}.{kind}']
                    state_dict[f'{prefix}{layer}.{kind}'] = found.reshape(own.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, image: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Return pool3, pool4 and fc7 of an image (B, 3, H, W)."""
        x, maps = image, []
        if self.pad is not None:
            # The first convolution pads by 1 itself.
            x = F.pad(x, (self.pad - 1, ) * 4)
        for k, layer in enumerate(self.features):
            x = layer(x)
            if k in self.pools[2:4]:
                maps.append(x)
        x = self.dropout(F.relu(self.fc6(x)))
        maps.append(self.dropout(F.relu(self.fc7(x))))
        if self.pad is not None:
            maps[:2] = [begin_with_fc7(m, maps[2], 2**(2 - k))
                        for k, m in enumerate(maps[:2])]
        return tuple(maps)


def begin_with_fc7(x: Tensor, fc7: Tensor, ratio: int) -> Tensor:
    """Return the part of a finer map that fc7, without padding, covers."""
    first = FC6_MARGIN * ratio
    height, width = (ratio * n for n in fc7.shape[2:])
    return x[..., first:first + height, first:first + width]
