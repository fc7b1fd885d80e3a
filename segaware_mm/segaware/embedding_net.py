"""From an image to an embedding of every pixel (Harley et al., ICCV 2017).

Shapes: B batch, H x W image, E embedding dimensions.
"""

from typing import Optional, Sequence

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor
from torch.nn.functional import interpolate

from .hypercolumn import Hypercolumn


@MODELS.register_module()
class EmbeddingNet(BaseModule):
    """A network of its own that embeds the image, by a hypercolumn.

    The published one: VGG-16 to conv3_3, taps of 64, 128 and 256 channels and
    the image itself, 451 in all, to 64. No activation or norm follows, so
    embeddings are unbounded. Any mm backbone will do instead.

    Args:
        backbone (dict): A network that turns an image into a tuple of maps.
        in_channels (Sequence[int]): Channels of the maps that are read.
        out_indices (Sequence[int] | None): Which maps are read; all if None.
        channels (int): E.
        image_scale (float): The image enters the hypercolumn times this; the
            published one is 1 / 255 for an image of 0..255 less its mean. Where
            the data preprocessor divides by a standard deviation of about 57,
            0.224 is the same.
        stride (int): The embedding is computed at every ``stride``-th pixel.
    """

    def __init__(self,
                 backbone: dict = dict(type='VGG16Taps'),  # noqa: B006
                 in_channels: Sequence[int] = (64, 128, 256),
                 out_indices: Optional[Sequence[int]] = None,
                 channels: int = 64,
                 image_scale: float = 1 / 255,
                 stride: int = 1,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if stride < 1:
            raise ValueError(f'stride must be at least 1, got {stride}.')
        self.backbone = MODELS.build(backbone)
        self.out_indices = out_indices
        self.image_scale = image_scale
        self.stride = stride
        self.channels = channels
        self.hypercolumn = Hypercolumn((3, *in_channels), channels)

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, E, ceil(H / stride), ceil(W / stride)) of (B, 3, H, W)."""
        maps = self.backbone(image)
        if self.out_indices is not None:
            maps = [maps[k] for k in self.out_indices]
        size = tuple(-(-n // self.stride) for n in image.shape[2:])
        return self.hypercolumn([image * self.image_scale, *maps], size)


@MODELS.register_module()
class ColorEmbedding(BaseModule):
    """Colours, and places if wanted, in the embedding's stead: no weights.

    With it the masks are those of a bilateral filter ("RGB bilateral", the
    usual baseline).

    Args:
        color_scale (float): Factor of the image as the network gets it. The
            released baseline scales colours of 0..255 by 0.13.
        xy_scale (float): Factor of column and row in pixels; 0 leaves them out.
        stride (int): At every ``stride``-th pixel, corners aligned.
    """

    def __init__(self, color_scale: float = 0.13, xy_scale: float = 0.,
                 stride: int = 1, init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if stride < 1:
            raise ValueError(f'stride must be at least 1, got {stride}.')
        self.color_scale = color_scale
        self.xy_scale = xy_scale
        self.stride = stride
        self.channels = 5 if xy_scale else 3

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, 3 or 5, h, w) of an image (B, 3, H, W)."""
        colors = image * self.color_scale
        if self.stride > 1:
            # As hypercolumns do: every pixel of the result has the place, corners
            # aligned, that an embedding has.
            size = tuple(-(-n // self.stride) for n in image.shape[2:])
            colors = interpolate(colors, size, mode='bilinear', align_corners=True)
        if not self.xy_scale:
            return colors
        height, width = colors.shape[2:]
        step = self.stride * self.xy_scale
        rows = torch.arange(height, device=image.device, dtype=image.dtype) * step
        columns = torch.arange(width, device=image.device, dtype=image.dtype) * step
        places = torch.stack(torch.broadcast_tensors(columns, rows[:, None]))
        return torch.cat([colors, places.expand(len(image), -1, -1, -1)], 1)
