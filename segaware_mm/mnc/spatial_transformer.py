"""The spatial transformer: a layer that chooses where it looks.

Jaderberg et al., NIPS 2015. RoI warping is its attention-only case with a box in
place of the localisation network; both read maps by
:func:`segaware_mm.ops.bilinear.bilinear_sample`.

Shapes: B batch, C channels, P parameters of the transform.
"""

from typing import Optional, Tuple, Union

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from ..ops.bilinear import bilinear_sample
from ..ops.checks import check_choice, check_number, check_size
from ..ops.local_checks import check_map
from ..ops.precision import no_autocast, widened
from ..ops.spatial_transforms import (
    TRANSFORMS,
    identity_parameters,
    regular_points,
    to_pixels,
    transform_points,
)


class Localisation(nn.Sequential):
    """The default localisation network: (B, C, H, W) -> (B, channels).

    Two convolutions of stride 2 and a mean over 4 x 4 cells, which keeps where
    things are, before the fully connected layer.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, 32, 5, 2, 2), nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, channels),
            nn.ReLU(inplace=True))


@MODELS.register_module()
class SpatialTransformer(BaseModule):
    """Transforms a map as its localisation network asks.

    loc_net(x) -> fully connected layer -> parameters -> points -> bilinear reading.
    The layer starts as the identity (weights 0), whatever the localisation network
    says, and ``init_weights`` of this module or of one around it keeps that. Its
    learning rate often has to be smaller: ``paramwise_cfg=dict(custom_keys={
    'loc_net': dict(lr_mult=0.1)})``. Points further than half a pixel outside the
    map read 0.

    Args:
        in_channels (int): C.
        transform (str): 'affine', 'attention' (one scale and a shift),
            'projective' or 'tps'; see :mod:`segaware_mm.ops.spatial_transforms`.
        output_size (int | tuple | None): (h, w) of the result; the input's if None.
        loc_net (dict | None): Config of a module in MODELS that returns
            (B, loc_channels) or (B, loc_channels, h', w'), which is averaged over
            h' and w'. None for a small network of two convolutions.
        loc_channels (int): Channels of its result.
        num_control_points (int): K = k * k for 'tps', 4 or more: a k x k grid over
            the output, corners included.
        align_corners (bool): Whether -1 and 1 are the centres of the outermost
            pixels, not their outer edges.

    Raises:
        TypeError, ValueError: An unknown transform, or a number out of range.
    """

    def __init__(self,
                 in_channels: int,
                 transform: str = 'affine',
                 output_size: Optional[Union[int, Tuple[int, int]]] = None,
                 loc_net: Optional[dict] = None,
                 loc_channels: int = 32,
                 num_control_points: int = 16,
                 align_corners: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        check_number('in_channels', in_channels, 1, integer=True)
        check_number('loc_channels', loc_channels, 1, integer=True)
        check_choice('transform', transform, TRANSFORMS)
        if output_size is not None:
            output_size = check_size('output_size', output_size)
        self.transform, self.output_size = transform, output_size
        self.in_channels, self.align_corners = in_channels, align_corners
        points = _control_grid(num_control_points) if transform == 'tps' else None
        self.register_buffer('control_points', points, persistent=False)
        identity = identity_parameters(transform, points)
        self.register_buffer('identity', identity, persistent=False)
        self.loc_net = (Localisation(in_channels, loc_channels) if loc_net is None
                        else MODELS.build(loc_net))
        self.fc = nn.Linear(loc_channels, len(identity))
        self.reset_transform()

    def reset_transform(self) -> None:
        """Let the last layer ask for the identity."""
        nn.init.zeros_(self.fc.weight)
        with torch.no_grad():
            self.fc.bias.copy_(self.identity)

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says; the transform as the identity."""
        super().init_weights()
        loaded = self.init_cfg if isinstance(self.init_cfg, dict) else {}
        if loaded.get('type') not in ('Pretrained', 'PretrainedInit'):
            self.reset_transform()

    def forward(self, x: Tensor, return_parameters: bool = False
                ) -> Union[Tensor, Tuple[Tensor, Tensor]]:
        """Transform a map.

        Args:
            x: (B, C, H, W).
            return_parameters: Return (map, parameters).

        Returns:
            (B, C, h, w) in the format of x; with it (B, P), float32 or float64,
            see :mod:`segaware_mm.ops.spatial_transforms`.

        Raises:
            ValueError: x is no map of ``in_channels`` channels, or the
                localisation network returned another number of channels.
        """
        check_map('x', x, '(B, C, H, W)')
        if x.shape[1] != self.in_channels:
            raise ValueError(f'x has {x.shape[1]} channels; this SpatialTransformer '
                             f'was built with in_channels={self.in_channels}.')
        params = self.parameters_of(x)
        with no_autocast(x.device):
            grid = regular_points(self.output_size or tuple(x.shape[2:]),
                                  self.align_corners, x.device, params.dtype)
            moved = transform_points(params, grid, self.transform, self.control_points)
            points = to_pixels(moved, tuple(x.shape[2:]), self.align_corners)
            out = bilinear_sample(x, points)
        return (out, params) if return_parameters else out

    def parameters_of(self, x: Tensor) -> Tensor:
        """Return the parameters (B, P) that the localisation network asks for."""
        found = self.loc_net(x)
        if found.dim() == 4:
            found = found.mean((2, 3))
        if found.shape != (len(x), self.fc.in_features):
            raise ValueError(
                f'loc_net returned {tuple(found.shape)}; with loc_channels='
                f'{self.fc.in_features} it must be ({len(x)}, {self.fc.in_features}) '
                "or the same with a map's height and width.")
        # A parameter of half precision would be a pixel off in a map of some hundred.
        with no_autocast(x.device):
            weight, bias = widened(self.fc.weight), widened(self.fc.bias)
            return F.linear(found.to(weight.dtype), weight, bias)


def _control_grid(count: int) -> Tensor:
    """Return (K, 2), a square grid over [-1, 1]."""
    check_number('num_control_points', count, 4, integer=True)
    side = round(count**.5)
    if side**2 != count:
        raise ValueError('num_control_points must be a square (4, 9, 16, ...), got '
                         f'{count}.')
    return regular_points(side, align_corners=True).flatten(0, 1)
