"""Divergence and its gradient, for blocks of pairs with one displacement (RANet, E).

The pairs are (start + k, start + k + shift). Loops over one class run along
its row in vector instructions; a block of several classes goes pixel by pixel.
"""

import math

import numpy as np
from numba import njit

from .log_numba import log_rows


@njit(cache=True, nogil=True, error_model='numpy')
def _uniform(values, length):
    for k in range(1, length):
        if values[k] != values[0]:
            return False
    return True


@njit(cache=True, nogil=True, error_model='numpy')
def _means(a, b, out):
    half = out.dtype.type(.5)
    for k in range(np.uint64(len(a))):
        out[k] = half * (a[k] + b[k])


@njit(cache=True, nogil=True, error_model='numpy')
def bernoulli_block(probs, entropy, classes, shift, start, length, arg, log,
                     bits, e, logit):
    """E and logit m of the pairs (start + k, start + k + shift).

    ``classes[k]`` is the class that decides: the top class of the start for
    E_ij, of the end for E_ji.
    """
    half = probs.dtype.type(.5)
    one = probs.dtype.type(1.)
    if _uniform(classes, length):
        c, end = classes[0], start + shift
        _means(probs[c, start:start + length], probs[c, end:end + length], arg)
        _means(entropy[c, start:start + length], entropy[c, end:end + length], e)
        logit[:length] = probs[c, start:start + length]
    else:
        for k in range(length):
            i, c = start + k, classes[k]
            arg[k] = half * (probs[c, i] + probs[c, i + shift])
            e[k] = half * (entropy[c, i] + entropy[c, i + shift])
            logit[k] = probs[c, i]
    for k in range(length):
        arg[length + k] = one - arg[k]
    log_rows(arg[:2 * length], log[:2 * length], bits[:2 * length])
    for k in range(length):
        m, own = arg[k], logit[k]
        mixed = -(m * log[k] + (one - m) * log[length + k]) - e[k]
        mixed = mixed if mixed > 0 else mixed * 0
        e[k] = mixed if m != own else mixed * 0
        logit[k] = log[k] - log[length + k]


@njit(cache=True, nogil=True, error_model='numpy')
def differ(a, b, length):
    for k in range(length):
        if a[k] != b[k]:
            return True
    return False


@njit(cache=True, nogil=True, error_model='numpy')
def jensen_shannon_block(probs, labels, shift, start, length, e):
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


@njit(cache=True, nogil=True, error_model='numpy')
def _add_bernoulli_row(probs, logit, middle, share, shift, start, length, at, grad):
    """Add share * dE / dP at the pixels start + at + k; all of one class.

    probs, logit, grad are rows of that class. dE / dP_i = (logit i - logit m) / 2,
    and 0 where both probabilities agree.
    """
    p, q = probs[start:start + length], probs[start + shift:start + shift + length]
    own = logit[start + at:start + at + length]
    out = grad[start + at:start + at + length]
    half = probs.dtype.type(.5)
    for k in range(np.uint64(length)):
        step = share[k] * half * (own[k] - middle[k])
        # Without a share a NaN must not arrive.
        out[k] += step if (p[k] != q[k]) & (share[k] != 0) else half * 0


@njit(cache=True, nogil=True, error_model='numpy')
def scatter_bernoulli(probs, logit, classes, middle, share, shift, start, length,
                       grad):
    """Add share * dE / dP of one direction to both pixels of every pair."""
    if _uniform(classes, length):
        c = classes[0]
        for at in (0, shift):
            _add_bernoulli_row(probs[c], logit[c], middle, share, shift, start,
                               length, at, grad[c])
        return
    half = probs.dtype.type(.5)
    for k in range(length):
        c, i, j = classes[k], start + k, start + k + shift
        if probs[c, i] != probs[c, j] and share[k] != 0:
            grad[c, i] += share[k] * half * (logit[c, i] - middle[k])
            grad[c, j] += share[k] * half * (logit[c, j] - middle[k])


@njit(cache=True, nogil=True, error_model='numpy')
def scatter_jensen_shannon(probs, free, i, j, value, grad):
    for c in range(probs.shape[1]):
        p, q = probs[i, c], probs[j, c]
        if p == q:
            continue
        m = (p + q) / 2
        if free[i, c]:
            grad[i, c] += value * .5 * math.log(p / m)
        if free[j, c]:
            grad[j, c] += value * .5 * math.log(q / m)
