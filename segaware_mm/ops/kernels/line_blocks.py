"""The boundary on lines, for blocks of pairs with one displacement (RANet, D).

The samples of all lines from a pixel i to j = i + (dy, dx) lie at the same
offsets from i in the raster, with the same weights, so the maximum is taken
over a block of consecutive i in vector instructions. ``edges`` is a padded
raster; ``start`` counts from its first element.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model='numpy')
def interpolated_offsets(dy, dx, width, lower, upper, weight):
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
def tree_offsets(dy, dx, width, vdc, there, back):
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
def _larger(edges, a, b, c, d, w0, w1, w2, w3, old, new, length):
    """new = max(old, sample of taps a and b, sample of taps c and d)."""
    for k in range(np.uint64(length)):
        u = w0 * edges[a + k] + w1 * edges[b + k]
        v = w2 * edges[c + k] + w3 * edges[d + k]
        v = v if v > u else u
        u = old[k]
        new[k] = v if v > u else u


@njit(cache=True, nogil=True, error_model='numpy')
def max_block(edges, lower, upper, weight, n, start, length, best, other):
    """D of the pairs from start + k, as in :func:`argmax_block`.

    Two samples at a time, from one array to the other: into one array the
    compiler would make it a conditional store, which is not vectorised.
    """
    kind = best.dtype.type
    for k in range(np.uint64(length)):
        best[k] = kind(0)
    for t in range(1, n, 4):
        t1, t2, t3 = min(t + 1, n - 1), min(t + 2, n - 1), min(t + 3, n - 1)
        _larger(edges, np.uint64(start + lower[t]), np.uint64(start + upper[t]),
                np.uint64(start + lower[t1]), np.uint64(start + upper[t1]),
                kind(1. - weight[t]), kind(weight[t]), kind(1. - weight[t1]),
                kind(weight[t1]), best, other, length)
        _larger(edges, np.uint64(start + lower[t2]), np.uint64(start + upper[t2]),
                np.uint64(start + lower[t3]), np.uint64(start + upper[t3]),
                kind(1. - weight[t2]), kind(weight[t2]), kind(1. - weight[t3]),
                kind(weight[t3]), other, best, length)


@njit(cache=True, nogil=True, error_model='numpy')
def argmax_block(edges, lower, upper, weight, n, start, length, best, first,
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
def scatter_edges(first, last, lower, upper, weight, to_first, to_last, start,
                   length, grad):
    """Hand the gradients of D to the two taps of the winning samples."""
    for k in range(length):
        f, g, i = first[k], last[k], start + k
        # No sample is above 0; or no pair, whose line may leave the map.
        if f == 0 or (to_first[k] == 0 and to_last[k] == 0):
            continue
        if f == g:
            both = to_first[k] + to_last[k]
            rest = weight[f] * both
            grad[i + lower[f]] += both - rest
            grad[i + upper[f]] += rest
            continue
        rest = weight[f] * to_first[k]
        grad[i + lower[f]] += to_first[k] - rest
        grad[i + upper[f]] += rest
        rest = weight[g] * to_last[k]
        grad[i + lower[g]] += to_last[k] - rest
        grad[i + upper[g]] += rest
