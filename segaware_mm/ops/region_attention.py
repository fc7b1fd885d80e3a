"""RANet's region construction (Shen et al., "Ranet: Region Attention Network
for Semantic Segmentation", NeurIPS 2020), as pure functions.

From class probabilities P (C classes) and boundary probabilities B of a map of
H x W pixels (N = H*W positions in raster order, i a start, j an end)::

    D_ij = largest B strictly between i and j                     (ops.lines)
    E_ij = divergence of the classes of i and j                   (ops.divergence)
    F_ij = (1 - D_ij) (1 - E_ij),     G_ij = (F_ij + F_ji) / 2
    follow[p] = min {i <= p : G_pi > threshold}, p where there is none
    region of p = root of the chain p, follow[p], follow[follow[p]], ...
    J_i = mean of F_ij over the region of i (i itself included, F_ii = 1)

``boundary_between`` and ``semantic_divergence`` return dense (B, N, N) tables
and are meant for small maps. ``construct_regions`` and ``region_membership``
never build one: work is at worst N^2 (pairs) times the length of a line,
memory O(N * C). ``impl`` is ``'auto'``, ``'numba'`` (CPU), ``'torch'`` (any
device) or ``'reference'`` (slow, dense, float64-friendly). numba decides near-ties of
the threshold in float64, torch in the dtype of its input.
"""

import math
from typing import List

import torch
from torch import Tensor

from .checks import check_choice, check_number, check_same, check_tensor
from .divergence import DIVERGENCES, bernoulli_divergence, jensen_shannon_divergence
from .implementation import choose
from .lines import LINES, max_along_lines

#: How :func:`boundary_target` draws.
BOUNDARY_RULES = ('clean', 'released')
#: Values of ``impl``, beside 'auto'.
IMPLEMENTATIONS = ('numba', 'torch', 'reference')


def boundary_between(boundary: Tensor, line: str = 'interpolated') -> Tensor:
    """Return D: the largest boundary value strictly between every two pixels.

    Dense: for small maps. Equation: D_ij = max(B_{i<->j}) of RANet, with the
    released line rule (see :mod:`segaware_mm.ops.lines`).

    Args:
        boundary: (B, H, W) boundary probabilities in [0, 1].
        line: ``'interpolated'`` (symmetric) or ``'tree'`` (consistent digital
            rays from start to end, not symmetric).

    Returns:
        (B, N, N), start times end; 0 for a pixel and itself or a neighbour.

    Raises:
        TypeError, ValueError: ``boundary`` is not a floating (B, H, W) tensor,
            or ``line`` is unknown.
    """
    check_tensor('boundary', boundary, '(B, H, W)', 3)
    check_choice('line', line, LINES)
    batch, height, width = boundary.shape
    n = height * width
    every = torch.arange(n, device=boundary.device)
    start = every.repeat_interleave(n)
    end = every.repeat(n)
    tables = [
        max_along_lines(one, start, end, width, line).view(n, n)
        for one in boundary.reshape(batch, n)
    ]
    return torch.stack(tables) if tables else boundary.new_zeros(0, n, n)


def semantic_divergence(probs: Tensor, kind: str = 'bernoulli') -> Tensor:
    """Return E: how much every two pixels disagree about their class.

    Dense: for small maps. See :mod:`segaware_mm.ops.divergence` for the
    equations.

    Args:
        probs: (B, C, H, W) class probabilities.
        kind: ``'bernoulli'`` (released; row i uses the class of pixel i) or
            ``'jensen_shannon'`` (the paper; symmetric). Both in nats.

    Returns:
        (B, N, N), start times end, in [0, ln 2].

    Raises:
        TypeError, ValueError: ``probs`` is not a floating (B, C, H, W) tensor,
            or ``kind`` is unknown.
    """
    check_tensor('probs', probs, '(B, C, H, W)', 4)
    check_choice('kind', kind, DIVERGENCES)
    flat = probs.flatten(2)
    if kind == 'jensen_shannon':
        return jensen_shannon_divergence(flat.unsqueeze(3), flat.unsqueeze(2), 1)
    top = flat.argmax(1, keepdim=True)  # (B, 1, N)
    own = flat.gather(1, top).transpose(1, 2)  # (B, N, 1)
    others = flat.gather(1, top.transpose(1, 2).expand(-1, -1, flat.shape[2]))
    return bernoulli_divergence(own, others)


