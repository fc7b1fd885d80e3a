"""Membership on the CPU: displacement by displacement, forward and backward.

Fix a displacement (dy, dx). The samples of all lines from a pixel i to
j = i + (dy, dx) lie at the same offsets from i in the raster, with the same
weights, so the maximum is taken over a block of consecutive i in vector
instructions. Blocks without a pair of one region are skipped, and each
unordered pair is visited once. A few i of a block have their j in the next
row; their values are computed with the rest and not used.

Nothing of size N^2 exists: the forward pass keeps sums of N, the backward pass
recomputes the lines, remembers which sample won, and scatters into gradients
of N (boundary) and C*N (classes), one copy a thread.

On equal maxima the first one seen from the start of a line gets the gradient;
a symmetric line walked once therefore remembers its first and last winner.
"""

import math
from typing import Any, Tuple

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..divergence import JS_EPS, P_MAX, P_MIN, binary_entropy
from .log_numba import log_rows
from .regions_numba import van_der_corput_table
from .threads import run_stripes

#: Pixels of a block: short, so that few pairs of other regions ride along.
BLOCK = 64


@njit(cache=True, nogil=True, error_model='numpy')
def _interpolated_offsets(dy, dx, width, lower, upper, weight):
    """Raster offsets of the two taps of every sample, and the upper's weight."""
    x_major = abs(dx) >= abs(dy)
    major, minor = (dx, dy) if x_major else (dy, dx)
    n = abs(major)
    for t in range(1, n):
        along = t if major > 0 else -t
        low = (t * minor) // n
        rest = t * minor - low * n
        high = low + 1 if rest else low
        lower[t] = low * width + along if x_major else along * width + low
        upper[t] = high * width + along if x_major else along * width + high
        weight[t] = rest / n


@njit(cache=True, nogil=True, error_model='numpy')
def _tree_offsets(dy, dx, width, vdc, there, back):
    """Raster offsets of the samples of the line to (dy, dx) and of its return,
    both from the start of the former; sample t is t steps from its own start."""
    x_major = abs(dx) >= abs(dy)
    n, m = (abs(dx), abs(dy)) if x_major else (abs(dy), abs(dx))
    sign_y, sign_x = (1 if dy > 0 else -1), (1 if dx > 0 else -1)
    while n > 1:
        if m > n * vdc[n]:
            m -= 1
        n -= 1
        oy, ox = (m, n) if x_major else (n, m)
        there[n] = sign_y * oy * width + sign_x * ox
        back[n] = dy * width + dx - there[n]


@njit(cache=True, nogil=True, error_model='numpy')
def _wanted_span(labels, columns, width, dx, shift, start, stop):
    """First and one past the last i in the block that has a pair of one region."""
    for first in range(start, stop):
        if labels[first] == labels[first + shift] and \
                0 <= columns[first] + dx < width:
            for last in range(stop - 1, first - 1, -1):
                if labels[last] == labels[last + shift] and \
                        0 <= columns[last] + dx < width:
                    return first, last + 1
    return stop, start


@njit(cache=True, nogil=True, error_model='numpy')
def _argmax_block(edges, lower, upper, weight, n, start, length, best, first,
                  last):
    """D of the pairs from start + k, and the first and last sample that attains it.

    ``edges`` is padded, and start counts from its first element. Unsigned
    indices spare the test for negative ones.
    """
    size = np.uint64(length)
    kind = best.dtype.type
    for k in range(size):
        best[k] = kind(0)
        first[k] = last[k] = np.int32(0)
    for t in range(1, n):
        a, b = np.uint64(start + lower[t]), np.uint64(start + upper[t])
        w0, w1 = kind(1. - weight[t]), kind(weight[t])
        step = np.int32(t)
        for k in range(size):
            v = w0 * edges[a + k] + w1 * edges[b + k]
            old = best[k]
            first[k] = step if v > old else first[k]
            last[k] = step if v >= old else last[k]
            best[k] = v if v > old else old


