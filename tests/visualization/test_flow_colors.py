"""Flow as colours."""

import numpy as np
import pytest

from segaware_mm.visualization.flow_colors import flow_colors, flow_panel, longest


def test_directions_by_hand():
    """Right red, left cyan, none white, half way pale."""
    flow = np.array([[[2, 0], [-2, 0], [0, 0], [1, 0]]], float)
    assert flow_colors(flow)[0].tolist() == [
        [255, 0, 0], [0, 255, 255], [255, 255, 255], [255, 128, 128]]
    down, up = flow_colors(np.array([[[0, 1], [0, -1]]], float))[0].tolist()
    assert down == [128, 255, 0] and up == [128, 0, 255]


def test_unknown_is_black_and_sets_no_scale():
    flow = np.array([[[1, 0], [900, 900], [np.nan, 0]]], float)
    known = np.array([[True, False, False]])
    assert longest(flow, known) == 1
    assert flow_colors(flow, known)[0].tolist() == [[255, 0, 0], [0] * 3, [0] * 3]
    assert flow_colors(flow[:, ::2])[0, 1].tolist() == [0, 0, 0]  # not finite
    assert longest(flow, np.zeros((1, 3), bool)) == 0


def test_reach_compares_pictures():
    flow = np.array([[[4, 0], [9, 0]]], float)
    assert flow_colors(flow, reach=8.)[0, 0].tolist() == [255, 128, 128]
    assert flow_colors(flow, reach=8.)[0, 1].tolist() == [191, 0, 0]  # beyond


def test_panel():
    image = np.full((3, 4, 3), 7, np.uint8)
    truth = np.full((3, 4, 2), [2., 0])
    panel = flow_panel(image, truth / 2, truth, np.ones((3, 4), bool))
    assert panel.shape == (3, 12, 3)
    assert panel[0, [0, 4, 8]].tolist() == [[7] * 3, [255, 0, 0], [255, 128, 128]]
    assert flow_panel(image, truth).shape == (3, 8, 3)
    assert (flow_panel(image, 0 * truth)[:, 4:] == 255).all()


def test_errors():
    with pytest.raises(ValueError, match=r'flow must have shape \(H, W, 2\)'):
        flow_colors(np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match='reach must be positive, got 0'):
        flow_colors(np.zeros((2, 2, 2)), reach=0)
