"""The sampler against the equation, its gradients, its borders."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional as F

from segaware_mm.ops import bilinear_sample
from segaware_mm.ops.bilinear import line_weights
from segaware_mm.ops.reference import bilinear as reference

F64 = torch.float64


def rand(*shape, seed=0, dtype=F64):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.rand(*shape, generator=generator, dtype=F64).to(dtype)


def points_in(batch, rows, columns, height, width, margin=1.5, seed=0):
    """Points of the map and around it, off the kinks."""
    points = rand(batch, rows, columns, 2, seed=seed)
    size = torch.tensor([width, height], dtype=F64)
    points = points * (size - 1 + 2 * margin) - margin
    near = (points * 2).round() / 2  # integers, and the edges at halves
    return torch.where((points - near).abs() < .02, near + .1, points)


def gradients(function, tensors, seed=9):
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    out = function(*leaves)
    weight = rand(*out.shape, seed=seed)
    return (out.detach(), *torch.autograd.grad((out * weight).sum(), leaves))


@pytest.mark.parametrize('height, width', [(5, 7), (1, 4), (3, 1), (1, 1)])
def test_values_and_gradients_match_the_reference(height, width):
    features = rand(2, 3, height, width)
    points = points_in(2, 6, 7, height, width)
    got, wanted = (gradients(f, (features, points))
                   for f in (bilinear_sample, reference.bilinear_sample))
    assert got[0].shape == (2, 3, 6, 7)
    for a, b in zip(got, wanted):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)


def test_parity_with_grid_sample_of_the_border():
    """In the map, torch's own way with aligned corners is the oracle's parity line."""
    features, points = rand(1, 3, 5, 7), points_in(1, 4, 4, 5, 7, margin=-.1)

    def torchs(features, points):
        grid = 2 * points / points.new_tensor([6, 4]) - 1
        return F.grid_sample(features, grid, padding_mode='border', align_corners=True)

    values = [gradients(f, (features, points))
              for f in (bilinear_sample, torchs, reference.bilinear_sample)]
    for other in values[1:]:
        torch.testing.assert_close(values[0][0], other[0], atol=1e-15, rtol=1e-14)
        torch.testing.assert_close(values[0][2], other[2], atol=1e-14, rtol=1e-14)


def test_gradcheck_of_features_and_points():
    features = rand(2, 2, 4, 5).requires_grad_()
    points = points_in(2, 3, 3, 4, 5).requires_grad_()
    assert gradcheck(bilinear_sample, (features, points))


def test_the_rim_is_clamped_and_beyond_is_zero():
    """A map of ones to twelve; the rim is half a pixel wide on each side."""
    features = torch.arange(1., 13, dtype=F64).view(1, 1, 3, 4).requires_grad_()
    places = [(-.4, 1), (-.5, 1), (-.51, 1), (3.4, 1.5), (3.5, 1), (3.51, 1), (1, -.4),
              (1, 2.5), (1, 2.6), (-.3, 2.3), (-.3, 2.6), (1e30, 1),
              (float('nan'), 1), (1, float('inf'))]
    points = torch.tensor(places, dtype=F64).view(1, 1, -1, 2).requires_grad_()
    out = bilinear_sample(features, points)
    wanted = [5, 5, 0, 10, 8, 0, 2, 10, 0, 9, 0, 0, 0, 0]
    assert out.flatten().tolist() == pytest.approx(wanted)
    out.sum().backward()
    of_x, of_y = points.grad[0, 0].unbind(1)
    assert (of_x[[0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13]] == 0).all()
    assert (of_y[[2, 5, 6, 7, 8, 9, 10, 11, 12, 13]] == 0).all()
    assert of_y[3].item() == pytest.approx(4)  # clamped in x alone
    assert of_x[6].item() == pytest.approx(1)
    assert features.grad.sum().item() == pytest.approx(7)  # the points that read


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_read_in_float32(dtype):
    features = (rand(1, 2, 4, 50) * 6e4).to(dtype)
    points = points_in(1, 3, 4, 4, 50).float()
    leaf, at = features.clone().requires_grad_(), points.clone().requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        out = bilinear_sample(leaf, at)
    assert out.dtype == dtype
    exact = bilinear_sample(features.float(), points)
    assert torch.equal(out, exact.to(dtype))
    out.float().mean().backward()
    assert leaf.grad.dtype == dtype and at.grad.dtype == torch.float32
    assert leaf.grad.isfinite().all() and at.grad.isfinite().all()


def test_strided_input_gives_the_same_bits_every_time():
    features, points = rand(2, 3, 5, 7), points_in(2, 4, 6, 5, 7)
    first = gradients(bilinear_sample, (features, points))
    turned = (features.contiguous(memory_format=torch.channels_last),
              points.transpose(1, 2).contiguous().transpose(1, 2))
    assert not turned[1].is_contiguous()
    for a, b, c in zip(first, gradients(bilinear_sample, turned),
                       gradients(bilinear_sample, (features, points))):
        torch.testing.assert_close(a, b, atol=0, rtol=1e-15)
        assert torch.equal(a, c)


@pytest.mark.parametrize('batch, rows, columns', [(0, 2, 3), (1, 0, 3), (2, 2, 0)])
def test_nothing_to_read(batch, rows, columns):
    features = rand(batch, 2, 3, 4).requires_grad_()
    points = rand(batch, rows, columns, 2).requires_grad_()
    out = bilinear_sample(features, points)
    assert out.shape == (batch, 2, rows, columns)
    out.sum().backward()
    assert features.grad.abs().sum() == 0


def test_weights_of_a_line():
    weights = line_weights(torch.tensor([-3., 0, 1.25, 2, 9]), 3)
    assert weights.tolist() == [[1, 0, 0], [1, 0, 0], [0, .75, .25], [0, 0, 1],
                                [0, 0, 1]]
    assert line_weights(torch.tensor([[.3]]), 1).tolist() == [[[1.]]]


@pytest.mark.parametrize('change, error, text', [
    (dict(features=torch.rand(2, 4, 5)), ValueError,
     r'features must have shape \(B, C, H, W\), got \(2, 4, 5\)'),
    (dict(features=torch.rand(2, 3, 0, 5)), ValueError,
     'features must have at least one channel and one pixel'),
    (dict(features=torch.ones(2, 3, 4, 5, dtype=torch.int64)), TypeError,
     'features must be floating point, got torch.int64'),
    (dict(points=torch.rand(2, 3, 2)), ValueError,
     r'points must have shape \(B, Ho, Wo, 2\)'),
    (dict(points=torch.rand(1, 3, 3, 2)), ValueError,
     r'points has shape \(1, 3, 3, 2\); with features .* must be \(2, 3, 3, 2\)'),
    (dict(points=torch.rand(2, 3, 3, 3)), ValueError, r'must be \(2, 3, 3, 2\)'),
    (dict(points=torch.rand(2, 3, 3, 2, device='meta')), ValueError,
     'points is on meta, features on cpu'),
    (dict(points=[1, 2]), TypeError, 'points must be a tensor')])
def test_errors_name_the_argument(change, error, text):
    arguments = dict(features=torch.rand(2, 3, 4, 5), points=torch.rand(2, 3, 3, 2))
    with pytest.raises(error, match=text):
        bilinear_sample(**{**arguments, **change})
