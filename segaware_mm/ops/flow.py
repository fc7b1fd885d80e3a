"""Optical flow as pure functions: its error, its motion boundaries, smaller maps.

Shapes: flow (B, 2, H, W), u to the right and v down, in pixels; known (B, H, W)
bool, False where the ground truth says nothing. Values of unknown pixels are
never read into a result.
"""

from typing import Optional, Tuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from .checks import check_number, check_same, check_tensor


def end_point_error(flow: Tensor, target: Tensor) -> Tensor:
    """Return how far the end points of two flows lie apart.

    Args:
        flow: (B, 2, H, W).
        target: (B, 2, H, W).

    Returns:
        (B, H, W), Euclidean, in the flows' unit; its gradient is 0 at 0.

    Raises:
        TypeError, ValueError: Wrong shapes or dtypes.
    """
    _check_flow('flow', flow)
    check_tensor('target', target, '(B, 2, H, W)', 4)
    check_same('target', target.shape, f'flow {tuple(flow.shape)}', flow.shape)
    return torch.linalg.vector_norm(flow - target, dim=1)


def motion_boundary(flow: Tensor, known: Optional[Tensor] = None,
                    threshold: float = 1.0) -> Tensor:
    """Return where the flow jumps: the motion boundaries. The definition is ours.

    A pixel lies on a motion boundary if its flow differs from that of one of its
    four neighbours by more than the threshold (Euclidean norm of the difference,
    that is, of the flow's gradient along the axis). Both pixels are marked; a
    pair with an unknown pixel marks none.

    Args:
        flow: (B, 2, H, W).
        known: (B, H, W) bool; all pixels if None.
        threshold: Pixels of flow per pixel, 0 or more.

    Returns:
        (B, H, W) bool. No gradient.

    Raises:
        TypeError, ValueError: Wrong shapes or dtypes, or a negative threshold.
    """
    _check_flow('flow', flow)
    check_number('threshold', threshold, 0)
    known = _known(flow, known)
    marked = torch.zeros_like(known)
    for axis in (1, 2):
        count = known.shape[axis] - 1
        if count < 1:
            continue
        step = flow.detach().diff(dim=axis + 1)
        both = known.narrow(axis, 0, count) & known.narrow(axis, 1, count)
        jump = both & (torch.linalg.vector_norm(step, dim=1) > threshold)
        marked.narrow(axis, 0, count).logical_or_(jump)
        marked.narrow(axis, 1, count).logical_or_(jump)
    return marked


def shrink_flow(flow: Tensor, known: Tensor,
                size: Tuple[int, int]) -> Tuple[Tensor, Tensor]:
    """Return a smaller flow: the mean of the known pixels of every cell.

    Values stay in pixels of the large map.

    Args:
        flow: (B, 2, H, W).
        known: (B, H, W) bool.
        size: Height and width, at most H and W.

    Returns:
        (B, 2, *size), 0 where unknown, and (B, *size) bool: cells with a known
        pixel.

    Raises:
        TypeError, ValueError: Wrong shapes or dtypes.
    """
    _check_flow('flow', flow)
    known = _known(flow, known)[:, None]
    share = adaptive_avg_pool2d(known.to(flow.dtype), size)
    total = adaptive_avg_pool2d(flow.masked_fill(~known, 0), size)
    return total / share.clamp_min(torch.finfo(flow.dtype).tiny), share[:, 0] > 0


def _check_flow(name: str, flow: Tensor) -> None:
    check_tensor(name, flow, '(B, 2, H, W)', 4)
    if flow.shape[1] != 2:
        raise ValueError(f'{name} must have shape (B, 2, H, W), got '
                         f'{tuple(flow.shape)}.')


def _known(flow: Tensor, known: Optional[Tensor]) -> Tensor:
    """Return the known pixels (B, H, W) as bool, checked."""
    shape = (flow.shape[0], *flow.shape[2:])
    if known is None:
        return flow.new_ones(shape, dtype=torch.bool)
    if known.dtype != torch.bool:
        raise TypeError(f'known must be bool, got {known.dtype}.')
    check_same('known', known.shape, f'flow {tuple(flow.shape)}', shape)
    return known
