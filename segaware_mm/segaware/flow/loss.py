"""The end-point error of predictions at several scales."""

from typing import Dict, Sequence

from mmengine.registry import MODELS
from torch import Tensor, nn

from ...ops.flow import end_point_error, shrink_flow


@MODELS.register_module()
class MultiScaleEndPointError(nn.Module):
    """Sum over scales of weight times mean end-point error.

    The ground truth is averaged down to every scale; the mean runs over the
    places with known flow.

    FlowNetS is commonly trained with the weights 0.005, 0.01, 0.02, 0.08, 0.32
    (stride 4 to stride 64) on the error *summed* over the places of a scale.
    A mean over places with the same proportions has 0.005 * 4**4 : 0.01 * 4**3 :
    0.02 * 4**2 : 0.08 * 4 : 0.32 = 1 : 0.5 : 0.25 : 0.25 : 0.25, the default.

    Args:
        weights (Sequence[float]): Of the mean error at every scale, finest first.
        loss_weight (float): Factor of all.
    """

    def __init__(self,
                 weights: Sequence[float] = (1., .5, .25, .25, .25),
                 loss_weight: float = 1.) -> None:
        super().__init__()
        if not weights or min(weights) < 0:
            raise ValueError(f'weights must be numbers of at least 0, got {weights}.')
        self.weights = tuple(weights)
        self.loss_weight = loss_weight

    def forward(self, predictions: Sequence[Tensor], target: Tensor,
                known: Tensor) -> Dict[str, Tensor]:
        """Return one loss a scale, ``loss_flow_s0`` the finest.

        Args:
            predictions: (B, 2, h, w) each, finest first.
            target: (B, 2, H, W), in the predictions' unit.
            known: (B, H, W) bool. Without a known pixel the losses are 0.

        Raises:
            ValueError: More predictions than weights, or other shapes.
        """
        if len(predictions) > len(self.weights):
            raise ValueError(f'weights has {len(self.weights)} numbers for '
                             f'{len(predictions)} scales: give one a scale.')
        losses = {}
        for k, (flow, weight) in enumerate(zip(predictions, self.weights)):
            small, there = shrink_flow(target, known, tuple(flow.shape[2:]))
            error = end_point_error(flow.to(small.dtype), small)
            mean = (error * there).sum() / there.sum().clamp_min(1)
            losses[f'loss_flow_s{k}'] = self.loss_weight * weight * mean
        return losses

    def extra_repr(self) -> str:
        return f'weights={self.weights}, loss_weight={self.loss_weight}'