@njit(cache=True, nogil=True, error_model='numpy')
def _bernoulli_block(probs, entropy, classes, shift, start, length, arg, log,
                     bits, e, logit):
    """E and logit m of the pairs (start + k, start + k + shift).

    ``classes[k]`` is the class that decides: the top class of the start for
    E_ij, of the end for E_ji.
    """
    half = probs.dtype.type(.5)
    one = probs.dtype.type(1.)
    for k in range(length):
        i, c = start + k, classes[k]
        m = half * (probs[c, i] + probs[c, i + shift])
        arg[k] = m
        arg[length + k] = one - m
        e[k] = half * (entropy[c, i] + entropy[c, i + shift])
        logit[k] = probs[c, i]
    log_rows(arg[:2 * length], log[:2 * length], bits[:2 * length])
    for k in range(length):
        m, own = arg[k], logit[k]
        mixed = -(m * log[k] + (one - m) * log[length + k]) - e[k]
        mixed = mixed if mixed > 0 else mixed * 0
        e[k] = mixed if m != own else mixed * 0
        logit[k] = log[k] - log[length + k]


@njit(cache=True, nogil=True, error_model='numpy')
def _differ(a, b, length):
    for k in range(length):
        if a[k] != b[k]:
            return True
    return False


@njit(cache=True, nogil=True, error_model='numpy')
def _jensen_shannon_block(probs, labels, shift, start, length, e):
    """E_ij = E_ji of the pairs of one region; probs is (N, C)."""
    for k in range(length):
        i, j = start + k, start + k + shift
        if labels[i] != labels[j]:
            continue
        total = 0.
        for c in range(probs.shape[1]):
            p, q = probs[i, c], probs[j, c]
            if p != q:
                m = (p + q) / 2
                total += p * math.log(p / m) + q * math.log(q / m)
        e[k] = total / 2


@njit(cache=True, nogil=True, error_model='numpy', inline='always')
def _scatter_bernoulli(probs, logit, free, c, i, j, middle, value, grad):
    """Add value * dE/dP for one direction, class c of the start i."""
    if probs[c, i] == probs[c, j]:
        return
    if free[c, i]:
        grad[c, i] += value * .5 * (logit[c, i] - middle)
    if free[c, j]:
        grad[c, j] += value * .5 * (logit[c, j] - middle)


@njit(cache=True, nogil=True, error_model='numpy')
def _scatter_jensen_shannon(probs, free, i, j, value, grad):
    for c in range(probs.shape[1]):
        p, q = probs[i, c], probs[j, c]
        if p == q:
            continue
        m = (p + q) / 2
        if free[i, c]:
            grad[i, c] += value * .5 * math.log(p / m)
        if free[j, c]:
            grad[j, c] += value * .5 * math.log(q / m)


