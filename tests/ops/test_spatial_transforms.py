"""Transforms of the plane: identity, known motions, splines, the reference."""

import math

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from segaware_mm.ops import bilinear_sample, roi_warp, transform_points
from segaware_mm.ops.reference import spatial_transforms as reference
from segaware_mm.ops.spatial_transforms import (
    TRANSFORMS,
    identity_parameters,
    regular_points,
    spline_weights,
    to_pixels,
)

F64 = torch.float64


def rand(*shape, seed=0, dtype=F64):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.rand(*shape, generator=generator, dtype=F64).to(dtype)


def control_grid(side=3, dtype=F64):
    return regular_points(side, align_corners=True, dtype=dtype).flatten(0, 1)


def job(transform, batch=2, spread=.3, seed=0):
    """Parameters near the identity, and control points where they are needed."""
    control = control_grid() if transform == 'tps' else None
    identity = identity_parameters(transform, control).double()
    noise = (rand(batch, len(identity), seed=seed) - .5) * spread
    return identity + noise, control


@pytest.mark.parametrize('transform', TRANSFORMS)
@pytest.mark.parametrize('align_corners', [False, True])
def test_the_identity_is_the_identity(transform, align_corners):
    control = control_grid(4) if transform == 'tps' else None
    params = identity_parameters(transform, control)
    assert params.shape == ({'affine': 6, 'attention': 3, 'projective': 8,
                             'tps': 32}[transform], )
    points = regular_points((5, 7), align_corners, dtype=F64)
    moved = transform_points(params.double().expand(2, -1), points, transform, control)
    assert moved.shape == (2, 5, 7, 2)
    # Control points at thirds are float32 in the identity's parameters.
    torch.testing.assert_close(moved, points.expand(2, -1, -1, -1), atol=1e-7, rtol=0)
    pixels = to_pixels(moved, (5, 7), align_corners)
    y, x = torch.meshgrid(torch.arange(5.), torch.arange(7.), indexing='ij')
    torch.testing.assert_close(pixels[1], torch.stack((x, y), -1).double(), atol=1e-6,
                               rtol=0)
    features = rand(2, 3, 5, 7)
    torch.testing.assert_close(bilinear_sample(features, pixels), features, atol=1e-5,
                               rtol=0)


