"""Attention over the positions of a map, and its densification.

Hong, Oh, Lee, Han, "Learning Transferrable Knowledge for Semantic Segmentation with
Deep Convolutional Neural Network" (CVPR 2016)::

    alpha = softmax(e)                  position_softmax
    z     = sum_i alpha_i a_i           attended_feature
    s_i   = <a_i, z>                    similarity_map
    s     = A^T A alpha                 densify: the last two, one after the other

Attention is peaky; s is how much every position resembles what is attended to, so
that all of an object lights up, not its most telling part alone. A^T A, the N x N
table of all pairs, is never built: memory and time are O(C N).

Shapes: B batch, C channels, H x W map of N positions, a_i the feature (C,) of
position i, A = (a_1 .. a_N).
"""

import math
from typing import Optional

import torch
from torch import Tensor

from .checks import check_same, check_tensor
from .local_checks import check_device, check_map
from .precision import no_autocast, wide_dtype


def densify(features: Tensor, attention: Tensor) -> Tensor:
    """Return s = A^T A alpha: how much every position resembles the attended ones.

    Linear in the attention, with d s / d alpha = A^T A; exact gradients to both.
    Twice the features give four times the map.

    Args:
        features: (B, C, H, W).
        attention: (B, 1, H, W); any weights, those of a softmax or of one position.

    Returns:
        (B, 1, H, W), float64 if an input is, else float32, also under autocast:
        squares of half-precision features do not fit into half precision.

    Raises:
        TypeError, ValueError: A wrong shape, dtype or device; the message names
            the argument.
    """
    return similarity_map(features, attended_feature(features, attention))


def attended_feature(features: Tensor, attention: Tensor) -> Tensor:
    """Return z = sum_i alpha_i a_i.

    Args:
        features: (B, C, H, W).
        attention: (B, 1, H, W).

    Returns:
        (B, C), float64 if an input is, else float32.

    Raises:
        TypeError, ValueError: As :func:`densify`.
    """
    check_map('features', features, '(B, C, H, W)')
    check_tensor('attention', attention, '(B, 1, H, W)', 4)
    check_same('attention', attention.shape, f'features {tuple(features.shape)}',
               (len(features), 1, *features.shape[2:]))
    check_device('attention', attention, 'features', features)
    wide = wide_dtype(features, attention)
    with no_autocast(features.device):
        rows = features.to(wide).flatten(2)
        return torch.bmm(rows, attention.to(wide).flatten(2).transpose(1, 2))[..., 0]


def similarity_map(features: Tensor, vector: Tensor) -> Tensor:
    """Return s_i = <a_i, z>.

    Args:
        features: (B, C, H, W).
        vector: (B, C), z.

    Returns:
        (B, 1, H, W), float64 if an input is, else float32.

    Raises:
        TypeError, ValueError: As :func:`densify`.
    """
    check_map('features', features, '(B, C, H, W)')
    check_tensor('vector', vector, '(B, C)', 2)
    check_same('vector', vector.shape, f'features {tuple(features.shape)}',
               features.shape[:2])
    check_device('vector', vector, 'features', features)
    wide = wide_dtype(features, vector)
    with no_autocast(features.device):
        out = torch.bmm(vector.to(wide)[:, None], features.to(wide).flatten(2))
    return out.view(len(features), 1, *features.shape[2:])


def position_softmax(logits: Tensor, valid: Optional[Tensor] = None) -> Tensor:
    """Return the softmax over the positions of every map.

    Args:
        logits: (B, 1, H, W).
        valid: (B, 1, H, W) or (1, 1, H, W) bool: positions that may be attended
            to, such as those of an image inside its padding; all where None. The
            others get 0, whatever their logits, and no gradient.

    Returns:
        (B, 1, H, W), float64 if the logits are, else float32, also under autocast.
        Each map sums to 1, or is 0 where it has no valid position.

    Raises:
        TypeError, ValueError: A wrong shape, dtype or device; the message names
            the argument.
    """
    check_map('logits', logits, '(B, 1, H, W)')
    check_same('logits', logits.shape, 'one map an image',
               (len(logits), 1, *logits.shape[2:]))
    flat = logits.to(wide_dtype(logits)).flatten(1)
    if valid is None:
        with no_autocast(logits.device):
            return flat.softmax(1).view(logits.shape)
    if not isinstance(valid, Tensor) or valid.dtype != torch.bool:
        raise TypeError('valid must be a bool tensor, got '
                        f'{getattr(valid, "dtype", type(valid).__name__)}.')
    if valid.shape != (1, *logits.shape[1:]):
        check_same('valid', valid.shape, f'logits {tuple(logits.shape)}', logits.shape)
    check_device('valid', valid, 'logits', logits)
    outside = ~valid.flatten(1).expand(len(logits), -1)
    # A row of -inf alone would be NaN, forward and backward.
    nowhere = outside.all(1, keepdim=True)
    with no_autocast(logits.device):
        flat = flat.masked_fill(outside & ~nowhere, -math.inf)
        flat = flat.masked_fill(outside & nowhere, 0)
        return flat.softmax(1).masked_fill(outside, 0).view(logits.shape)