@njit(cache=True, nogil=True, error_model='numpy')
def _visit_pairs(height, width, edges, columns, labels, bernoulli, probs,
                 entropy, logit, free, top, tree, vdc, stripe, stripes, share,
                 backward, sums, grad_edges, grad_probs):
    """Visit this stripe's displacements.

    Forward: add F_ij to sums[i] and F_ji to sums[j]. Backward: scatter
    share[i] dF_ij + share[j] dF_ji into grad_edges (N) and grad_probs.
    """
    total = height * width
    kind = edges.dtype
    # One allocation each: LLVM vectorises only where it sees that they do not
    # overlap.
    best, back = np.empty(BLOCK, kind), np.empty(BLOCK, kind)
    e_there, e_back = np.empty(BLOCK, kind), np.empty(BLOCK, kind)
    m_there, m_back = np.empty(BLOCK, kind), np.empty(BLOCK, kind)
    arg, log = np.empty(2 * BLOCK, kind), np.empty(2 * BLOCK, kind)
    bits = np.empty(2 * BLOCK, np.int32)
    first, last = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
    spare = np.empty(BLOCK, np.int32)
    longest = max(height, width) + 1
    lower, upper = np.empty(longest, np.int64), np.empty(longest, np.int64)
    weight, nothing = np.zeros(longest), np.zeros(longest)
    turn = 0
    for dy in range(height):
        for dx in range(1 - width if dy else 1, width):
            turn += 1
            if turn % stripes != stripe:
                continue
            n = max(dy, abs(dx))
            shift = dy * width + dx
            if tree:
                _tree_offsets(dy, dx, width, vdc, lower, upper)
            else:
                _interpolated_offsets(dy, dx, width, lower, upper, weight)
            for block in range(0, total - shift, BLOCK):
                start, stop = _wanted_span(
                    labels, columns, width, dx, shift, block,
                    min(block + BLOCK, total - shift))
                length = stop - start
                if length <= 0:
                    continue
                at = start + width  # the padding of edges
                if tree:
                    _argmax_block(edges, lower, lower, nothing, n, at, length,
                                  best, first, spare)
                    _argmax_block(edges, upper, upper, nothing, n, at, length,
                                  back, last, spare)
                else:
                    _argmax_block(edges, lower, upper, weight, n, at, length,
                                  best, first, last)
                one_way = True
                if bernoulli:
                    top_i, top_j = top[start:stop], top[start + shift:stop + shift]
                    _bernoulli_block(probs, entropy, top_i, shift, start, length,
                                     arg, log, bits, e_there, m_there)
                    one_way = not _differ(top_i, top_j, length)
                    if not one_way:
                        _bernoulli_block(probs, entropy, top_j, shift, start,
                                         length, arg, log, bits, e_back, m_back)
                else:
                    _jensen_shannon_block(probs, labels, shift, start, length,
                                          e_there)
                for k in range(length):
                    i, j = start + k, start + k + shift
                    if labels[i] != labels[j] or \
                            not 0 <= columns[i] + dx < width:
                        continue
                    there = 1. - best[k]
                    here = 1. - back[k] if tree else there
                    e_ij = e_there[k]
                    e_ji = e_ij if one_way else e_back[k]
                    if not backward:
                        sums[i] += there * (1. - e_ij)
                        sums[j] += here * (1. - e_ji)
                        continue
                    g_i, g_j = share[i], share[j]
                    f, g = first[k], last[k]
                    d_i, d_j = -g_i * (1. - e_ij), -g_j * (1. - e_ji)
                    if tree:
                        if f:
                            grad_edges[i + lower[f]] += d_i
                        if g:
                            grad_edges[i + upper[g]] += d_j
                    elif f:
                        grad_edges[i + lower[f]] += (1. - weight[f]) * d_i
                        grad_edges[i + upper[f]] += weight[f] * d_i
                        grad_edges[i + lower[g]] += (1. - weight[g]) * d_j
                        grad_edges[i + upper[g]] += weight[g] * d_j
                    if bernoulli:
                        _scatter_bernoulli(probs, logit, free, top[i], i, j,
                                           m_there[k], -g_i * there,
                                           grad_probs)
                        middle = m_there[k] if one_way else m_back[k]
                        _scatter_bernoulli(probs, logit, free, top[j], j, i,
                                           middle, -g_j * here, grad_probs)
                    else:
                        _scatter_jensen_shannon(probs, free, i, j,
                                                -g_i * there - g_j * here,
                                                grad_probs)


def _tables(probs: Tensor, bernoulli: bool) -> Tuple[Tensor, ...]:
    """Clamped probabilities in the kernel's layout, entropies, logits, and
    where the clamp lets the gradient pass."""
    if bernoulli:
        clamped = probs.clamp(P_MIN, P_MAX).contiguous()
        free = ((probs >= P_MIN) & (probs <= P_MAX)).contiguous()
        return clamped, binary_entropy(clamped), torch.logit(clamped), free
    rows = probs.t()
    nothing = rows.new_zeros(1, 1)
    return (rows.clamp(min=JS_EPS).contiguous(), nothing, nothing,
            (rows >= JS_EPS).contiguous())


def _region_sizes(labels: Tensor) -> Tensor:
    """|R| of every pixel's region, (N,) float64."""
    return torch.bincount(labels)[labels].double()


