"""Regions on the CPU: stream the pairs, stop at the first follower.

For every pixel p the candidates i < p come in raster order; most images end
the search early. Before a line is walked a pair is tested against two bounds
of the divergence that need no logarithm, exact because
``ln2 * h2 <= JS (nats) <= h2`` for h2 = 1 - sum sqrt(p q):

1. G <= 1 - E <= 1 - ln2 * h2, so a pair with 1 - ln2 * h2 <= threshold fails;
2. with 1 - h2 > threshold only the boundary can decide, so E can wait.

A third bound costs one comparison: every line leaves p between two of its
eight neighbours, so D is at least the smallest of their boundary values.

A line is abandoned at the first sample that settles the pair, and the place
where the last line was blocked is looked at first for the next one: walls are
seen from p at nearly the same distance by neighbouring candidates.
Decisions are taken in float64; memory is O(N * C).
"""

import math
from typing import Tuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ..divergence import JS_EPS, P_MAX, P_MIN, binary_entropy
from ..lines import van_der_corput
from .threads import run_stripes

LN2 = math.log(2.)
#: Slack of the two bounds, above the float32 rounding of their tables.
SLACK = 4e-6


@njit(cache=True, nogil=True, error_model='numpy', inline='always')
def _bernoulli(p, q, entropy_p, entropy_q):
    if p == q:
        return 0.
    m = .5 * (p + q)
    mixed = -(m * math.log(m) + (1. - m) * math.log(1. - m))
    e = mixed - .5 * (entropy_p + entropy_q)
    return 0. if e < 0. else e  # keeps NaN


@njit(cache=True, nogil=True, error_model='numpy')
def _jensen_shannon(probs, i, j):
    total = 0.
    for c in range(probs.shape[1]):
        p, q = np.float64(probs[i, c]), np.float64(probs[j, c])
        if p != q:
            m = .5 * (p + q)
            total += p * math.log(p / m) + q * math.log(q / m)
    return .5 * total


@njit(cache=True, nogil=True, error_model='numpy', inline='always')
def _interpolated_sample(boundary, y0, x0, major, minor, n, x_major, t):
    """Sample t of the line from (y0, x0); |major| = n.

    The floating floor is exact: numerators stay far below 2^52, and a
    quotient that is no integer is at least 1/n away from one.
    """
    along = t if major > 0 else -t
    lower = np.int64(math.floor(np.float64(t * minor) / n))
    rest = t * minor - lower * n
    if x_major:
        low = np.float64(boundary[y0 + lower, x0 + along])
        if rest == 0:
            return low
        high = np.float64(boundary[y0 + lower + 1, x0 + along])
    else:
        low = np.float64(boundary[y0 + along, x0 + lower])
        if rest == 0:
            return low
        high = np.float64(boundary[y0 + along, x0 + lower + 1])
    weight = rest / n
    return (1. - weight) * low + weight * high


@njit(cache=True, nogil=True, error_model='numpy')
def _interpolated_max(boundary, y0, x0, y1, x1, enough, hint):
    """Largest sample, or the first one >= enough; and where it was (or hint)."""
    dy, dx = y1 - y0, x1 - x0
    x_major = abs(dx) >= abs(dy)
    major, minor = (dx, dy) if x_major else (dy, dx)
    n = abs(major)
    if 0 < hint < n:
        sample = _interpolated_sample(boundary, y0, x0, major, minor, n,
                                      x_major, hint)
        if sample >= enough:
            return sample, hint
    best = 0.
    for t in range(1, n):
        sample = _interpolated_sample(boundary, y0, x0, major, minor, n,
                                      x_major, t)
        if sample > best:
            best = sample
            if best >= enough:
                return best, t
    return best, hint


@njit(cache=True, nogil=True, error_model='numpy')
def _tree_max(boundary, y0, x0, y1, x1, vdc, enough):
    """Largest sample of the tree line, or the first one >= enough."""
    dy, dx = y1 - y0, x1 - x0
    x_major = abs(dx) >= abs(dy)
    major, minor = (dx, dy) if x_major else (dy, dx)
    along = 1 if major > 0 else -1
    across = 1 if minor > 0 else -1
    n, m = abs(major), abs(minor)
    best = 0.
    while n > 1:
        if m > n * vdc[n]:
            m -= 1
        n -= 1
        if x_major:
            sample = np.float64(boundary[y0 + across * m, x0 + along * n])
        else:
            sample = np.float64(boundary[y0 + along * n, x0 + across * m])
        if sample > best:
            best = sample
            if best >= enough:
                break
    return best