@pytest.mark.parametrize('transform', TRANSFORMS)
@pytest.mark.parametrize('size', [(3, 4), (1, 1)])
def test_points_match_the_reference(transform, size):
    params, control = job(transform)
    points = rand(*size, 2) * 2 - 1
    got, wanted = (f(params, points, transform, control)
                   for f in (transform_points, reference.transform_points))
    torch.testing.assert_close(got, wanted, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize('transform', TRANSFORMS)
def test_gradcheck_of_parameters_and_points(transform):
    params, control = job(transform)
    points = (rand(2, 3, 2) * 1.9 - .95).requires_grad_()
    assert gradcheck(lambda p, q: transform_points(p, q, transform, control),
                     (params.requires_grad_(), points))


@pytest.mark.parametrize('size, align_corners', [
    ((4, 6), False), ((4, 6), True), ((1, 3), False), ((1, 1), False)])
def test_the_affine_grid_is_torchs(size, align_corners):
    params = job('affine')[0]
    points = regular_points(size, align_corners, dtype=F64)
    wanted = F.affine_grid(params.view(2, 2, 3), [2, 1, *size], align_corners)
    torch.testing.assert_close(transform_points(params, points), wanted)


def test_known_motions():
    """A quarter turn; half the size, a little to the right; a homography."""
    points = torch.tensor([[[.5, 0], [0, 1], [-.2, .4]]], dtype=F64)

    def moved(transform, *params):
        out = transform_points(torch.tensor([params], dtype=F64), points, transform)
        return out[0, 0].flatten().tolist()

    assert moved('affine', 0, -1, 0, 1, 0, 0) == pytest.approx([0, .5, -1, 0, -.4, -.2])
    assert moved('attention', .5, .1, 0) == pytest.approx([.35, 0, .1, .5, 0, .2])
    # Z = x + 1: 1.5, 1 and .8
    assert moved('projective', 2, 0, 0, 0, 1, 1, 1, 0) == pytest.approx(
        [1 / 1.5, 1 / 1.5, 0, 2, -.5, 1.75])


def test_a_homography_sees_its_horizon_without_nan():
    """Z = x + 1 is 0 on the left edge."""
    points = torch.tensor([[[-1., .3], [-1, 0]]])
    params = torch.tensor([[1., 0, 0, 0, 1, 0, 1, 0]], requires_grad=True)
    moved = transform_points(params, points, 'projective')
    assert moved.isfinite().all() and moved[0, 0, 0, 0].abs() > 1e6
    out = bilinear_sample(torch.rand(1, 2, 4, 5), to_pixels(moved, (4, 5)))
    assert (out == 0).all()
    out.sum().backward()
    assert (params.grad == 0).all()


# ------------------------------------------------------------------- splines


def test_a_spline_takes_control_points_to_their_images_exactly():
    control, images = control_grid(4), rand(3, 16, 2) * 2 - 1
    moved = transform_points(images.flatten(1), control.view(4, 4, 2), 'tps', control)
    torch.testing.assert_close(moved.flatten(1, 2), images, atol=1e-12, rtol=0)


def test_side_conditions_and_the_plane():
    """The weights of a bent spline meet the side conditions; a plane needs none."""
    control, images = rand(7, 2, seed=4), rand(2, 7, 2, seed=5)
    w, _ = spline_weights(images, control)
    assert w.abs().max() > .1
    torch.testing.assert_close(w.sum(1), torch.zeros(2, 2, dtype=F64), atol=1e-10, rtol=0)
    torch.testing.assert_close(control.T @ w, torch.zeros(2, 2, 2, dtype=F64), atol=1e-10,
                               rtol=0)
    matrix, shift = rand(2, 2, seed=6), rand(2, seed=7)
    w, plane = spline_weights((control @ matrix + shift)[None], control)
    torch.testing.assert_close(w, torch.zeros(1, 7, 2, dtype=F64), atol=1e-10, rtol=0)
    torch.testing.assert_close(plane[0], torch.cat((matrix, shift[None])))


def test_a_worked_spline():
    """Four corners and a centre that moves by 1 in x; U(1) = 0, U(r) = r^2 log r^2.

    By symmetry f = a0 + w (4 corners: -w / 4 each), with U(sqrt 2) = 2 log 2 and
    U(2) = 4 log 4, U(sqrt 8) = 8 log 8 between corners.
    """
    control = torch.tensor([[-1, -1], [1, -1], [-1, 1], [1, 1], [0, 0]], dtype=F64)
    images = control.clone()
    images[4, 0] = 1
    w, plane = spline_weights(images[None], control)
    to_centre, between = 2 * math.log(2), 2 * 4 * math.log(4) + 8 * math.log(8)
    # corner: a0 + w U(sqrt 2) - w / 4 between = 0; centre: a0 - w U(sqrt 2) = 1
    weight = 1 / (between / 4 - 2 * to_centre)
    assert w[0, 4].tolist() == pytest.approx([weight, 0])
    assert w[0, :4, 0].tolist() == pytest.approx([-weight / 4] * 4)
    assert plane[0, 2].tolist() == pytest.approx([1 + weight * to_centre, 0])
    assert plane[0, :2].tolist() == [pytest.approx([1, 0]), pytest.approx([0, 1])]


def test_the_gradient_at_a_control_point_is_finite():
    """r^2 log r^2 at r = 0."""
    params, control = job('tps')
    points = control.view(3, 3, 2).clone().requires_grad_()
    transform_points(params.requires_grad_(), points, 'tps', control).sum().backward()
    assert points.grad.isfinite().all() and params.grad.isfinite().all()
    step, at = 1e-6, control[:1].view(1, 1, 2)
    slope = (transform_points(params, at + torch.tensor([step, 0]), 'tps', control)
             - transform_points(params, at - torch.tensor([step, 0]), 'tps', control))
    assert points.grad[0, 0, 0].item() == pytest.approx(
        slope.sum().item() / (2 * step), abs=1e-4)


# ------------------------------------------------------------ pixels and boxes


@pytest.mark.parametrize('align_corners', [False, True])
def test_pixels_match_the_reference(align_corners):
    points = rand(2, 3, 2) * 2 - 1
    got = to_pixels(points, (5, 9), align_corners)
    for at, pixel in zip(points.flatten(0, 1).tolist(), got.flatten(0, 1).tolist()):
        assert pixel == pytest.approx(reference.to_pixels(at, (5, 9), align_corners))
    edges = to_pixels(torch.tensor([[-1., -1], [1, 1]]), (5, 9), align_corners)
    assert edges.tolist() == ([[0, 0], [8, 4]] if align_corners
                              else [[-.5, -.5], [8.5, 4.5]])


def test_regular_points():
    assert regular_points((1, 4))[0, :, 0].tolist() == [-.75, -.25, .25, .75]
    assert regular_points((1, 4))[0, :, 1].tolist() == [0] * 4
    assert regular_points((1, 3), True)[0].tolist() == [[-1, 0], [0, 0], [1, 0]]
    assert regular_points(1, True).tolist() == [[[0, 0]]]


def test_roi_warping_is_the_attention_transform_of_a_box():
    """A square box of a square map: the same points, values and gradients."""
    features, params = rand(1, 3, 8, 8), torch.tensor([[.4, .1, -.3]], dtype=F64)
    params.requires_grad_()
    moved = transform_points(params, regular_points((3, 4), dtype=F64), 'attention')
    read = bilinear_sample(features, to_pixels(moved, (8, 8)))
    s, tx, ty = params[0]
    box = torch.stack((tx - s, ty - s, tx + s, ty + s)) * 4 + 4
    rois = torch.cat((torch.zeros(1, dtype=F64), box * 16))[None]
    warped = roi_warp(features, rois, (3, 4), 1 / 16)
    torch.testing.assert_close(warped, read)
    weight = rand(1, 3, 3, 4)
    grads = [torch.autograd.grad((t * weight).sum(), params)[0] for t in (read, warped)]
    torch.testing.assert_close(*grads)
    assert grads[0].abs().min() > 1e-3


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('transform', TRANSFORMS)
def test_half_precision_parameters_move_float32_points(transform, dtype):
    params, control = job(transform)
    leaf = params.to(dtype).requires_grad_()
    points = regular_points((4, 5))
    with torch.autocast('cpu', torch.bfloat16):
        moved = transform_points(leaf, points, transform, control)
    assert moved.dtype == torch.float32
    wanted = reference.transform_points(params.to(dtype).double(), points.double(),
                                        transform, control)
    torch.testing.assert_close(moved.double(), wanted, atol=1e-5, rtol=1e-5)
    moved.sum().backward()
    assert leaf.grad.dtype == dtype and leaf.grad.isfinite().all()


def test_nothing_to_move_and_strided_input():
    params, control = job('affine')
    assert transform_points(params[:0], rand(2, 3, 2)).shape == (0, 2, 3, 2)
    assert transform_points(params, rand(0, 3, 2)).shape == (2, 0, 3, 2)
    for transform in TRANSFORMS:
        params, control = job(transform)
        points = rand(4, 3, 2)
        turned = (params.T.contiguous().T, points.transpose(0, 1).contiguous().transpose(
            0, 1))
        assert torch.equal(transform_points(*turned, transform, control),
                           transform_points(params, points, transform, control))


@pytest.mark.parametrize('change, error, text', [
    (dict(transform='rigid'), ValueError, "transform must be one of 'affine', 'attention'"
     ", 'projective', 'tps'; got 'rigid'"),
    (dict(params=torch.rand(6)), ValueError, r'params must have shape \(B, P\)'),
    (dict(params=torch.rand(2, 8)), ValueError,
     r"params has shape \(2, 8\); with transform 'affine' it must be \(2, 6\)"),
    (dict(params=torch.ones(2, 6).long()), TypeError, 'params must be floating point'),
    (dict(points=torch.rand(2, 4, 5, 2)), ValueError, r'points must have shape \(h, w'),
    (dict(points=torch.rand(4, 5, 3)), ValueError, r'points has shape \(4, 5, 3\)'),
    (dict(points=torch.rand(4, 5, 2, device='meta')), ValueError, 'points is on meta'),
    (dict(transform='tps'), ValueError, 'control_points must be given'),
    (dict(transform='tps', control_points=torch.rand(2, 2)), ValueError,
     'the number of control_points must be at least 3, got 2'),
    (dict(transform='tps', control_points=torch.rand(4, 3)), ValueError,
     r'control_points has shape \(4, 3\)'),
    (dict(transform='tps', control_points=torch.zeros(3, 2)), ValueError,
     'control_points must differ'),
    (dict(transform='tps', control_points=torch.tensor([[0., 0], [1, 1], [2, 2]])),
     ValueError, 'control_points must not lie on one line'),
    (dict(transform='tps', control_points=torch.tensor([[0., 0], [1, 1], [2, 0]]),
          params=torch.rand(2, 8)), ValueError, r'it must be \(2, 6\)')])
def test_errors_name_the_argument(change, error, text):
    arguments = dict(params=torch.rand(2, 6), points=torch.rand(4, 5, 2))
    with pytest.raises(error, match=text):
        transform_points(**{**arguments, **change})
