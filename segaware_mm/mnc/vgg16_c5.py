"""VGG-16 to conv5_3, the backbone of Dai, He, Sun (CVPR 2016).

Shapes: image (B, 3, H, W) -> one map (B, 512, H/16, W/16): four 2x2 pools of
stride 2 and none behind the last stage.
"""

from typing import Optional, Tuple

from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

#: Index behind the last layer of every stage, its pool included.
STAGE_ENDS = (5, 10, 17, 24, 30)


@MODELS.register_module()
class VGG16C5(BaseModule):
    """The convolutions of VGG-16 without the last pool; one map at stride 16.

    Weights have torchvision's names (``features.0.weight`` and so on), so its
    checkpoints load as they are; what they hold of the classifier goes into
    :class:`MNCBBoxHead` (``pretrained_fc``).

    Args:
        frozen_stages (int): The first stages that do not learn, 0..5; 2 as
            published.
        ceil_mode (bool): Round sizes up in the pools, as Caffe does.
    """

    def __init__(self, frozen_stages: int = 2, ceil_mode: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if not 0 <= frozen_stages <= len(STAGE_ENDS):
            raise ValueError(f'frozen_stages must be 0..5, got {frozen_stages}.')
        from mmcv.cnn import VGG
        self.features = VGG(16, out_indices=(4, ), with_last_pool=False,
                            ceil_mode=ceil_mode).features
        self.frozen_stages = frozen_stages
        if frozen_stages:
            self.features[:STAGE_ENDS[frozen_stages - 1]].requires_grad_(False)

    def forward(self, image: Tensor) -> Tuple[Tensor]:
        """Return the one map (B, 512, H/16, W/16) of an image (B, 3, H, W)."""
        return (self.features(image), )