def _kernel_arguments(probs: Tensor, boundary: Tensor, labels: Tensor,
                      bernoulli: bool, tree: bool) -> Tuple:
    """Arguments of _visit_pairs up to the stripe, for one image.

    Args:
        probs: (C, H, W). boundary: (H, W). labels: (N,).
    """
    height, width = boundary.shape
    flat = probs.flatten(1)
    table, entropy, logit, free = _tables(flat, bernoulli)
    # One row of padding on both sides: blocks run over the ends of rows.
    edges = torch.nn.functional.pad(boundary.flatten(), (width, width))
    columns = np.tile(np.arange(width, dtype=np.int32), height)
    return (height, width, edges.numpy(), columns, labels.int().numpy(),
            bernoulli, table.numpy(), entropy.numpy(), logit.numpy(),
            free.numpy(), flat.argmax(0).int().numpy(), tree,
            van_der_corput_table(max(height, width)))


def _sum_similarities(arguments: Tuple) -> np.ndarray:
    """Sum of F_ij over the region of i, without j = i; (N,) float64."""
    count = arguments[0] * arguments[1]
    sums = np.zeros((max(1, torch.get_num_threads()), count))
    unused, no_classes = np.zeros(1), arguments[6][:1, :1].copy()

    def kernel(stripe: int, stripes: int) -> None:
        _visit_pairs(*arguments, stripe, stripes, unused, False, sums[stripe],
                     unused, no_classes)

    run_stripes(kernel)
    return sums.sum(0)


def _scatter_gradients(arguments: Tuple,
                       share: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Gradients of sum_i share[i] sum_j F_ij: (N,) and the layout of the classes."""
    table = arguments[6]
    threads = max(1, torch.get_num_threads())
    edge_sums = np.zeros((threads, share.shape[0]))
    class_sums = np.zeros((threads, ) + table.shape, dtype=table.dtype)

    def kernel(stripe: int, stripes: int) -> None:
        _visit_pairs(*arguments, stripe, stripes, share, True, edge_sums[stripe],
                     edge_sums[stripe], class_sums[stripe])

    run_stripes(kernel)
    return edge_sums.sum(0), class_sums.sum(0)


class _RegionMembership(torch.autograd.Function):
    """J of a batch; saves only the maps and the regions."""

    @staticmethod
    def forward(ctx: Any, probs: Tensor, boundary: Tensor, labels: Tensor,
                divergence: str, line: str) -> Tensor:
        ctx.save_for_backward(probs, boundary, labels)
        ctx.options = (divergence == 'bernoulli', line == 'tree')
        out = torch.empty(labels.shape, dtype=probs.dtype)
        for b in range(len(out)):
            sums = _sum_similarities(_kernel_arguments(
                probs[b], boundary[b], labels[b], *ctx.options))
            # F_ii = 1 is no pair of the kernel.
            total = torch.from_numpy(sums) + 1
            out[b] = (total / _region_sizes(labels[b])).to(out.dtype)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple:  # type: ignore[override]
        probs, boundary, labels = ctx.saved_tensors
        grad_probs, grad_boundary = (torch.empty_like(probs),
                                     torch.empty_like(boundary))
        for b in range(len(grad)):
            share = (grad[b].double() / _region_sizes(labels[b])).numpy()
            edges, classes = map(torch.from_numpy, _scatter_gradients(
                _kernel_arguments(probs[b], boundary[b], labels[b],
                                  *ctx.options), share))
            bernoulli = ctx.options[0]
            grad_probs[b] = (classes if bernoulli else classes.t()).view_as(probs[b])
            grad_boundary[b] = edges.view_as(boundary[b])
        return grad_probs, grad_boundary, None, None, None


def region_membership(probs: Tensor, boundary: Tensor, labels: Tensor,
                      divergence: str, line: str) -> Tensor:
    """Return J (B, N) of CPU tensors; differentiable once."""
    return _RegionMembership.apply(probs, boundary, labels, divergence, line)
