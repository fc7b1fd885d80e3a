"""Mean field with segmentation-aware filters, as a layer with learned weights."""

from typing import Optional

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..ops.mean_field import segaware_mean_field


@MODELS.register_module()
class SegAwareMeanField(BaseModule):
    """A few steps of mean field inference in place of a dense CRF.

    See :func:`segaware_mm.ops.mean_field.segaware_mean_field`. The three scales
    and three C x C matrices are learned and shared by the steps; they begin at
    the released values: identities, and minus the identity (Potts).

    Args:
        num_classes (int): C.
        num_iters (int): Steps.
        bilateral_kernel, bilateral_dilation, spatial_kernel,
            spatial_dilation (int): Windows.
        embedding_scale (float): 200 fits the published embeddings, whose
            segments differ by 2 and more; colours want less.
        bilateral_xy_scale, spatial_xy_scale (float): Per pixel of the map.
    """

    def __init__(self,
                 num_classes: int,
                 num_iters: int = 2,
                 bilateral_kernel: int = 13,
                 bilateral_dilation: int = 9,
                 spatial_kernel: int = 5,
                 spatial_dilation: int = 1,
                 embedding_scale: float = 200.,
                 bilateral_xy_scale: float = 0.05,
                 spatial_xy_scale: float = 0.05,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.num_iters = num_iters
        self.windows = dict(
            bilateral_kernel=bilateral_kernel, bilateral_dilation=bilateral_dilation,
            spatial_kernel=spatial_kernel, spatial_dilation=spatial_dilation)
        self.embedding_scale = nn.Parameter(torch.tensor([float(embedding_scale)]))
        self.bilateral_xy_scale = nn.Parameter(
            torch.tensor([float(bilateral_xy_scale)]))
        self.spatial_xy_scale = nn.Parameter(torch.tensor([float(spatial_xy_scale)]))
        self.spatial_weight = nn.Parameter(torch.eye(num_classes))
        self.bilateral_weight = nn.Parameter(torch.eye(num_classes))
        self.compatibility = nn.Parameter(-torch.eye(num_classes))

    def forward(self, unary: Tensor, embedding: Tensor) -> Tensor:
        """Return logits (B, C, H, W) of unary logits and an embedding (B, E, H, W)."""
        return segaware_mean_field(
            unary, embedding, self.num_iters, **self.windows,
            embedding_scale=self.embedding_scale,
            bilateral_xy_scale=self.bilateral_xy_scale,
            spatial_xy_scale=self.spatial_xy_scale,
            spatial_weight=self.spatial_weight,
            bilateral_weight=self.bilateral_weight,
            compatibility=self.compatibility)

    def extra_repr(self) -> str:
        windows = ', '.join(f'{k}={v}' for k, v in self.windows.items())
        return f'num_iters={self.num_iters}, {windows}'
