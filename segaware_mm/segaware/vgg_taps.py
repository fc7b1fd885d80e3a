"""The first layers of VGG-16, tapped where the published embedding reads them."""

from typing import List, Optional, Sequence, Tuple

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

#: Channels of the convolutions of the stages of VGG-16.
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


@MODELS.register_module()
class VGG16Taps(BaseModule):
    """VGG-16 up to the end of a stage; outputs the last map of every stage.

    Weights have torchvision's names (``features.0.weight`` and so on), so its
    checkpoints load as they are; layers beyond the last stage are left out.
    Pools are 3x3 with stride 2 as in the published networks, or 2x2 as in VGG.

    Args:
        num_stages (int): 1..5; 3 in Harley et al.: maps of 64, 128 and 256
            channels at strides 1, 2 and 4 (conv1_2, conv2_2, conv3_3).
        pool_size (int): 3 or 2.
    """

    def __init__(self,
                 num_stages: int = 3,
                 pool_size: int = 3,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if not 1 <= num_stages <= len(STAGES):
            raise ValueError(f'num_stages must be 1..5, got {num_stages}.')
        if pool_size not in (2, 3):
            raise ValueError(f'pool_size must be 2 or 3, got {pool_size}.')
        layers: List[nn.Module] = []
        self.taps: List[int] = []
        before = 3
        for stage, widths in enumerate(STAGES[:num_stages]):
            if stage:
                layers.append(nn.MaxPool2d(pool_size, 2, padding=pool_size // 3))
            for width in widths:
                layers += [nn.Conv2d(before, width, 3, padding=1),
                           nn.ReLU(inplace=True)]
                before = width
            self.taps.append(len(layers) - 1)
        self.features = nn.Sequential(*layers)
        self.out_channels: Sequence[int] = [w[-1] for w in STAGES[:num_stages]]

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """Return one map a stage of an image (B, 3, H, W)."""
        outs, x = [], image
        for k, layer in enumerate(self.features):
            x = layer(x)
            if k in self.taps:
                outs.append(x)
        return tuple(outs)
