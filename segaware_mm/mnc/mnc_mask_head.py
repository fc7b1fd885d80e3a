"""Stage 2: a mask for every RoI, by two fully connected layers.

Dai, He, Sun (CVPR 2016), section 3.2: no class is known yet. Shapes: R RoIs of
S x S pixels and C channels, masks of m x m.
"""

from typing import Optional

import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn


@MODELS.register_module()
class MNCMaskHead(BaseModule):
    """RoI features to one mask, whatever the class.

    Args:
        in_channels (int): C.
        roi_size (int): S; 14 as published.
        hidden_channels (int): Of the layer in between; 256 as published.
        mask_size (int): m; 28 in the paper, 21 in the release.
        target_thr (float): A pixel of the target is object where the ground truth,
            brought to m x m, is at least this; 0.4 as released.
        loss_mask (dict): Loss of the masks of positive RoIs.
    """

    def __init__(self,
                 in_channels: int = 512,
                 roi_size: int = 14,
                 hidden_channels: int = 256,
                 mask_size: int = 28,
                 target_thr: float = 0.4,
                 loss_mask: dict = dict(  # noqa: B006
                     type='CrossEntropyLoss', use_mask=True, loss_weight=1.0),
                 init_cfg: Optional[dict] = dict(  # noqa: B006
                     type='Normal', layer='Linear', std=0.001)) -> None:
        super().__init__(init_cfg)
        self.mask_size = mask_size
        self.target_thr = target_thr
        self.fc_hidden = nn.Linear(in_channels * roi_size**2, hidden_channels)
        self.relu = nn.ReLU(inplace=True)
        self.fc_mask = nn.Linear(hidden_channels, mask_size**2)
        self.loss_mask = MODELS.build(loss_mask)

    def forward(self, roi_features: Tensor) -> Tensor:
        """Return logits (R, 1, m, m) of RoI features (R, C, S, S)."""
        hidden = self.relu(self.fc_hidden(roi_features.flatten(1)))
        return self.fc_mask(hidden).view(-1, 1, self.mask_size, self.mask_size)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of positive RoIs.

        Args:
            logits: (P, 1, m, m).
            targets: (P, m, m) of 0 and 1.
        """
        if not len(logits):
            return logits.sum() * 0  # every weight has a gradient, of 0
        classes = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        return self.loss_mask(logits.float(), targets.to(torch.float32), classes).sum()
