"""Transforms of the plane that a network predicts (Jaderberg et al., "Spatial
Transformer Networks", NIPS 2015; the thin-plate spline of its appendix).

A transform maps points (x, y) of the output to points of the input. Both maps span
[-1, 1] x [-1, 1]. With ``align_corners`` False -1 and 1 are the outer edges of the
outermost pixels, else their centres. P parameters::

    affine      6   x' = a x + b y + tx,  y' = c x + d y + ty     (a, b, tx, c, d, ty)
    attention   3   x' = s x + tx,        y' = s y + ty           (s, tx, ty)
    projective  8   (X, Y, Z) = H (x, y, 1), x' = X / Z, y' = Y / Z;
                    H in row-major order, its last entry is 1
    tps        2K   f(c_k) = p_k, where c are K fixed control points on a regular
                    grid and p, the parameters (x_1, y_1, x_2, ...), their images

The spline is f(q) = a0 + A q + sum_k w_k U(|q - c_k|), U(r) = r^2 log r^2, with the
side conditions sum_k w_k = 0 and sum_k w_k c_k = 0: a linear system of K + 3 rows.

Shapes: B batch, points (B, h, w, 2) or (h, w, 2) as (x, y).
"""

from typing import Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from .checks import check_choice, check_number, check_same, check_size, check_tensor
from .local_checks import check_device
from .precision import no_autocast, wide_dtype

TRANSFORMS = ('affine', 'attention', 'projective', 'tps')
#: Where |Z| of a homography is smaller, it is set to this; the point is then far away.
MIN_DEPTH = 1e-8


def identity_parameters(transform: str,
                        control_points: Optional[Tensor] = None) -> Tensor:
    """Return the parameters (P,) that change nothing, float32.

    Args:
        transform: One of ``'affine'``, ``'attention'``, ``'projective'``, ``'tps'``.
        control_points: (K, 2), for ``'tps'``.

    Raises:
        TypeError, ValueError: An unknown transform, or wrong control points.
    """
    check_choice('transform', transform, TRANSFORMS)
    if transform == 'tps':
        return _control_points(control_points).detach().flatten().float()
    return torch.tensor({
        'affine': [1., 0., 0., 0., 1., 0.],
        'attention': [1., 0., 0.],
        'projective': [1., 0., 0., 0., 1., 0., 0., 0.],
    }[transform])


def regular_points(size: Union[int, Sequence[int]], align_corners: bool = False,
                   device: Optional[torch.device] = None,
                   dtype: torch.dtype = torch.float32) -> Tensor:
    """Return (h, w, 2): the pixel centres of a map, in [-1, 1].

    With ``align_corners`` the outermost lie on -1 and 1; a single one lies on 0.
    """
    lines = []
    for cells in check_size('size', size):
        cell = torch.arange(cells, device=device, dtype=dtype)
        if align_corners:
            lines.append((2 * cell - (cells - 1)) / max(cells - 1, 1))
        else:
            lines.append((2 * cell + 1) / cells - 1)
    y, x = torch.meshgrid(*lines, indexing='ij')
    return torch.stack((x, y), -1)


def to_pixels(points: Tensor, size: Union[int, Sequence[int]],
              align_corners: bool = False) -> Tensor:
    """Return points of [-1, 1] in pixels of a map (H, W), centres at integers."""
    height, width = check_size('size', size)
    extent = points.new_tensor([width, height])
    span = extent - 1 if align_corners else extent
    return points * span / 2 + (extent - 1) / 2


