"""Messages of the released RANet: everybody talks to every representative.

With V the values, Qf the queries, J the membership, r the representatives::

    collect:     C = V[r] + softmax_N(s V[r] (V J)^T) V
    interact:    I = C + softmax_R(s C (C J_r)^T) C
    distribute:  X = Qf + softmax_R(s Qf (I J_r)^T) I

Keys are scaled by J, messages are not; s is 1 in the release. The attention is
torch's fused one, which keeps no R x N table where it can avoid it.
"""

from typing import Callable, List

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as attention

from .representatives import gather_positions, pad_representatives

Between = Callable[[Tensor, Tensor], Tensor]


def exchange(value: Tensor, query: Tensor, membership: Tensor,
             representatives: List[Tensor], scale: float,
             after_collect: Between, after_interact: Between) -> Tensor:
    """Return X (B, N, M).

    Args:
        value: (B, N, M). query: (B, N, M). membership: (B, N).
        representatives: One index tensor an image.
        scale: Factor of the scores.
        after_collect, after_interact: Maps (B, R, M), mask (B, R) to (B, R, M).
    """
    indices, real = pad_representatives(representatives)
    weight = membership.unsqueeze(2)
    own = gather_positions(value, indices)
    own_weight = gather_positions(weight, indices)

    collected = own + _attend(own, value * weight, value, None, scale)
    collected = after_collect(collected, real)
    # A padded place is never a key; (B, 1, R) lets every row see the real ones.
    keys = None if bool(real.all()) else real.unsqueeze(1)
    interacted = collected + _attend(collected, collected * own_weight,
                                     collected, keys, scale)
    interacted = after_interact(interacted, real)
    return query + _attend(query, interacted * own_weight, interacted, keys,
                           scale)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor,
            scale: float) -> Tensor:
    """Attention of one head; (B, rows, M) against (B, keys, M)."""
    if mask is not None:
        mask = mask.unsqueeze(1).expand(-1, 1, query.shape[1], -1)
    return attention(query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1),
                     attn_mask=mask, scale=scale).squeeze(1)