def _check_maps(probs: Tensor, boundary: Tensor, divergence: str,
                line: str) -> None:
    check_tensor('probs', probs, '(B, C, H, W)', 4)
    check_tensor('boundary', boundary, '(B, H, W)', 3)
    batch, classes, height, width = probs.shape
    check_same('boundary', boundary.shape, f'probs {tuple(probs.shape)}',
               (batch, height, width))
    if classes == 0 or height * width == 0:
        raise ValueError('probs must have at least one class and one pixel, '
                         f'got shape {tuple(probs.shape)}.')
    if probs.device != boundary.device:
        raise ValueError(f'boundary is on {boundary.device}, probs on '
                         f'{probs.device}; move one of them.')
    check_choice('divergence', divergence, DIVERGENCES)
    check_choice('line', line, LINES)


def _common_dtype(probs: Tensor, boundary: Tensor) -> torch.dtype:
    """float64 where one input is, else float32: half precision is too coarse."""
    wide = torch.float64 in (probs.dtype, boundary.dtype)
    return torch.float64 if wide else torch.float32


@torch.no_grad()
def construct_regions(probs: Tensor,
                      boundary: Tensor,
                      threshold: float = 0.8,
                      divergence: str = 'bernoulli',
                      line: str = 'interpolated',
                      impl: str = 'auto') -> Tensor:
    """Return the region of every pixel (RANet's Region Construction Block).

    A pixel follows the first pixel in raster order, itself included, that is
    similar to it (G > threshold); regions are the trees of that forest. They
    are not connected components, and a flipped image may give others.
    No gradient: regions are index sets.

    Args:
        probs: (B, C, H, W) class probabilities.
        boundary: (B, H, W) boundary probabilities.
        threshold: G must be larger than this; the released system uses 0.8.
        divergence: ``'bernoulli'`` or ``'jensen_shannon'``.
        line: ``'interpolated'`` or ``'tree'``.
        impl: ``'auto'``, ``'numba'``, ``'torch'`` or ``'reference'``.

    Returns:
        (B, N) int64, 0..Q-1 in the order of the regions' first pixels; Q is
        the image's own. A pixel with NaN follows nobody.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or choice; the
            message names the argument.
    """
    _check_maps(probs, boundary, divergence, line)
    check_number('threshold', threshold, -math.inf)
    dtype = _common_dtype(probs, boundary)
    probs, boundary = probs.detach().to(dtype), boundary.detach().to(dtype)
    if len(probs) == 0:
        return torch.zeros(boundary.flatten(1).shape, dtype=torch.int64,
                           device=probs.device)
    impl = choose(impl, IMPLEMENTATIONS, probs.device)
    if impl == 'numba':
        from .kernels import regions_numba as kernel
    elif impl == 'torch':
        from .kernels import region_torch as kernel
    else:
        from .reference import region_attention as kernel
    return kernel.construct_regions(probs, boundary, float(threshold),
                                    divergence, line)


def region_membership(probs: Tensor,
                      boundary: Tensor,
                      labels: Tensor,
                      divergence: str = 'bernoulli',
                      line: str = 'interpolated',
                      impl: str = 'auto') -> Tensor:
    """Return J: how well every pixel fits its region.

    J_i = (1 / |R|) sum over j in R of F_ij, with R the region of i. This is
    the only way by which the interaction trains the class and boundary maps.
    Only pairs of one region are visited; the backward pass recomputes them.

    Args:
        probs: (B, C, H, W) class probabilities.
        boundary: (B, H, W) boundary probabilities.
        labels: (B, N) integer regions, as from :func:`construct_regions`
            (any non-negative integers below N will do).
        divergence: ``'bernoulli'`` or ``'jensen_shannon'``.
        line: ``'interpolated'`` or ``'tree'``.
        impl: ``'auto'``, ``'numba'``, ``'torch'`` or ``'reference'``.

    Returns:
        (B, N) in (0, 1], float64 if an input is, else float32; differentiable
        (once) in ``probs`` and ``boundary`` with the regions held constant.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or choice; the
            message names the argument.
    """
    _check_maps(probs, boundary, divergence, line)
    batch, _, height, width = probs.shape
    check_tensor('labels', labels, '(B, N)', 2, floating=False)
    check_same('labels', labels.shape, f'probs {tuple(probs.shape)}',
               (batch, height * width))
    if labels.device != probs.device:
        raise ValueError(f'labels are on {labels.device}, probs on '
                         f'{probs.device}; move one of them.')
    dtype = _common_dtype(probs, boundary)
    probs, boundary = probs.to(dtype), boundary.to(dtype)
    if len(probs) == 0:  # an empty J that still belongs to the graph
        return probs.flatten(2).sum(1) + boundary.flatten(1)
    low, high = labels.min().item(), labels.max().item()
    if low < 0 or high >= height * width:
        raise ValueError(f'labels must lie in 0..{height * width - 1} (N - 1), '
                         f'found {low}..{high}.')
    impl = choose(impl, IMPLEMENTATIONS, probs.device)
    if impl == 'numba':
        from .kernels import membership_numba as kernel
    elif impl == 'torch':
        from .kernels import region_torch as kernel
    else:
        from .reference import region_attention as kernel
    return kernel.region_membership(probs, boundary, labels.long(), divergence,
                                    line)


