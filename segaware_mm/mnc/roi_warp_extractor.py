"""RoI warping as an extractor of mmdet (Dai, He, Sun, CVPR 2016, section 3.2).

F_roi(u', v') = sum over u, v of k(x_s - u) k(y_s - v) F(u, v), k(t) = max(0, 1 - |t|),
at sample points (x_s, y_s) that depend on the box, and gradients reach the box.
A max pool follows. Shapes: R RoIs, C channels.
"""

from typing import Optional, Sequence, Tuple, Union

import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.registry import MODELS
from torch import Tensor, nn

from ..ops.roi_warp import roi_warp

Size = Union[int, Tuple[int, int]]


class RoIWarp(nn.Module):
    """:func:`segaware_mm.ops.roi_warp.roi_warp` with its options.

    Args:
        output_size (int | tuple[int, int]): Sample points (h, w) of a RoI.
        spatial_scale (float): Map pixels per image pixel.
        sampling (str): 'center' or 'corner'.
        round_rois (bool): Round corners to map pixels, as released.
        pool (int): Max pool behind it.
    """

    def __init__(self, output_size: Size, spatial_scale: float,
                 sampling: str = 'center', round_rois: bool = False,
                 pool: int = 1) -> None:
        super().__init__()
        self.output_size = (output_size, output_size) if isinstance(
            output_size, int) else tuple(output_size)
        self.spatial_scale = spatial_scale
        self.sampling = sampling
        self.round_rois = round_rois
        self.pool = pool

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        """Return (R, C, h / pool, w / pool) of features (B, C, H, W) and rois (R, 5)."""
        return roi_warp(features, rois, self.output_size, self.spatial_scale,
                        self.sampling, round_rois=self.round_rois, pool=self.pool)

    def extra_repr(self) -> str:
        return (f'output_size={self.output_size}, spatial_scale={self.spatial_scale}, '
                f'sampling={self.sampling!r}, round_rois={self.round_rois}, '
                f'pool={self.pool}')


@MODELS.register_module()
class RoIWarpExtractor(SingleRoIExtractor):
    """Warps RoIs from one map, or from the level of a pyramid that fits their size.

    Works wherever mmdet takes a ``SingleRoIExtractor``. Unlike RoIAlign it has a
    gradient for the boxes: a loss on what a RoI shows moves the RoI.

    Args:
        out_channels (int): C.
        featmap_strides (Sequence[int]): Of the maps; (16, ) for one of stride 16.
        output_size (int): Sample points of an axis of a RoI; 28 as published.
        pool (int): Max pool behind it; 2 as published, so RoIs come out at 14x14.
        sampling (str): 'center' of the cells of a RoI, or their 'corner' as in
            the paper's equation 8.
        round_rois (bool): Round corners to map pixels, as the release does.
        coord_grad (bool): Let gradients through to the boxes.
        coord_grad_clip (float | None): Each entry of the gradient of a box is kept
            within this, in image pixels. None does nothing; the release clips the
            offsets of proposals, see :class:`MNCRPNHead`. What comes back is the
            gradient of the loss as the runner scales it: divided by
            ``accumulative_counts``, which belongs in the limit too, and times the
            loss scale of float16 training, which does not go with a limit.
        finest_scale (int): Boxes up to twice this size take the first level of a
            pyramid, as in mmdet.
    """

    def __init__(self,
                 out_channels: int,
                 featmap_strides: Sequence[int] = (16, ),
                 output_size: int = 28,
                 pool: int = 2,
                 sampling: str = 'center',
                 round_rois: bool = False,
                 coord_grad: bool = True,
                 coord_grad_clip: Optional[float] = None,
                 finest_scale: int = 56,
                 init_cfg: Optional[dict] = None) -> None:
        if pool < 1 or output_size % pool:
            raise ValueError('output_size must be a multiple of pool, got '
                             f'{output_size} and {pool}.')
        if sampling not in ('center', 'corner'):
            raise ValueError("sampling must be 'center' or 'corner', got "
                             f'{sampling!r}.')
        if coord_grad_clip is not None and coord_grad_clip <= 0:
            raise ValueError('coord_grad_clip must be positive or None, got '
                             f'{coord_grad_clip}.')
        super().__init__(
            dict(output_size=output_size, sampling=sampling, round_rois=round_rois,
                 pool=pool),
            out_channels, list(featmap_strides), finest_scale, init_cfg)
        self.coord_grad = coord_grad
        self.coord_grad_clip = coord_grad_clip

    def build_roi_layers(self, layer_cfg: dict,
                         featmap_strides: Sequence[int]) -> nn.ModuleList:
        """Return a :class:`RoIWarp` for each level."""
        return nn.ModuleList(RoIWarp(spatial_scale=1 / stride, **layer_cfg)
                             for stride in featmap_strides)

    def forward(self, feats: Sequence[Tensor], rois: Tensor,
                roi_scale_factor: Optional[float] = None) -> Tensor:
        """Return (R, C, output_size / pool, output_size / pool).

        Args:
            feats: Maps (B, C, H_k, W_k); those beyond ``featmap_strides`` are
                not read.
            rois: (R, 5): batch index, x1, y1, x2, y2 in image pixels.
            roi_scale_factor: Enlarge the boxes by this about their centres.
        """
        rois = self._gradient(rois.float())
        # A box whose corners are swapped or NaN has no scale, and no level of its own.
        levels = self.map_roi_levels(rois.detach(), self.num_inputs).clamp(
            0, self.num_inputs - 1)
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        parts, places = [], []
        for k, (layer, x) in enumerate(zip(self.roi_layers, feats)):
            place = (levels == k).nonzero()[:, 0]
            places.append(place)
            parts.append(layer(x, rois[place]))
        if len(parts) == 1:
            return parts[0]
        order = torch.cat(places).argsort()
        return torch.cat(parts)[order]

    def _gradient(self, rois: Tensor) -> Tensor:
        """Block or clip what comes back to the boxes."""
        if not self.coord_grad:
            return rois.detach()
        if self.coord_grad_clip is not None and rois.requires_grad:
            rois = rois.clone()
            limit = self.coord_grad_clip
            rois.register_hook(lambda grad: grad.clamp(-limit, limit))
        return rois
