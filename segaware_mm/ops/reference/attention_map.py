"""Attention over positions, slow and obvious: position by position, pair by pair.

Written from the equations, sharing no code with the fast path.
"""

from typing import Optional

import torch
from torch import Tensor


def densify(features: Tensor, attention: Tensor) -> Tensor:
    """Return A^T A alpha (B, 1, H, W), by the whole table of pairs A^T A."""
    maps = []
    for feature, weights in zip(features, attention):
        positions = [feature[:, y, x] for y in range(feature.shape[1])
                     for x in range(feature.shape[2])]
        pairs = torch.stack([torch.stack([(a * b).sum() for b in positions])
                             for a in positions])
        maps.append((pairs @ weights.reshape(-1)).reshape(weights.shape))
    return torch.stack(maps)


def attended_feature(features: Tensor, attention: Tensor) -> Tensor:
    """Return sum_i alpha_i a_i (B, C)."""
    vectors = []
    for feature, weights in zip(features, attention):
        total = torch.zeros_like(feature[:, 0, 0])
        for y in range(feature.shape[1]):
            for x in range(feature.shape[2]):
                total = total + weights[0, y, x] * feature[:, y, x]
        vectors.append(total)
    return torch.stack(vectors)


def position_softmax(logits: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Return exp(e_i) / sum_j exp(e_j) over the valid positions (B, 1, H, W)."""
    if valid is None:
        valid = torch.ones_like(logits, dtype=torch.bool)
    maps = []
    for logit, known in zip(logits, valid.expand(logits.shape)):
        if not known.any():
            maps.append(logit * 0)
            continue
        top = logit[known].max()
        weights = torch.where(known, (logit - top).exp(), torch.zeros_like(logit))
        maps.append(weights / weights.sum())
    return torch.stack(maps)
