"""exp(-|hardness| d) with its limits right, and gradients that stay finite.

Nothing is 0 times infinity here: the mask is 1 where the distance or the
hardness is 0, though the other be infinite, and a mask that is 0 sends no
gradient. An infinite hardness is a step, whose gradient is 0.
"""

from typing import Any, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..compiling import opaque


def _exp(distance: Tensor, hardness: Tensor) -> Tensor:
    power = distance * -hardness.abs()
    power.masked_fill_((distance == 0) | (hardness == 0), 0)
    return power.exp_()


class _AttentionExp(torch.autograd.Function):
    """Saves the distances and the hardness; computes the mask again."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor, hardness: Tensor) -> Tensor:
        ctx.save_for_backward(distance, hardness)
        return _exp(distance, hardness)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple:  # type: ignore[override]
        distance, hardness = ctx.saved_tensors
        mask = _exp(distance, hardness)
        signal = (grad * mask).neg_().masked_fill_(mask == 0, 0)
        slope = hardness.abs().masked_fill(hardness.isinf(), 0)
        of_distance = signal * slope if ctx.needs_input_grad[0] else None
        of_hardness = None
        if ctx.needs_input_grad[1]:
            share = (signal * distance).masked_fill_(mask == 0, 0)
            of_hardness = (share.sum() * hardness.sign()).masked_fill_(
                (hardness == 0) | hardness.isinf(), 0)
        return of_distance, of_hardness


@opaque
def attention_exp(distance: Tensor, hardness: Tensor) -> Tensor:
    """Return the masks of distances of any shape and a hardness of shape ()."""
    return _AttentionExp.apply(distance, hardness)
