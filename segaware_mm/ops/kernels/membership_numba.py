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

from typing import Any, Tuple

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..divergence import JS_EPS, P_MAX, P_MIN, binary_entropy
from .divergence_blocks import (
    bernoulli_block,
    differ,
    jensen_shannon_block,
    scatter_bernoulli,
    scatter_jensen_shannon,
)
from .line_blocks import (
    argmax_block,
    interpolated_offsets,
    max_block,
    scatter_edges,
    tree_offsets,
)
from .regions_numba import van_der_corput_table
from .threads import run_stripes

#: Pixels of a block: short, so that few pairs of other regions ride along.
BLOCK = 64
#: Pixels that the compiler's unrolled vector loops take at a time.
VECTOR = 32


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
def _live_pairs(labels, columns, width, dx, shift, start, length, live):
    """Mark the pairs of the block that are of one region and on the map."""
    a, b = labels[start:start + length], labels[start + shift:start + shift + length]
    column = columns[start:start + length]
    for k in range(np.uint64(length)):
        end = column[k] + np.int32(dx)
        live[k] = (a[k] == b[k]) & (end >= 0) & (end < np.int32(width))


@njit(cache=True, nogil=True, error_model='numpy')
def _add_similarity(live, best, divergence, out):
    """Add F = (1 - D) (1 - E) of the live pairs."""
    one = best.dtype.type(1.)
    for k in range(np.uint64(len(out))):
        f = (one - best[k]) * (one - divergence[k])
        out[k] += f if live[k] else best.dtype.type(0)


@njit(cache=True, nogil=True, error_model='numpy')
def _shares(live, share, best, divergence, to_edges, to_classes):
    """Gradients of share * F by D and by E; 0 for the other pairs."""
    kind = best.dtype.type
    one, nothing = kind(1.), kind(0.)
    for k in range(np.uint64(len(share))):
        g = kind(-share[k])
        to_edges[k] = g * (one - divergence[k]) if live[k] else nothing
        to_classes[k] = g * (one - best[k]) if live[k] else nothing


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
    spare, live = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
    to_d, to_e = np.empty(BLOCK, kind), np.empty(BLOCK, kind)
    to_d_back, to_e_back = np.empty(BLOCK, kind), np.empty(BLOCK, kind)
    zeros, spare_d = np.zeros(BLOCK, kind), np.empty(BLOCK, kind)
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
                tree_offsets(dy, dx, width, vdc, lower, upper)
            else:
                interpolated_offsets(dy, dx, width, lower, upper, weight)
            for block in range(0, total - shift, BLOCK):
                start, stop = _wanted_span(
                    labels, columns, width, dx, shift, block,
                    min(block + BLOCK, total - shift))
                length = stop - start
                if length <= 0:
                    continue
                at = start + width  # the padding of edges
                # Whole vectors: a remainder would run one by one.
                wide = (length + VECTOR - 1) // VECTOR * VECTOR
                if tree and backward:
                    argmax_block(edges, lower, lower, nothing, n, at, wide,
                                 best, first, spare)
                    argmax_block(edges, upper, upper, nothing, n, at, wide,
                                 back, last, spare)
                elif tree:
                    max_block(edges, lower, lower, nothing, n, at, wide, best,
                              spare_d)
                    max_block(edges, upper, upper, nothing, n, at, wide, back,
                              spare_d)
                elif backward:
                    argmax_block(edges, lower, upper, weight, n, at, wide,
                                 best, first, last)
                else:
                    max_block(edges, lower, upper, weight, n, at, wide, best,
                              spare_d)
                one_way = True
                if bernoulli:
                    top_i, top_j = top[start:stop], top[start + shift:stop + shift]
                    bernoulli_block(probs, entropy, top_i, shift, start, length,
                                    arg, log, bits, e_there, m_there)
                    one_way = not differ(top_i, top_j, length)
                    if not one_way:
                        bernoulli_block(probs, entropy, top_j, shift, start,
                                        length, arg, log, bits, e_back, m_back)
                else:
                    jensen_shannon_block(probs, labels, shift, start, length,
                                         e_there)
                _live_pairs(labels, columns, width, dx, shift, start, length, live)
                e_other = e_there if one_way else e_back
                d_other = back if tree else best
                end = start + shift
                if not backward:
                    _add_similarity(live, best, e_there, sums[start:stop])
                    _add_similarity(live, d_other, e_other, sums[end:end + length])
                    continue
                _shares(live, share[start:stop], best, e_there, to_d, to_e)
                _shares(live, share[end:end + length], d_other, e_other,
                        to_d_back, to_e_back)
                if n > 1 and tree:
                    scatter_edges(first, first, lower, lower, nothing, to_d, zeros,
                                  start, length, grad_edges)
                    scatter_edges(last, last, upper, upper, nothing, to_d_back,
                                  zeros, start, length, grad_edges)
                elif n > 1:
                    scatter_edges(first, last, lower, upper, weight, to_d,
                                  to_d_back, start, length, grad_edges)
                if not bernoulli:
                    for k in range(length):
                        if live[k]:
                            scatter_jensen_shannon(
                                probs, free, start + k, end + k,
                                to_e[k] + to_e_back[k], grad_probs)
                    continue
                if one_way:
                    for k in range(length):
                        to_e[k] += to_e_back[k]
                scatter_bernoulli(probs, logit, top_i, m_there, to_e, shift, start,
                                  length, grad_probs)
                if not one_way:
                    scatter_bernoulli(probs, logit, top_j, m_back, to_e_back, shift,
                                      start, length, grad_probs)


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
    # Padding on both sides: blocks run over the ends of rows and of the map.
    edges = torch.nn.functional.pad(boundary.flatten(), (width, width + VECTOR))
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
    classes = class_sums.sum(0)
    classes[~arguments[9]] = 0
    return edge_sums.sum(0), classes


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
