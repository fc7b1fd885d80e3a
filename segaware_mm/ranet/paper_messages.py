"""Messages of the RANet paper: regions talk through their representatives.

With A the feature, J the membership, phi(R_q) the representatives of region q::

    A^l_p = J_p A_p + sum_{i in R_q \\ phi} softmax_i(s A_p . J_i A_i) J_i A_i
    A^g_p = J_p A^l_p + sum over representatives i of other regions of
            softmax_i(s A^l_p . J_i A^l_i) J_i A^l_i
    O_i   = J_i A_i + sum_{k in phi(R_q)} softmax_k(s A_i . J_k A^g_k) J_k A^g_k

for p in phi(R_q) and i in R_q. An empty set drops its sum. The softmax of A^g
runs over all foreign representatives ('joint') or over each foreign region
('per_region', as printed).

Every pixel meets only the K representatives of its region, so the local steps
cost K * N * M; they loop over the K places. Images are laid end to end, with
regions numbered through the batch.
"""

from typing import Callable, List, Tuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .representatives import gather_positions, pad_representatives

Between = Callable[[Tensor, Tensor], Tensor]
#: Representatives compared with all others at a time.
ROWS = 1024


def exchange(feature: Tensor, membership: Tensor, labels: Tensor,
             representatives: List[Tensor], scale: float, global_norm: str,
             after_collect: Between, after_interact: Between) -> Tensor:
    """Return O (B, N, M).

    Args:
        feature: A (B, N, M). membership: (B, N). labels: (B, N).
        representatives: One index tensor an image.
        scale: Factor of the scores.
        global_norm: 'joint' or 'per_region'.
        after_collect, after_interact: Maps (B, R, M), mask (B, R) to (B, R, M).
    """
    batch, n, channels = feature.shape
    indices, real = pad_representatives(representatives)
    weight = membership.unsqueeze(2)
    message = feature * weight  # J A

    # Regions of the whole batch, and the table (regions, K) of representatives.
    counts = labels.max(1)[0] + 1
    region = (labels + (counts.cumsum(0) - counts).unsqueeze(1)).flatten()
    base = torch.arange(batch, device=labels.device).unsqueeze(1) * n
    pixels = (indices + base)[real]  # (all representatives,)
    table, filled = _representative_table(region[pixels], pixels,
                                          int(counts.sum()))

    rows, messages = feature.reshape(-1, channels), message.reshape(-1, channels)
    is_representative = torch.zeros(batch * n, dtype=torch.bool,
                                    device=labels.device)
    is_representative[pixels] = True
    local = messages[pixels] + _collect(rows, messages, region,
                                        ~is_representative, table, filled,
                                        pixels, scale)
    local = after_collect(_scatter(local, real), real)

    own_weight = gather_positions(weight, indices)
    own_region = labels.gather(1, indices)
    whole = local * own_weight + torch.stack([
        _interact(a, w, q, m, scale, global_norm)
        for a, w, q, m in zip(local, own_weight, own_region, real)
    ])
    whole = after_interact(whole, real)

    # Message of every representative, found by its pixel.
    handed = messages.new_zeros(messages.shape)
    handed[pixels] = (whole * own_weight)[real]
    out = messages + _distribute(rows, handed, region, table, filled, scale)
    return out.view(batch, n, channels)


def _scatter(values: Tensor, real: Tensor) -> Tensor:
    """Lay (all representatives, M) out as (B, R, M), zeros elsewhere."""
    out = values.new_zeros(real.shape + values.shape[1:])
    out[real] = values
    return out


def _representative_table(regions: Tensor, pixels: Tensor,
                          count: int) -> Tuple[Tensor, Tensor]:
    """Return pixels (count, K) of every region's representatives, and which
    places are filled. ``regions`` holds the region of every pixel given."""
    order = regions.argsort(stable=True)
    ordered = regions[order]
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(
        ordered, ordered, right=False)
    width = int(rank.max()) + 1
    table = regions.new_zeros(count, width)
    filled = torch.zeros(count, width, dtype=torch.bool, device=regions.device)
    table[ordered, rank] = pixels[order]
    filled[ordered, rank] = True
    return table, filled