@torch.no_grad()
def region_representatives(membership: Tensor,
                           labels: Tensor,
                           num_representatives: int = 8) -> List[Tensor]:
    """Return each region's pixels of highest membership.

    phi(R) = the min(K, |R|) members of R with the largest J, ties to the
    lower index. No padding with foreign pixels, unlike the released code.

    Args:
        membership: (B, N) J.
        labels: (B, N) integer regions.
        num_representatives: K, at least 1.

    Returns:
        One 1-D int64 tensor of sorted pixel indices for each image.

    Raises:
        TypeError, ValueError: A wrong shape, dtype or K.
    """
    check_tensor('membership', membership, '(B, N)', 2)
    check_tensor('labels', labels, '(B, N)', 2, floating=False)
    check_same('labels', labels.shape,
               f'membership {tuple(membership.shape)}', membership.shape)
    check_number('num_representatives', num_representatives, 1, integer=True)
    # Two stable sorts: by J downwards, then by region, keep index order on ties.
    by_score = membership.sort(dim=1, descending=True, stable=True)[1]
    regions, by_region = labels.gather(1, by_score).sort(dim=1, stable=True)
    order = by_score.gather(1, by_region)
    first = torch.searchsorted(regions, regions, right=False)
    rank = torch.arange(labels.shape[1], device=labels.device) - first
    chosen = torch.zeros_like(labels, dtype=torch.bool)
    chosen.scatter_(1, order, rank < num_representatives)
    return [one.nonzero().squeeze(1) for one in chosen]


@torch.no_grad()
def boundary_target(labels: Tensor,
                    radius: float = 2,
                    ignore_index: int = 255,
                    rule: str = 'clean') -> Tensor:
    """Return the boundary map that trains B.

    Args:
        labels: (B, H, W) integer labels.
        radius: Euclidean distance in pixels within which another label makes
            a pixel a boundary pixel; 2 gives a band four pixels thick.
        ignore_index: Label of ignored pixels.
        rule: ``'clean'`` (ours): a pixel is boundary if a pixel with another,
            not ignored, label lies within ``radius``; ignored pixels stay
            ignored; the frame is no boundary. ``'released'``: as the released
            data tool does; contours of all classes but 0 and ignore, the
            frame is a contour of the objects that touch it, and ignored
            pixels get 0 or 1 too.

    Returns:
        (B, H, W) of the dtype of ``labels`` holding 0, 1 and, under
        ``'clean'``, 255.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, radius or rule.
    """
    check_tensor('labels', labels, '(B, H, W)', 3, floating=False)
    check_choice('rule', rule, BOUNDARY_RULES)
    check_number('radius', radius, 1)
    if rule == 'released':
        # One ring of "no class" around the map makes the frame a contour.
        wide = torch.nn.functional.pad(labels.long(), (1, 1, 1, 1), value=-1)
        has_contour = (wide > 0) & (wide != ignore_index)
        edge = _differs_within(wide, radius, has_contour, either=True)
        return edge[:, 1:-1, 1:-1].to(labels.dtype)
    if labels.dtype == torch.int8:
        raise TypeError('labels is int8, which cannot hold 255, the mark of '
                        'ignored pixels in the result; use uint8 or int64.')
    valid = labels != ignore_index
    edge = _differs_within(labels, radius, valid, either=False)
    return edge.to(labels.dtype).masked_fill_(~valid, 255)


def _differs_within(labels: Tensor, radius: float, counts: Tensor,
                    either: bool) -> Tensor:
    """Mark pixels that have another label within ``radius``.

    A pair counts when both of its pixels (``either``: one of them) are in
    ``counts``. Half of the offsets suffice, since difference is symmetric.
    """
    _, height, width = labels.shape
    edge = torch.zeros_like(labels, dtype=torch.bool)
    reach = int(radius)
    for dy in range(0, min(reach, height - 1) + 1):
        for dx in range(-reach, reach + 1):
            if dy == 0 and dx <= 0 or abs(dx) >= width:
                continue
            if dy * dy + dx * dx > radius * radius:
                continue
            rows_a, rows_b = slice(0, height - dy), slice(dy, height)
            cols_a = slice(max(0, -dx), min(width, width - dx))
            cols_b = slice(max(0, dx), min(width, width + dx))
            a, b = (slice(None), rows_a, cols_a), (slice(None), rows_b, cols_b)
            pair = counts[a] | counts[b] if either else counts[a] & counts[b]
            pair = pair & (labels[a] != labels[b])
            edge[a] |= pair
            edge[b] |= pair
    return edge
