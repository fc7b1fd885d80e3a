"""The loss that trains an embedding (Harley et al., ICCV 2017, eq. 1).

For two pixels p and q of one window, with d = ||e_p - e_q||::

    l = max(d - alpha, 0)    where their labels are equal
    l = max(beta - d, 0)     where they differ

The mean over the pairs (p, q) that count, summed over the dilations. Shapes: B
batch, E embedding dimensions.
"""

from typing import Any, List, Sequence, Tuple, Union

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .checks import check_choice, check_number, check_same, check_tensor
from .compiling import opaque
from .local_checks import NORMS, check_device, check_map
from .precision import no_autocast, wide_dtype
from .windows import check_window


def embedding_loss(embedding: Tensor,
                   labels: Tensor,
                   alpha: float = 0.5,
                   beta: float = 2.0,
                   kernel_size: int = 3,
                   dilations: Union[int, Sequence[int]] = (1, 2, 5),
                   norm: str = 'l1',
                   power: int = 1,
                   ignore_index: int = 255) -> Tensor:
    """Return how badly an embedding tells the labels apart.

    A pair counts if both of its pixels are in the map and neither is ignored.
    The pairs of a pixel with itself count as well (they add 0 to the sum, and
    their number to the divisor), as in the released code; without them a 3 x 3
    window's loss would be 9/8 of this, and more at borders. The loss of a
    dilation is the mean over its pairs of the whole batch, 0 where there is
    none.

    Args:
        embedding: (B, E, H, W).
        labels: (B, H, W) integers.
        alpha: Distance up to which equal pixels cost nothing.
        beta: Distance from which different pixels cost nothing.
        kernel_size: K, odd.
        dilations: One or several; their losses are added.
        norm: ``'l1'``, ``'l2'`` or ``'sq'``, see ``local_distance``.
        power: 1: the hinge l, as published; 2: l^2 / 2, whose gradient is what
            the released code descends.
        ignore_index: Label of pixels that take no part.

    Returns:
        A scalar, float64 if the embedding is, else float32, also under
        autocast. Differentiable once in the embedding.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or option; the
            message names the argument.
    """
    check_map('embedding', embedding, '(B, E, H, W)')
    check_tensor('labels', labels, '(B, H, W)', 3, floating=False)
    check_same('labels', labels.shape, f'embedding {tuple(embedding.shape)}',
               (len(embedding), *embedding.shape[2:]))
    check_device('labels', labels, 'embedding', embedding)
    check_number('alpha', alpha, 0)
    check_number('beta', beta, 0)
    dilations = [dilations] if isinstance(dilations, int) else list(dilations)
    if not dilations:
        raise ValueError('dilations must name at least one, got none.')
    for dilation in dilations:
        check_window(kernel_size, dilation)
    check_choice('norm', norm, NORMS)
    check_number('power', power, 1, 2, integer=True)
    check_number('ignore_index', ignore_index, -2**63, integer=True)
    # Whatever ignored pixels hold, also inf or NaN, must not matter.
    valid = labels != ignore_index
    embedding = embedding.to(wide_dtype(embedding)).masked_fill(~valid[:, None], 0)
    return _loss(embedding, labels, valid, float(alpha), float(beta),
                 kernel_size, dilations, norm, power)


@opaque
def _loss(*arguments: Any) -> Tensor:
    return _EmbeddingLoss.apply(*arguments)


class _EmbeddingLoss(torch.autograd.Function):
    """Visits unordered pairs, each for two; saves the embedding and the labels."""

    @staticmethod
    def forward(ctx: Any, embedding: Tensor, labels: Tensor, valid: Tensor,
                alpha: float, beta: float, kernel_size: int, dilations: List[int],
                norm: str, power: int) -> Tensor:
        from .kernels.local_distance_torch import pair_distance, pairs_at
        means, counts = [], []
        with no_autocast(embedding.device):
            for dilation in dilations:
                total = embedding.new_zeros(())
                count = valid.sum()
                for _, p, q in pairs_at(embedding.shape, kernel_size, dilation, 1,
                                        True):
                    both = valid[p] & valid[q]
                    distance = pair_distance(embedding[p], embedding[q], norm)
                    hinge = torch.where(labels[p] == labels[q], distance - alpha,
                                        beta - distance).clamp_(min=0)
                    if power == 2:
                        hinge = hinge.square_().mul_(0.5)
                    total += 2 * hinge.masked_fill_(~both, 0).sum()
                    count = count + 2 * both.sum()
                counts.append(count.clamp(min=1).to(embedding.dtype))
                means.append(total / counts[-1])
        ctx.save_for_backward(embedding, labels, valid, *counts)
        ctx.options = (alpha, beta, kernel_size, dilations, norm, power)
        return torch.stack(means).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple:  # type: ignore[override]
        from .kernels.local_distance_torch import (
            pair_distance,
            pair_gradient,
            pairs_at,
        )
        embedding, labels, valid, *counts = ctx.saved_tensors
        alpha, beta, kernel_size, dilations, norm, power = ctx.options
        result = torch.zeros_like(embedding)
        with no_autocast(embedding.device):
            for dilation, count in zip(dilations, counts):
                factor = 2 * grad / count
                for _, p, q in pairs_at(embedding.shape, kernel_size, dilation, 1,
                                        True):
                    here, there = embedding[p], embedding[q]
                    distance = pair_distance(here, there, norm)
                    same = labels[p] == labels[q]
                    hinge = torch.where(same, distance - alpha,
                                        beta - distance).clamp_(min=0)
                    slope = hinge.sign() if power == 1 else hinge
                    slope = torch.where(same, slope, -slope) * factor
                    slope.masked_fill_(~(valid[p] & valid[q]), 0)
                    share = pair_gradient(here, there, norm, slope)
                    result[p] += share
                    result[q] -= share
        return (result, *[None] * 8)
