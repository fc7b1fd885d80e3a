"""RANet's two blocks as one context brick for any head."""

from typing import Optional, Tuple, Union

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..ops.checks import check_number
from .region_construction import RegionConstruction
from .region_interaction import RegionInteraction


@MODELS.register_module()
class RegionAttention(BaseModule):
    """Region construction and interaction: features in, context features out.

    Put it into a head of your own. Class and boundary logits may come from the
    head (then train them there); where they are not given, two 1x1
    convolutions predict them from the input, as the paper draws it (in the
    released system the auxiliary head supplies them).

    Args:
        in_channels (int): Channels of the input.
        channels (int): Channels of the context.
        num_classes (int | None): C, for the 1x1 convolutions; not needed with
            ``predict=False``.
        predict (bool): Own 1x1 convolutions for the logits; False where these
            are always given.
        construction (dict | None): Arguments of :class:`RegionConstruction`.
        interaction (dict | None): Arguments of :class:`RegionInteraction`.
        conv_cfg, norm_cfg: As in mmcv; batch norms only (BN, SyncBN), see
            :class:`RegionInteraction`.

    Raises:
        TypeError, ValueError: ``num_classes`` is less than 2, or absent though
            ``predict`` is True; ``norm_cfg`` is no batch norm; or an argument
            of the two blocks is refused.
    """

    def __init__(self,
                 in_channels: int,
                 channels: int,
                 num_classes: Optional[int] = None,
                 predict: bool = True,
                 construction: Optional[dict] = None,
                 interaction: Optional[dict] = None,
                 conv_cfg: Optional[dict] = None,
                 norm_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if predict and num_classes is None:
            raise ValueError('num_classes must be given, for the 1x1 convolutions; '
                             'or set predict=False and hand over the logits.')
        if predict:
            check_number('num_classes', num_classes, 2, integer=True)
        self.construction = RegionConstruction(**(construction or {}))
        self.interaction = RegionInteraction(
            in_channels, channels, conv_cfg=conv_cfg, norm_cfg=norm_cfg,
            **(interaction or {}))
        self.conv_class = nn.Conv2d(in_channels, num_classes, 1) if predict else None
        self.conv_boundary = nn.Conv2d(in_channels, 2, 1) if predict else None

    def forward(
        self,
        features: Tensor,
        class_logits: Optional[Tensor] = None,
        boundary_logits: Optional[Tensor] = None,
        return_logits: bool = False
    ) -> Union[Tensor, Tuple[Tensor, Tensor, Tensor]]:
        """Return the context (B, channels, H, W) of features (B, in_channels, H, W).

        Args:
            features: The map.
            class_logits: (B, C, H, W), or None to predict them.
            boundary_logits: (B, 2, H, W), or None to predict them.
            return_logits: Return (context, class_logits, boundary_logits), to
                be trained by the head.

        Raises:
            ValueError: Logits are missing and ``predict`` is False.
        """
        missing = [name for name, value in
                   (('class_logits', class_logits),
                    ('boundary_logits', boundary_logits)) if value is None]
        if missing and self.conv_class is None:
            raise ValueError(f'{" and ".join(missing)} must be given: this '
                             'RegionAttention was built with predict=False.')
        if class_logits is None:
            class_logits = self.conv_class(features)
        if boundary_logits is None:
            boundary_logits = self.conv_boundary(features)
        regions = self.construction(class_logits, boundary_logits)
        context = self.interaction(features, regions)
        if not return_logits:
            return context
        return context, class_logits, boundary_logits
