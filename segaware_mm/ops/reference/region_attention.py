"""RANet's region construction, one pair and one sample at a time.

Written from the equations, sharing no code with the fast paths. Meant for
float64 and maps of a few dozen pixels; autograd goes through the Python loops.
"""

import math
from typing import List, Tuple

import torch
from torch import Tensor


def boundary_between(boundary: Tensor, line: str = 'interpolated') -> Tensor:
    """Return D (B, N, N) of a (B, H, W) boundary map."""
    batch, height, width = boundary.shape
    n = height * width
    zero = boundary.new_zeros(())
    tables = []
    for one in boundary:
        rows = []
        for i in range(n):
            for j in range(n):
                start, end = divmod(i, width), divmod(j, width)
                taps = (_interpolated_taps if line == 'interpolated' else
                        _tree_taps)(start, end)
                best = zero
                for tap in taps:
                    sample = sum(weight * one[y, x] for y, x, weight in tap)
                    if sample > best:  # strict: the first maximum stays
                        best = sample
                rows.append(best)
        tables.append(torch.stack(rows).view(n, n))
    return torch.stack(tables)


Tap = List[Tuple[int, int, float]]


def _interpolated_taps(start: Tuple[int, int], end: Tuple[int, int]) -> List[Tap]:
    (y0, x0), (y1, x1) = start, end
    dy, dx = y1 - y0, x1 - x0
    steps = max(abs(dy), abs(dx))
    taps = []
    for t in range(1, steps):
        if abs(dx) >= abs(dy):
            x = x0 + t * dx // steps  # exact: |dx| == steps
            minor = y0 + t * dy / steps
            low = math.floor(minor + 1e-12)
            weight = max(0., minor - low)
            taps.append([(low, x, 1 - weight)] +
                        ([(low + 1, x, weight)] if weight > 1e-9 else []))
        else:
            y = y0 + t * dy // steps
            minor = x0 + t * dx / steps
            low = math.floor(minor + 1e-12)
            weight = max(0., minor - low)
            taps.append([(y, low, 1 - weight)] +
                        ([(y, low + 1, weight)] if weight > 1e-9 else []))
    return taps


def _tree_taps(start: Tuple[int, int], end: Tuple[int, int]) -> List[Tap]:
    (y0, x0), (y1, x1) = start, end
    dy, dx = y1 - y0, x1 - x0
    x_major = abs(dx) >= abs(dy)
    major, minor = (abs(dx), abs(dy)) if x_major else (abs(dy), abs(dx))
    sign_y, sign_x = (dy > 0) - (dy < 0), (dx > 0) - (dx < 0)
    taps: List[Tap] = []
    n, m = major, minor
    while n > 1:
        digits = bin(n)[2:][::-1]
        vdc = sum(int(d) / 2**(k + 1) for k, d in enumerate(digits))
        n, m = n - 1, m - (1 if m > n * vdc else 0)
        offset_y, offset_x = (m, n) if x_major else (n, m)
        taps.append([(y0 + sign_y * offset_y, x0 + sign_x * offset_x, 1.)])
    return taps[::-1]


def semantic_divergence(probs: Tensor, kind: str = 'bernoulli') -> Tensor:
    """Return E (B, N, N) of (B, C, H, W) class probabilities."""
    flat = probs.flatten(2)
    batch, classes, n = flat.shape
    tables = []
    for one in flat:
        rows = []
        for i in range(n):
            for j in range(n):
                if kind == 'bernoulli':
                    c = int(one[:, i].argmax())
                    p = one[c, i].clamp(0.001, 0.99)
                    q = one[c, j].clamp(0.001, 0.99)
                    terms = [(p, q), (1 - p, 1 - q)]
                else:
                    terms = [(one[c, i].clamp(min=1e-12),
                              one[c, j].clamp(min=1e-12))
                             for c in range(classes)]
                rows.append(sum(_js_term(p, q) for p, q in terms) / 2)
        tables.append(torch.stack(rows).view(n, n))
    return torch.stack(tables)


def _js_term(p: Tensor, q: Tensor) -> Tensor:
    m = (p + q) / 2
    return p * (p / m).log() + q * (q / m).log()


def pair_similarity(probs: Tensor, boundary: Tensor, divergence: str,
                    line: str) -> Tensor:
    """Return F (B, N, N) = (1 - D) (1 - E)."""
    between = boundary_between(boundary, line)
    return (1 - between) * (1 - semantic_divergence(probs, divergence))


def follow_first(table: Tensor, threshold: float) -> Tensor:
    """Return follow (N,) of a symmetric (N, N) table G."""
    n = table.shape[0]
    follow = torch.arange(n)
    for p in range(n):
        for i in range(p):
            if table[p, i] > threshold:
                follow[p] = i
                break
    return follow


def label_roots(follow: Tensor) -> Tensor:
    """Return the regions 0..Q-1 (N,) of a follow map, in order of their roots."""
    root = follow.tolist()
    for p, target in enumerate(root):
        while root[target] != target:
            target = root[target]
        root[p] = target
    names = {r: q for q, r in enumerate(sorted(set(root)))}
    return torch.tensor([names[r] for r in root], dtype=torch.int64)


def construct_regions(probs: Tensor, boundary: Tensor, threshold: float = 0.8,
                      divergence: str = 'bernoulli',
                      line: str = 'interpolated') -> Tensor:
    """Return the regions (B, N)."""
    similarity = pair_similarity(probs, boundary, divergence, line)
    table = (similarity + similarity.transpose(1, 2)) / 2
    return torch.stack(
        [label_roots(follow_first(one, threshold)) for one in table])


def region_membership(probs: Tensor, boundary: Tensor, labels: Tensor,
                      divergence: str = 'bernoulli',
                      line: str = 'interpolated') -> Tensor:
    """Return J (B, N)."""
    return membership_of(pair_similarity(probs, boundary, divergence, line),
                         labels)


def membership_of(similarity: Tensor, labels: Tensor) -> Tensor:
    """Return J (B, N) of a given F (B, N, N)."""
    out = []
    for table, region in zip(similarity, labels):
        same = (region[:, None] == region[None, :]).to(table.dtype)
        out.append((table * same).sum(1) / same.sum(1))
    return torch.stack(out)
