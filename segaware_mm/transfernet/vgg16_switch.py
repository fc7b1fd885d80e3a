"""VGG-16 that remembers where its pools took their maxima.

Simonyan, Zisserman (ICLR 2015); the encoder of DeconvNet (Noh et al., ICCV 2015),
DecoupledNet (Hong et al., NIPS 2015) and TransferNet (Hong et al., CVPR 2016).

Shapes: image (B, 3, H, W); pool k takes C_k channels from H/2^(k-1) to H/2^k.
"""

from typing import Optional, Sequence

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..ops.switch_pooling import pool_with_switches
from .frozen import FrozenByOption
from .switched_maps import SwitchedMaps

#: Convolutions of the five stages of VGG-16.
CONVS = (2, 2, 3, 3, 3)
#: Channels of the five stages.
CHANNELS = (64, 128, 256, 512, 512)


@MODELS.register_module()
class VGG16Switch(FrozenByOption, BaseModule):
    """VGG-16's convolutions and 2x2 pools; returns :class:`SwitchedMaps`.

    Weights have torchvision's names (``features.0.weight`` and so on), those of
    ``vgg16``, or of ``vgg16_bn`` with a ``norm_cfg``; their checkpoints load as
    they are, without the classifier.

    Args:
        num_pools (int): 4: to conv5_3, stride 16, as TransferNet. 5: to pool5,
            stride 32, as DeconvNet and DecoupledNet.
        frozen (bool): Nothing learns, as in TransferNet.
        channels (Sequence[int]): Of the five stages.
        norm_cfg (dict | None): Normalisation behind every convolution; none as in
            VGG-16, ``dict(type='BN')`` as in DeconvNet.
        ceil_mode (bool): A pool keeps the last row and column of odd maps, as
            Caffe does; any image of at least one pixel has a map then.
        init_cfg (dict | None): As in ``BaseModule``.

    Raises:
        ValueError: ``num_pools`` is neither 4 nor 5, or there are not five stages.
    """

    def __init__(self,
                 num_pools: int = 4,
                 frozen: bool = True,
                 channels: Sequence[int] = CHANNELS,
                 norm_cfg: Optional[dict] = None,
                 ceil_mode: bool = True,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if num_pools not in (4, 5):
            raise ValueError(f'num_pools must be 4 or 5, got {num_pools!r}.')
        if len(channels) != len(CONVS):
            raise ValueError(f'channels must be those of {len(CONVS)} stages, got '
                             f'{tuple(channels)}.')
        self.num_pools = num_pools
        self.ceil_mode = ceil_mode
        self.out_channels = channels[-1]
        layers, before = [], 3
        for stage, (count, width) in enumerate(zip(CONVS, channels)):
            for _ in range(count):
                layers += conv_layers(before, width, norm_cfg)
                before = width
            if stage < num_pools:
                layers.append(nn.MaxPool2d(2, 2, ceil_mode=ceil_mode))
        self.features = nn.Sequential(*layers)
        self.freeze(frozen)

    def forward(self, image: Tensor) -> SwitchedMaps:
        """Return the coarsest map and the switches of an image (B, 3, H, W)."""
        switches, sizes, x = [], [], image
        with self.grad_context():
            for layer in self.features:
                if isinstance(layer, nn.MaxPool2d):
                    sizes.append(tuple(x.shape[2:]))
                    x, places = pool_with_switches(x, ceil_mode=self.ceil_mode)
                    switches.append(places)
                else:
                    x = layer(x)
        return SwitchedMaps(x, tuple(switches[::-1]), tuple(sizes[::-1]))


def conv_layers(in_channels: int, out_channels: int,
                norm_cfg: Optional[dict] = None) -> list:
    """Return a 3x3 convolution of VGG-16, its norm if any, and ReLU."""
    layers = [nn.Conv2d(in_channels, out_channels, 3, padding=1)]
    if norm_cfg is not None:
        from mmcv.cnn import build_norm_layer
        layers.append(build_norm_layer(norm_cfg, out_channels)[1])
    return layers + [nn.ReLU(inplace=True)]
