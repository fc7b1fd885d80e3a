"""VGG-16 LargeFOV, the network that Harley et al. (ICCV 2017) made aware.

Chen et al. (DeepLab, ICLR 2015): VGG-16 at output stride 8 whose fc6 is a 3x3
convolution of dilation 12 with 1024 channels.
"""

from typing import List, Optional, Tuple

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from .vgg_taps import STAGES

#: The 14 layers that the paper replaces: all 3x3 convolutions.
AWARE_LAYERS = tuple(
    f'features.{k}' for k in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
) + ('fc6', )


@MODELS.register_module()
class VGG16LargeFOV(BaseModule):
    """VGG-16 with a large field of view; one map of 1024 channels at stride 8.

    3x3 max pools of stride 2, 2, 2, 1, 1; the last stage has dilation 2; a 3x3
    average pool, fc6 (3x3, dilation 12) and fc7 (1x1) follow, each with ReLU and
    dropout. conv1_1 to conv5_3 have torchvision's names and load its weights;
    fc6 and fc7 are new.

    Args:
        dropout_ratio (float): Behind fc6 and fc7.
    """

    def __init__(self, dropout_ratio: float = 0.5,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        layers: List[nn.Module] = []
        before = 3
        for stage, widths in enumerate(STAGES):
            dilation = 2 if stage == 4 else 1
            for width in widths:
                layers += [nn.Conv2d(before, width, 3, padding=dilation,
                                     dilation=dilation), nn.ReLU(inplace=True)]
                before = width
            layers.append(nn.MaxPool2d(3, 2 if stage < 3 else 1, padding=1))
        self.features = nn.Sequential(*layers)
        self.pool5a = nn.AvgPool2d(3, 1, padding=1)
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=12, dilation=12)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout_ratio)

    def forward(self, image: Tensor) -> Tuple[Tensor]:
        """Return the one map (B, 1024, h, w) of an image (B, 3, H, W)."""
        x = self.pool5a(self.features(image))
        x = self.dropout(self.relu(self.fc6(x)))
        return (self.dropout(self.relu(self.fc7(x))), )
