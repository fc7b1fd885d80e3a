"""How much two pixels disagree about their class (RANet, E_ij).

* ``bernoulli`` (the released system, our default): with c the most probable
  class of the START pixel i, p = P[c, i] and q = P[c, j], both clamped to
  [0.001, 0.99], and m = (p + q) / 2::

      E_ij = 1/2 [p ln(p/m) + (1-p) ln((1-p)/(1-m))
                  + q ln(q/m) + (1-q) ln((1-q)/(1-m))]

  in nats, so 0 <= E <= ln 2; not symmetric, because c belongs to i. The
  gradient is exact: dE/dp = (logit p - logit m) / 2, zero outside the clamp.
* ``jensen_shannon`` (the paper): the same sum over all classes, symmetric.

Shapes: C classes, N positions, M pairs.
"""

import torch
from torch import Tensor

DIVERGENCES = ('bernoulli', 'jensen_shannon')
P_MIN, P_MAX = 0.001, 0.99
#: Keeps the logarithm and its gradient finite where a softmax underflows.
JS_EPS = 1e-12


def binary_entropy(p: Tensor) -> Tensor:
    """Return -p ln p - (1-p) ln(1-p) for p strictly between 0 and 1."""
    return -(p * p.log() + (1 - p) * torch.log1p(-p))


def bernoulli_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Return the Jensen-Shannon divergence of two Bernoulli variables, in nats.

    Args:
        p: Probabilities of any shape; clamped to [0.001, 0.99].
        q: Likewise, broadcastable to p.
    """
    p, q = p.clamp(P_MIN, P_MAX), q.clamp(P_MIN, P_MAX)
    m = (p + q) / 2
    mixed = binary_entropy(m) - (binary_entropy(p) + binary_entropy(q)) / 2
    return mixed.clamp(min=0)


def jensen_shannon_divergence(p: Tensor, q: Tensor, dim: int = 0) -> Tensor:
    """Return the Jensen-Shannon divergence over axis ``dim``, in nats."""
    p, q = p.clamp(min=JS_EPS), q.clamp(min=JS_EPS)
    u = ((p + q) / 2).log()
    terms = p * (p.log() - u) + q * (q.log() - u)
    return (terms.sum(dim) / 2).clamp(min=0)


def pair_divergence(probs: Tensor, start: Tensor, end: Tensor,
                    kind: str = 'bernoulli') -> Tensor:
    """Return E for given pairs of pixels of one map.

    Args:
        probs: (C, N) class probabilities.
        start: (M,) int64 positions i.
        end: (M,) int64 positions j.
        kind: ``'bernoulli'`` or ``'jensen_shannon'``.

    Returns:
        (M,) tensor, differentiable in ``probs``.
    """
    if kind == 'bernoulli':
        top = probs.argmax(0)[start]
        return bernoulli_divergence(probs[top, start], probs[top, end])
    return jensen_shannon_divergence(probs[:, start], probs[:, end])