@njit(cache=True, nogil=True, error_model='numpy')
def _similar(boundary, y0, x0, y1, x1, e_pi, e_ip, threshold, tree, vdc, hint):
    """Whether G > threshold with these divergences, and the new hint."""
    a, b = 1. - e_pi, 1. - e_ip
    # The slack keeps an early stop strictly on the failing side.
    if tree:
        there = _tree_max(boundary, y0, x0, y1, x1, vdc,
                          1. - (2. * threshold - b) / a + 1e-9)
        back = _tree_max(boundary, y1, x1, y0, x0, vdc,
                         1. - (2. * threshold - (1. - there) * a) / b + 1e-9)
    else:
        enough = 1. - 2. * threshold / (a + b) + 1e-9
        there, hint = _interpolated_max(boundary, y0, x0, y1, x1, enough, hint)
        back = there
    g = .5 * ((1. - there) * a + (1. - back) * b)
    return g > threshold, hint


@njit(cache=True, nogil=True, error_model='numpy')
def ring_minimum(boundary):
    """Smallest boundary value among the neighbours of every pixel.

    The first sample of a line interpolates between two neighbours of its
    start, so this bounds D from below for every pair further apart than 1.
    """
    height, width = boundary.shape
    out = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            smallest = np.inf
            for v in range(max(0, y - 1), min(height, y + 2)):
                for u in range(max(0, x - 1), min(width, x + 2)):
                    if v != y or u != x:
                        smallest = min(smallest, boundary[v, u])
            out[y, x] = smallest
    return out


@njit(cache=True, nogil=True, error_model='numpy')
def _follow_bernoulli(probs, entropy, top, root_p, root_q, boundary, ring,
                      threshold, tree, vdc, stripe, stripes, follow):
    classes, n = probs.shape
    width = boundary.shape[1]
    column_p = np.empty(classes, dtype=root_p.dtype)
    column_q = np.empty(classes, dtype=root_q.dtype)
    for p in range(stripe, n, stripes):
        for c in range(classes):
            column_p[c] = root_p[c, p]
            column_q[c] = root_q[c, p]
        cp = top[p]
        own_p, own_q = column_p[cp], column_q[cp]
        row_p, row_q = root_p[cp], root_q[cp]
        y0, x0 = p // width, p % width
        # 1 - h2 <= this fails alone; <= that with the boundary next to p.
        alone = (threshold - SLACK - 1.) / LN2 + 1.
        fenced = 1. - (1. - (threshold - SLACK) / (1. - ring[y0, x0])) / LN2 \
            if ring[y0, x0] < 1. else 2.
        hint, found = 0, p
        for y1 in range(y0 + 1):
            near_row = y0 - y1 <= 1
            for x1 in range(width if y1 < y0 else x0):
                i = y1 * width + x1
                ci = top[i]
                overlap = .5 * (own_p * row_p[i] + own_q * row_q[i] +
                                root_p[ci, i] * column_p[ci] +
                                root_q[ci, i] * column_q[ci])
                if overlap <= alone:
                    continue
                if overlap <= fenced and not (near_row and abs(x1 - x0) <= 1):
                    continue
                h2 = 1. - overlap
                if 1. - h2 > threshold + SLACK and not tree:
                    # Blocked even for the smallest E the bound allows?
                    low = max(0., LN2 * h2 - SLACK)
                    ok, hint = _similar(boundary, y0, x0, y1, x1, low, low,
                                        threshold, tree, vdc, hint)
                    if not ok:
                        continue
                e_pi = _bernoulli(np.float64(probs[cp, p]),
                                  np.float64(probs[cp, i]), entropy[cp, p],
                                  entropy[cp, i])
                e_ip = _bernoulli(np.float64(probs[ci, i]),
                                  np.float64(probs[ci, p]), entropy[ci, i],
                                  entropy[ci, p])
                if .5 * ((1. - e_pi) + (1. - e_ip)) <= threshold:
                    continue
                ok, hint = _similar(boundary, y0, x0, y1, x1, e_pi, e_ip,
                                    threshold, tree, vdc, hint)
                if ok:
                    found = i
                    break
            if found != p:
                break
        follow[p] = found


