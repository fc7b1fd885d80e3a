"""Regions and membership in plain torch, in chunks: any device, no N x N tensor.

Regions: rows of pixels against ascending blocks of candidates; a row leaves as
soon as its first follower is found, and lines are walked only for pairs that
the divergence leaves open. Membership: the pairs of one region, listed a chunk
at a time; the backward pass recomputes each chunk under autograd.
The host waits once an image and chunk, never once a region.
"""

import math
from typing import Any, Iterator, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..divergence import pair_divergence
from ..lines import max_along_lines

#: Pairs held at a time. About a hundred bytes each are alive.
PAIRS = 1 << 20


def _pair_similarity(probs: Tensor, boundary: Tensor, i: Tensor, j: Tensor,
                     width: int, divergence: str, line: str) -> Tensor:
    """F_ij (M,) of (C, N) probs and (N,) boundary."""
    between = max_along_lines(boundary, i, j, width, line)
    return (1 - between) * (1 - pair_divergence(probs, i, j, divergence))


def construct_regions(probs: Tensor, boundary: Tensor, threshold: float,
                      divergence: str, line: str) -> Tensor:
    """Return the regions (B, N) int64 of (B, C, H, W) and (B, H, W) tensors."""
    width = probs.shape[3]
    follow = torch.stack([
        _follow(p, b, width, threshold, divergence, line)
        for p, b in zip(probs.flatten(2), boundary.flatten(1))
    ])
    # follow[p] <= p, so doubling resolves every chain.
    for _ in range(math.ceil(math.log2(max(2, follow.shape[1])))):
        follow = follow.gather(1, follow)
    every = torch.arange(follow.shape[1], device=follow.device)
    return ((follow == every).cumsum(1) - 1).gather(1, follow)


def _follow(probs: Tensor, boundary: Tensor, width: int, threshold: float,
            divergence: str, line: str) -> Tensor:
    """follow (N,) of one image."""
    classes, n = probs.shape
    held = PAIRS if divergence == 'bernoulli' else max(1, PAIRS // classes)
    rows = max(1, min(n, int(held**0.5)))
    block = max(1, held // rows)
    every = torch.arange(n, device=probs.device)
    follow = every.clone()
    for row in range(0, n, rows):
        waiting = every[row:row + rows]
        for column in range(0, min(n, row + rows), block):
            ends = every[column:column + block]
            p = waiting.repeat_interleave(len(ends))
            i = ends.repeat(len(waiting))
            earlier = i < p
            p, i = p[earlier], i[earlier]
            e_pi = pair_divergence(probs, p, i, divergence)
            e_ip = pair_divergence(probs, i, p, divergence)
            # G <= 1 - E: the rest needs no line.
            open_pairs = ((1 - e_pi) + (1 - e_ip)) / 2 > threshold
            p, i = p[open_pairs], i[open_pairs]
            there = max_along_lines(boundary, p, i, width, line)
            back = there if line == 'interpolated' else max_along_lines(
                boundary, i, p, width, line)
            g = ((1 - there) * (1 - e_pi[open_pairs]) +
                 (1 - back) * (1 - e_ip[open_pairs])) / 2
            similar = g > threshold
            follow.scatter_reduce_(0, p[similar], i[similar], 'amin')
            waiting = waiting[follow[waiting] == waiting]
            if len(waiting) == 0:
                break
    return follow


def _region_pairs(labels: Tensor, held: int) -> Iterator[Tuple[Tensor, Tensor]]:
    """Yield the ordered pairs (i, j) of one region, about ``held`` at a time."""
    members = labels.argsort(stable=True)
    counts = torch.bincount(labels)
    first = counts.cumsum(0) - counts
    size = counts[labels[members]]
    pairs_before = torch.cat([size.new_zeros(1), size.cumsum(0)])
    cuts = [0]
    total = pairs_before.tolist()
    for k in range(len(members)):
        if total[k + 1] - total[cuts[-1]] > held and k > cuts[-1]:
            cuts.append(k)
    cuts.append(len(members))
    for low, high in zip(cuts[:-1], cuts[1:]):
        start, length = members[low:high], size[low:high]
        i = start.repeat_interleave(length)
        before = (length.cumsum(0) - length).repeat_interleave(length)
        within = torch.arange(len(i), device=labels.device) - before
        yield i, members[first[labels[i]] + within]


class _RegionMembership(torch.autograd.Function):
    """J of a batch; saves only the maps and the regions."""

    @staticmethod
    def forward(ctx: Any, probs: Tensor, boundary: Tensor, labels: Tensor,
                divergence: str, line: str) -> Tensor:
        ctx.save_for_backward(probs, boundary, labels)
        ctx.options = (divergence, line)
        return torch.stack([
            _sum_pairs(p, b, q, probs.shape[3], divergence, line) / _sizes(q, p)
            for p, b, q in zip(probs.flatten(2), boundary.flatten(1), labels)
        ])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple:  # type: ignore[override]
        probs, boundary, labels = ctx.saved_tensors
        divergence, line = ctx.options
        width = probs.shape[3]
        grad_probs, grad_boundary = [], []
        for p, b, q, g in zip(probs.flatten(2), boundary.flatten(1), labels,
                              grad):
            p, b = p.detach().requires_grad_(), b.detach().requires_grad_()
            share = g / _sizes(q, p)
            sums = torch.zeros_like(p), torch.zeros_like(b)
            for i, j in _region_pairs(q, _held(p, divergence)):
                with torch.enable_grad():
                    f = _pair_similarity(p, b, i, j, width, divergence, line)
                    loss = (f * share[i]).sum()
                for total, part in zip(
                        sums, torch.autograd.grad(loss, (p, b),
                                                  allow_unused=True)):
                    if part is not None:
                        total += part
            grad_probs.append(sums[0].view_as(probs[0]))
            grad_boundary.append(sums[1].view_as(boundary[0]))
        return torch.stack(grad_probs), torch.stack(grad_boundary), None, None, None


def _held(probs: Tensor, divergence: str) -> int:
    """Pairs of a chunk of membership, every one of which is walked.

    A walk has about 200 bytes a pair in hand and the gradient of the divergence
    some more (times the classes for Jensen-Shannon): tens of MB a chunk.
    """
    return PAIRS // (8 if divergence == 'bernoulli' else 8 * probs.shape[0])


def _sizes(labels: Tensor, like: Tensor) -> Tensor:
    return torch.bincount(labels)[labels].to(like.dtype)


def _sum_pairs(probs: Tensor, boundary: Tensor, labels: Tensor, width: int,
               divergence: str, line: str) -> Tensor:
    """Sum over j of F_ij, (N,), one image."""
    total = boundary.new_zeros(boundary.shape)
    for i, j in _region_pairs(labels, _held(probs, divergence)):
        total.index_add_(
            0, i, _pair_similarity(probs, boundary, i, j, width, divergence,
                                   line))
    return total


def region_membership(probs: Tensor, boundary: Tensor, labels: Tensor,
                      divergence: str, line: str) -> Tensor:
    """Return J (B, N) of tensors on any device; differentiable once."""
    return _RegionMembership.apply(probs, boundary, labels, divergence, line)