def transform_points(params: Tensor, points: Tensor, transform: str = 'affine',
                     control_points: Optional[Tensor] = None) -> Tensor:
    """Return where a transform takes points.

    Computed in float32 (float64 where an input is), also under autocast, and
    returned so. Gradients reach ``params`` and ``points``.

    Args:
        params: (B, P), see the table above.
        points: (h, w, 2), the same for the batch, in [-1, 1].
        transform: ``'affine'``, ``'attention'``, ``'projective'`` or ``'tps'``.
        control_points: (K, 2) for ``'tps'``: K of 3 or more, no two of them equal,
            not all on one line.

    Returns:
        (B, h, w, 2). Points on the horizon of a homography are very far away.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or choice; the
            message names the argument.
    """
    check_choice('transform', transform, TRANSFORMS)
    check_tensor('params', params, '(B, P)', 2)
    check_tensor('points', points, '(h, w, 2)', 3)
    check_same('points', points.shape, 'points as (x, y)', (*points.shape[:2], 2))
    check_device('points', points, 'params', params)
    wanted = len(identity_parameters(transform, control_points))
    check_same('params', params.shape, f'transform {transform!r}', (len(params), wanted))
    with no_autocast(params.device):
        wide = wide_dtype(params, points)
        params, flat = params.to(wide), points.to(wide).flatten(0, 1)
        if transform == 'tps':
            moved = _spline(params, flat, control_points.to(flat))
        else:
            moved = _homography(_matrix(params, transform), flat)
        return moved.unflatten(1, points.shape[:2])


def spline_weights(images: Tensor, control_points: Tensor) -> Tuple[Tensor, Tensor]:
    """Solve for the thin-plate splines that take control points to their images.

    Args:
        images: (B, K, 2).
        control_points: (K, 2), in the format of ``images``.

    Returns:
        w (B, K, 2), which meets both side conditions, and (A, a0) as (B, 3, 2),
        the rows of which belong to x, y and 1. Solved in float64.
    """
    count = len(control_points)
    plane = _with_one(control_points)  # (K, 3)
    system = control_points.new_zeros(count + 3, count + 3)
    system[:count, :count] = _bending(control_points, control_points)
    system[:count, count:] = plane
    system[count:, :count] = plane.T
    right = torch.cat((images, images.new_zeros(len(images), 3, 2)), 1)
    solved = torch.linalg.solve(system.double(), right.double()).to(images.dtype)
    return solved[:, :count], solved[:, count:]


def _spline(params: Tensor, points: Tensor, control_points: Tensor) -> Tensor:
    w, plane = spline_weights(params.unflatten(1, (-1, 2)), control_points)
    return _bending(points, control_points) @ w + _with_one(points) @ plane


def _bending(points: Tensor, control_points: Tensor) -> Tensor:
    """U(r) = r^2 log r^2 of all distances, 0 at 0 with gradient 0: (N, K)."""
    squared = (points[:, None] - control_points).square().sum(-1)
    return squared * squared.masked_fill(squared == 0, 1).log()


def _matrix(params: Tensor, transform: str) -> Tensor:
    """Return the parameters as homographies (B, 3, 3)."""
    if transform == 'attention':
        s, tx, ty = params.unbind(1)
        zero = torch.zeros_like(s)
        params = torch.stack((s, zero, tx, zero, s, ty), 1)
    last = params.new_tensor([0., 0., 1.])[params.shape[1] - 6:]
    return torch.cat((params, last.expand(len(params), -1)), 1).unflatten(1, (3, 3))


def _homography(matrix: Tensor, points: Tensor) -> Tensor:
    moved = _with_one(points) @ matrix.mT  # (B, N, 3)
    depth = moved[..., 2:]
    near = depth.abs() < MIN_DEPTH
    return moved[..., :2] / torch.where(near, MIN_DEPTH, depth)


def _with_one(points: Tensor) -> Tensor:
    """Rows (x, y, 1)."""
    return torch.cat((points, torch.ones_like(points[:, :1])), 1)


def _control_points(control_points: Optional[Tensor]) -> Tensor:
    """Raise unless these are control points of a spline."""
    if control_points is None:
        raise ValueError("control_points must be given with transform 'tps'.")
    check_tensor('control_points', control_points, '(K, 2)', 2)
    check_same('control_points', control_points.shape, 'points as (x, y)',
               (len(control_points), 2))
    check_number('the number of control_points', len(control_points), 3, integer=True)
    at = control_points.detach().double().cpu()
    if len(at.unique(dim=0)) < len(at):
        raise ValueError('control_points must differ; two of them are equal.')
    if torch.linalg.matrix_rank(at - at.mean(0)) < 2:
        raise ValueError('control_points must not lie on one line.')
    return control_points