@njit(cache=True, nogil=True, error_model='numpy')
def _follow_jensen_shannon(probs, roots, totals, boundary, ring, threshold, tree, vdc,
                           stripe, stripes, follow):
    n, classes = probs.shape
    width = boundary.shape[1]
    for p in range(stripe, n, stripes):
        y0, x0 = p // width, p % width
        alone = (threshold - SLACK - 1.) / LN2 + 1.
        fenced = 1. - (1. - (threshold - SLACK) / (1. - ring[y0, x0])) / LN2 \
            if ring[y0, x0] < 1. else 2.
        hint, found = 0, p
        for y1 in range(y0 + 1):
            near_row = y0 - y1 <= 1
            for x1 in range(width if y1 < y0 else x0):
                i = y1 * width + x1
                overlap = np.float32(0.)
                for c in range(classes):
                    overlap += roots[p, c] * roots[i, c]
                # h2 of maps that do not sum to 1 exactly (half precision).
                overlap += 1. - .5 * (totals[p] + totals[i])
                if overlap <= alone:
                    continue
                if overlap <= fenced and not (near_row and abs(x1 - x0) <= 1):
                    continue
                h2 = 1. - np.float64(overlap)
                if 1. - h2 > threshold + SLACK and not tree:
                    low = max(0., LN2 * h2 - SLACK)
                    ok, hint = _similar(boundary, y0, x0, y1, x1, low, low,
                                        threshold, tree, vdc, hint)
                    if not ok:
                        continue
                e = _jensen_shannon(probs, p, i)
                if 1. - e <= threshold:
                    continue
                ok, hint = _similar(boundary, y0, x0, y1, x1, e, e, threshold,
                                    tree, vdc, hint)
                if ok:
                    found = i
                    break
            if found != p:
                break
        follow[p] = found


@njit(cache=True, nogil=True, error_model='numpy')
def _label_roots(follow, labels):
    """Resolve the chains; follow[p] < p, so one pass is enough."""
    count = 0
    for p in range(follow.shape[0]):
        if follow[p] == p:
            labels[p] = count
            count += 1
        else:
            labels[p] = labels[follow[p]]


def van_der_corput_table(size: int) -> np.ndarray:
    """Return vdc(0), ..., vdc(size - 1)."""
    return np.array([van_der_corput(n) for n in range(size)] or [0.])


def construct_regions(probs: Tensor, boundary: Tensor, threshold: float,
                      divergence: str, line: str) -> Tensor:
    """Return the regions (B, N) int64 of (B, C, H, W) and (B, H, W) CPU tensors."""
    return torch.stack([
        _regions_of_one(p, b, threshold, divergence, line)
        for p, b in zip(probs.flatten(2), boundary)
    ])


def _regions_of_one(probs: Tensor, boundary: Tensor, threshold: float,
                    divergence: str, line: str) -> Tensor:
    """Regions (N,) of (C, N) probabilities and an (H, W) boundary map."""
    if divergence == 'bernoulli':
        follow_rows, tables = _follow_bernoulli, _bernoulli_tables(probs)
    else:
        follow_rows, tables = _follow_jensen_shannon, _jensen_shannon_tables(probs)
    edges = np.ascontiguousarray(boundary.numpy())
    ring = ring_minimum(edges)
    vdc = van_der_corput_table(max(edges.shape))
    follow = np.empty(edges.size, dtype=np.int64)

    def kernel(stripe: int, stripes: int) -> None:
        follow_rows(*tables, edges, ring, threshold, line == 'tree', vdc, stripe,
                    stripes, follow)

    run_stripes(kernel)
    labels = np.empty_like(follow)
    _label_roots(follow, labels)
    return torch.from_numpy(labels)


def _bernoulli_tables(probs: Tensor) -> Tuple[np.ndarray, ...]:
    """Clamped probabilities, their entropies, top class, roots for the bounds."""
    top = probs.argmax(0)
    clamped = probs.clamp(P_MIN, P_MAX).contiguous()
    return (clamped.numpy(), binary_entropy(clamped.double()).numpy(),
            top.numpy(), clamped.sqrt().float().numpy(),
            (1 - clamped).sqrt().float().numpy())


def _jensen_shannon_tables(probs: Tensor) -> Tuple[np.ndarray, ...]:
    """Probabilities with the classes last, their roots and sums for the bounds."""
    rows = probs.t().clamp(min=JS_EPS).contiguous()
    return (rows.numpy(), rows.sqrt().float().numpy(),
            rows.double().sum(1).numpy())
