"""Pictures of flow."""

import numpy as np
import pytest

pytest.importorskip('mmcv')

from segaware_mm.visualization.flow_panel import flow_panel  # noqa: E402

IMAGE = np.full((1, 4, 3), 7, np.uint8)
TRUTH = np.array([[[2., 0], [-2, 0], [0, 0], [1, 0]]])


def test_directions_have_their_colours():
    """Right red, left its opposite, none white, half way pale."""
    panel = flow_panel(IMAGE, TRUTH)
    assert panel.shape == (1, 8, 3) and panel.dtype == np.uint8
    assert (panel[0, :4] == 7).all()
    right, left, none, half = panel[0, 4:].tolist()
    assert right == [255, 0, 0] and none == [255] * 3
    assert left[0] == 0 and min(left[1:]) > 150
    assert half == [255, 128, 128]


def test_both_flows_have_the_scale_of_the_truth():
    panel = flow_panel(IMAGE, TRUTH / 2, TRUTH)
    assert panel.shape == (1, 12, 3)
    assert panel[0, [4, 7, 8]].tolist() == [[255, 0, 0]] + [[255, 128, 128]] * 2
    # a vector that is far too long takes no colour from the others
    long = TRUTH.copy()
    long[0, 0] = 900
    beside = flow_panel(IMAGE, long, TRUTH)
    assert beside[0, 4:8].tolist() == panel[0, 4:8].tolist()
    assert beside[0, 11].tolist() == [255, 128, 128]


def test_unknown_pixels_are_black_and_set_no_scale():
    truth = TRUTH.copy()
    truth[0, 1] = 1e10
    known = np.array([[True, False, True, True]])
    panel = flow_panel(IMAGE, TRUTH, truth, known)
    assert panel[0, 4:6].tolist() == [[255, 0, 0], [0] * 3]
    flow = np.where([[[True], [False], [True], [True]]], TRUTH, np.nan)
    assert flow_panel(IMAGE, flow)[0, 5].tolist() == [0] * 3


def test_no_motion_and_no_known_pixel():
    assert (flow_panel(IMAGE, 0 * TRUTH, 0 * TRUTH)[:, 4:] == 255).all()
    nothing = np.zeros((1, 4), bool)
    panel = flow_panel(IMAGE, TRUTH, TRUTH, nothing)
    assert (panel[0, 4:8] == 0).all() and panel[0, 8].tolist() == [255, 0, 0]


def test_sizes_are_checked():
    with pytest.raises(ValueError, match=r'must have shape \(1, 4, 2\), got \(1, 3, 2\)'):
        flow_panel(IMAGE, TRUTH[:, :3])
