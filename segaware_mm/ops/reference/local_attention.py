"""Local attention, slow and obvious: ``F.unfold`` and a factor for every tap.

Written from the equations, sharing no code with the fast paths. Meant for
float64 and small maps; autograd goes through plain tensor operations, and all
K^2 copies of the input exist.
"""

from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor


def taps_of(x: Tensor, kernel_size: int, dilation: int, stride: int) -> Tensor:
    """Return (B, C, P, Ho, Wo): what every tap reads, 0 outside the map."""
    batch, channels, height, width = x.shape
    pad = dilation * (kernel_size // 2)
    columns = F.unfold(x, kernel_size, dilation, pad, stride)
    out = ((height - 1) // stride + 1, (width - 1) // stride + 1)
    return columns.view(batch, channels, kernel_size**2, *out)


def inside(x: Tensor, kernel_size: int, dilation: int, stride: int) -> Tensor:
    """Return (1, P, Ho, Wo) bool: whether a tap is in the map."""
    return taps_of(torch.ones_like(x[:1, :1]), kernel_size, dilation,
                   stride)[:, 0] > 0


def local_distance(embedding: Tensor, kernel_size: int, dilation: int = 1,
                   stride: int = 1, norm: str = 'l1') -> Tensor:
    """Return the distances (B, P, Ho, Wo)."""
    around = taps_of(embedding, kernel_size, dilation, stride)
    gap = embedding[:, :, None, ::stride, ::stride] - around
    total = gap.square().sum(1)
    if norm == 'l1':
        distance = gap.abs().sum(1)
    elif norm == 'l2':
        distance = _root(total)
    else:
        distance = total / 2
    return distance * inside(embedding, kernel_size, dilation, stride)


def _root(total: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0."""
    positive = total > 0
    return torch.where(positive, total, torch.ones_like(total)).sqrt() * positive


def local_attention_mask(embedding: Tensor, kernel_size: int, dilation: int = 1,
                         stride: int = 1, norm: str = 'l1', hardness=1.0,
                         border: str = 'zero', normalize: str = 'none') -> Tensor:
    """Return the masks (B, P, Ho, Wo)."""
    distance = local_distance(embedding, kernel_size, dilation, stride, norm)
    mask = torch.exp(-abs(hardness) * distance)
    if border == 'drop':
        mask = mask * inside(embedding, kernel_size, dilation, stride)
    if normalize == 'sum':
        mask = mask / mask.sum(1, keepdim=True)
    elif normalize == 'mean':
        mask = mask / mask.mean(1, keepdim=True)
    return mask


def masked_conv2d(x: Tensor, weight: Tensor, mask: Tensor,
                  bias: Optional[Tensor] = None, stride: int = 1,
                  dilation: int = 1, groups: int = 1) -> Tensor:
    """Return the masked convolution (B, O, Ho, Wo)."""
    batch, channels = x.shape[:2]
    outputs, kernel_size = len(weight), weight.shape[2]
    around = taps_of(x, kernel_size, dilation, stride)
    taps = kernel_size**2
    share = channels * taps // mask.shape[1]  # channels under one mask
    masked = torch.stack([
        _times(around[:, c], mask[:, c // share * taps:(c // share + 1) * taps])
        for c in range(channels)
    ], 1)
    result = []
    for o in range(outputs):
        first = o // (outputs // groups) * (channels // groups)
        group = masked[:, first:first + channels // groups]
        result.append((group * weight[o].reshape(1, -1, taps, 1, 1)).sum((1, 2)))
    out = torch.stack(result, 1)
    return out if bias is None else out + bias.view(1, -1, 1, 1)


def _times(values: Tensor, mask: Tensor) -> Tensor:
    """Values times masks, where a mask of 0 wins over inf and NaN."""
    hidden = (mask == 0) & ~values.isfinite()
    return torch.where(hidden, torch.zeros_like(values), values) * mask


def masked_mean(x: Tensor, mask: Tensor, dilation: int = 1) -> Tensor:
    """Return the means (B, C, H, W)."""
    kernel_size = round(mask.shape[1]**0.5)
    around = taps_of(x, kernel_size, dilation, 1)
    total = mask.sum(1)
    empty = total == 0
    means = [_times(around[:, c], mask).sum(1) / torch.where(
        empty, torch.ones_like(total), total) for c in range(x.shape[1])]
    return torch.stack([torch.where(empty, torch.zeros_like(m), m)
                        for m in means], 1)


def embedding_loss(embedding: Tensor, labels: Tensor, alpha: float = 0.5,
                   beta: float = 2.0, kernel_size: int = 3,
                   dilations: Sequence[int] = (1, 2, 5), norm: str = 'l1',
                   power: int = 1, ignore_index: int = 255) -> Tensor:
    """Return the loss, pair by pair."""
    batch, _, height, width = embedding.shape
    result = embedding.sum() * 0
    reach = range(-(kernel_size // 2), kernel_size // 2 + 1)
    for dilation in dilations:
        losses = []
        for p in _pixels(batch, height, width):
            for dy in reach:
                for dx in reach:
                    q = (p[0], p[1] + dy * dilation, p[2] + dx * dilation)
                    if not (0 <= q[1] < height and 0 <= q[2] < width):
                        continue
                    if ignore_index in (labels[p], labels[q]):
                        continue
                    losses.append(_pair_loss(
                        embedding[p[0], :, p[1], p[2]] - embedding[q[0], :, q[1], q[2]],
                        bool(labels[p] == labels[q]), alpha, beta, norm, power))
        if losses:
            result = result + torch.stack(losses).mean()
    return result


def _pixels(batch: int, height: int, width: int) -> Sequence[Tuple[int, int, int]]:
    return [(b, y, x) for b in range(batch) for y in range(height)
            for x in range(width)]


def _pair_loss(gap: Tensor, same: bool, alpha: float, beta: float, norm: str,
               power: int) -> Tensor:
    if norm == 'l1':
        distance = gap.abs().sum()
    elif norm == 'l2':
        distance = _root(gap.square().sum())
    else:
        distance = gap.square().sum() / 2
    hinge = F.relu(distance - alpha if same else beta - distance)
    return hinge if power == 1 else hinge.square() / 2
