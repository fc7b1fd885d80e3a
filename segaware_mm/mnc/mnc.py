"""Multi-task network cascades as a detector of mmdet (Dai, He, Sun, CVPR 2016)."""

from typing import Any

from mmdet.models.detectors import TwoStageDetector
from mmdet.registry import MODELS

from .mnc_roi_head import MNCRoIHead


@MODELS.register_module()
class MNC(TwoStageDetector):
    """Backbone, proposals, and the cascade behind them, trained in one step.

    ``FasterRCNN`` or any other two-stage detector of mmdet runs
    :class:`MNCRoIHead` too; this one says that it must be there.

    Args:
        rpn_head (dict): :class:`MNCRPNHead`; mmdet's own has proposals without
            gradient, so that the first stage learns from its own losses alone.
        roi_head (dict): :class:`MNCRoIHead`.
        **kwargs: As in mmdet's ``TwoStageDetector``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(getattr(self, 'roi_head', None), MNCRoIHead):
            raise ValueError("MNC wants roi_head=dict(type='MNCRoIHead', ...), got "
                             f'{type(getattr(self, "roi_head", None)).__name__}.')
