"""End-point error, motion boundaries and smaller flows, against hand numbers."""

import math

import pytest
import torch

from segaware_mm.ops.flow import end_point_error, motion_boundary, shrink_flow


def flow_of(u, v=None):
    """A flow (1, 2, H, W) from lists of rows."""
    u = torch.tensor(u, dtype=torch.float64)
    v = torch.zeros_like(u) if v is None else torch.tensor(v, dtype=torch.float64)
    return torch.stack([u, v])[None]


def test_error_by_hand():
    flow = flow_of([[3., 0.], [1., -2.]], [[4., 0.], [1., 0.]])
    target = flow_of([[0., 0.], [0., 3.]], [[0., 1.], [1., 12.]])
    wanted = torch.tensor([[[5., 1.], [1., 13.]]], dtype=torch.float64)
    torch.testing.assert_close(end_point_error(flow, target), wanted)


def test_gradient_is_a_unit_vector_and_zero_without_error():
    flow = flow_of([[3., 7.]], [[4., 7.]]).requires_grad_()
    end_point_error(flow, flow_of([[0., 7.]], [[0., 7.]])).sum().backward()
    torch.testing.assert_close(flow.grad, flow_of([[.6, 0.]], [[.8, 0.]]))
    flow = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: end_point_error(f, target), flow)


def test_boundary_by_hand():
    """A step of 1.5 px between the columns 1 and 2, one of 0.5 px below."""
    flow = flow_of([[0., 0., 1.5, 1.5], [0., 0., 1.5, 1.5], [.5, .5, 2., 2.]])
    marked = motion_boundary(flow, threshold=1.)[0]
    assert marked.tolist() == [[False, True, True, False]] * 3
    marked = motion_boundary(flow, threshold=.4)[0]
    assert marked.tolist() == [[False, True, True, False], [True] * 4, [True] * 4]
    assert not motion_boundary(flow, threshold=1.5).any()  # above, not at


def test_boundary_takes_the_length_of_the_difference():
    flow = flow_of([[0., .8]], [[0., -.8]])
    assert motion_boundary(flow, threshold=1.).all()
    assert not motion_boundary(flow, threshold=1.2).any()


def test_unknown_pixels_make_no_boundary():
    flow = flow_of([[0., math.nan, 9., 9.]])
    known = torch.tensor([[[True, False, True, True]]])
    assert not motion_boundary(flow, known).any()
    known = torch.tensor([[[True, True, True, True]]])
    flow = flow_of([[0., 5., 9., 9.]])
    assert motion_boundary(flow, known)[0].tolist() == [[True, True, True, False]]


@pytest.mark.parametrize('size', [(1, 1), (1, 5), (5, 1)])
def test_thin_maps(size):
    flow = torch.zeros(2, 2, *size)
    assert motion_boundary(flow).shape == (2, *size)
    assert not motion_boundary(flow).any()


def test_smaller_flow_by_hand():
    """Cells of 2 x 2: three known, none known, one known, all known."""
    nan = math.nan
    flow = flow_of([[1., 2., nan, nan], [6., nan, nan, nan],
                    [nan, nan, 1., 3.], [nan, 8., 5., 7.]])
    flow[:, 1] = -flow[:, 0]
    known = ~flow[:, 0].isnan()
    small, there = shrink_flow(flow, known, (2, 2))
    torch.testing.assert_close(small, flow_of([[3., 0.], [8., 4.]],
                                              [[-3., 0.], [-8., -4.]]))
    assert there.tolist() == [[[True, False], [True, True]]]


@pytest.mark.parametrize('call, words', [
    (lambda: end_point_error(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)),
     r'flow must have shape \(B, 2, H, W\), got \(1, 3, 2, 2\)'),
    (lambda: end_point_error(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 3)),
     r'target has shape \(1, 2, 2, 3\)'),
    (lambda: motion_boundary(torch.zeros(1, 2, 2, 2), threshold=-1.),
     'threshold must be at least 0, got -1'),
    (lambda: motion_boundary(torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2)),
     'known must be bool, got torch.float32'),
    (lambda: shrink_flow(torch.zeros(1, 2, 2, 2),
                         torch.ones(1, 2, 3, dtype=torch.bool), (1, 1)),
     r'known has shape \(1, 2, 3\)'),
])
def test_errors_name_the_argument(call, words):
    with pytest.raises((TypeError, ValueError), match=words):
        call()