def _maybe_checkpoint(function: Callable, *args: Tensor) -> Tensor:
    """Recompute in the backward pass: K temporaries of N x M are too many."""
    if torch.is_grad_enabled():
        return checkpoint(function, *args, use_reentrant=False)
    return function(*args)


def _collect(rows: Tensor, messages: Tensor, region: Tensor, speaks: Tensor,
             table: Tensor, filled: Tensor, pixels: Tensor,
             scale: float) -> Tensor:
    """Sum over the region's other pixels, (all representatives, M)."""
    speakers = speaks.nonzero().squeeze(1)
    out = rows.new_zeros(rows.shape)
    if len(speakers) == 0:
        return out[pixels]
    of = region[speakers]

    def one_place(rows: Tensor, messages: Tensor, listener: Tensor) -> Tensor:
        said = messages[speakers]
        score = (rows[listener[of]] * said).sum(1) * scale
        top = score.new_full((len(listener), ), -torch.inf).scatter_reduce(
            0, of, score.detach(), 'amax')
        weight = (score - top[of]).exp()
        total = weight.new_zeros(len(listener)).index_add(0, of, weight)
        weight = weight / total[of]
        return said.new_zeros(len(listener), said.shape[1]).index_add(
            0, of, weight.unsqueeze(1) * said)

    for place in range(table.shape[1]):
        got = _maybe_checkpoint(one_place, rows, messages, table[:, place])
        keep = filled[:, place]
        out = out.index_add(0, table[keep, place], got[keep])
    return out[pixels]


def _interact(local: Tensor, weight: Tensor, region: Tensor, real: Tensor,
              scale: float, global_norm: str) -> Tensor:
    """Sum over foreign representatives of one image, (R, M)."""
    message = local * weight

    def some_rows(queries: Tensor, own: Tensor, local_message: Tensor) -> Tensor:
        foreign = (own[:, None] != region[None, :]) & real[None, :]
        score = (queries @ local_message.t()) * scale
        score = score.masked_fill(~foreign, -torch.inf)
        if global_norm == 'joint':
            # A row without foreigners is all -inf; its softmax is dropped.
            top = score.detach().amax(1, keepdim=True).clamp(min=-3e38)
            share = (score - top).exp()
            total = share.sum(1, keepdim=True)
        else:
            groups = region.expand(len(queries), -1)
            count = int(region.max()) + 1
            top = score.new_full((len(queries), count), -torch.inf)
            top = top.scatter_reduce(1, groups, score.detach(), 'amax')
            top = top.clamp(min=-3e38).gather(1, groups)
            share = (score - top).exp()
            total = share.new_zeros(len(queries), count).scatter_add(
                1, groups, share).gather(1, groups)
        share = share / total.clamp(min=torch.finfo(share.dtype).tiny)
        return share.masked_fill(~foreign, 0.) @ local_message

    return torch.cat([
        _maybe_checkpoint(some_rows, local[k:k + ROWS], region[k:k + ROWS],
                          message) for k in range(0, len(local), ROWS)
    ])


def _distribute(rows: Tensor, handed: Tensor, region: Tensor, table: Tensor,
                filled: Tensor, scale: float) -> Tensor:
    """Sum over the own region's representatives, (B*N, M)."""

    def scores(rows: Tensor, handed: Tensor, place: Tensor) -> Tensor:
        return (rows * handed[place[region]]).sum(1) * scale

    def messages(share: Tensor, handed: Tensor, place: Tensor) -> Tensor:
        return share.unsqueeze(1) * handed[place[region]]

    places = table.unbind(1)
    score = torch.stack(
        [_maybe_checkpoint(scores, rows, handed, place) for place in places], 1)
    # A region may have lost its representatives to a cap: then nothing comes.
    heard = filled[region]
    share = score.masked_fill(~heard, -3e38).softmax(1) * heard
    out = rows.new_zeros(rows.shape)
    for k, place in enumerate(places):
        out = out + _maybe_checkpoint(messages, share[:, k], handed, place)
    return out
