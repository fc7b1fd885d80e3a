"""Procedural pairs: the flow is exact, and the same arguments give the same pair."""

import cv2
import numpy as np
import pytest

from segaware_mm.datasets.flow import render
from segaware_mm.datasets.flow.motion import Motion, draw_motion, pixel_centres
from segaware_mm.datasets.flow.render import render_pair

SIZE = (64, 80)


def warp_back(second, flow):
    """The second image at the ends of the flow."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(second.astype(np.float32), x + flow[..., 0], y + flow[..., 1],
                     cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def inside(mask):
    """Pixels whose neighbourhood is in the mask: no mixed colours of an edge."""
    return cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0,
                     borderType=cv2.BORDER_CONSTANT) > 0


def test_warping_the_second_image_gives_the_first_where_visible(monkeypatch):
    """To the rounding of grey values, where nothing is lost in resampling."""
    monkeypatch.setattr(render, '_NOISE', 0.)
    monkeypatch.setattr(render, '_BLUR', 1.5)
    for index in range(8):
        pair = render_pair(0, index, SIZE)
        first = pair.first.astype(np.float32)
        same = np.zeros(SIZE, bool)  # far from an edge in both images
        for layer in np.unique(pair.layers):
            same |= inside((pair.layers == layer) & pair.visible)
        assert same.mean() > .3
        right = np.abs(warp_back(pair.second, pair.flow) - first)[same]
        assert right.mean() < .5 and right.max() < 4, index
        for axis in (0, 1):  # a tenth of a pixel is seen
            for step in (-.1, .1):
                wrong = pair.flow.copy()
                wrong[..., axis] += step
                assert np.abs(warp_back(pair.second, wrong) - first)[same].mean() > \
                    right.mean(), index


def test_hidden_pixels_do_not_match(monkeypatch):
    """What the second image hides or leaves out is marked as not visible."""
    monkeypatch.setattr(render, '_NOISE', 0.)
    seen, hidden = [], []
    for index in range(8):
        pair = render_pair(0, index, SIZE)
        error = np.abs(warp_back(pair.second, pair.flow) - pair.first).mean(2)
        seen.append(error[pair.visible].mean())
        hidden.append(error[~pair.visible].mean())
        assert 0.02 < (~pair.visible).mean() < .5
    assert np.mean(hidden) > 5 * np.mean(seen)


def test_every_layer_moves_affinely():
    pair = render_pair(3, 0, SIZE)
    points = pixel_centres(*SIZE)
    for layer in np.unique(pair.layers):
        mask = pair.layers == layer
        if mask.sum() < 12:
            continue
        design = np.concatenate([points[mask], np.ones((mask.sum(), 1))], 1)
        fit, *_ = np.linalg.lstsq(design, pair.flow[mask], rcond=None)
        assert np.abs(design @ fit - pair.flow[mask]).max() < 1e-4
    assert len(np.unique(pair.layers)) > 2


def test_motion_by_hand():
    """A quarter turn about (2, 1), then one pixel to the right."""
    turn = Motion(np.array([[0., -1.], [1., 0.]]), np.array([3., -1.]))
    assert turn.move(np.array([2., 1.])).tolist() == [2., 1.]
    assert turn.move(np.array([3., 1.])).tolist() == [2., 2.]
    both = Motion(np.eye(2), np.array([1., 0.])).after(turn)
    assert both.move(np.array([3., 1.])).tolist() == [3., 2.]
    back = both.inverse().move(both.move(np.array([[.3, 7.]])))
    np.testing.assert_allclose(back, [[.3, 7.]])
    # the centre of pixel (row 0, column 0) is (0.5, 0.5)
    np.testing.assert_allclose(turn.flow(1, 1)[0, 0], [3 - .5 - .5, -1 + .5 - .5])


def test_drawn_motion_leaves_its_centre_but_for_the_shift():
    motion = draw_motion(np.random.default_rng(0), (10., 20.), 0., .3, .2)
    np.testing.assert_allclose(motion.move(np.array([10., 20.])), [10., 20.])
    assert not np.allclose(motion.move(np.array([11., 20.])), [11., 20.])


def test_same_arguments_same_pair():
    one, two = render_pair(1, 2, (40, 48)), render_pair(1, 2, (40, 48))
    for a, b in zip(one, two):
        assert a.tobytes() == b.tobytes()
    others = [render_pair(2, 2, (40, 48)), render_pair(1, 3, (40, 48)),
              render_pair(1, 2, (40, 48), 'val')]
    for other in others:
        assert (other.first != one.first).any() and (other.flow != one.flow).any()


def test_types_and_small_sizes():
    for index in range(12):
        pair = render_pair(7, index, (32, 33))
        assert pair.first.shape == pair.second.shape == (32, 33, 3)
        assert pair.first.dtype == pair.second.dtype == pair.layers.dtype == np.uint8
        assert pair.flow.dtype == np.float32 and np.isfinite(pair.flow).all()
        assert pair.visible.dtype == bool


@pytest.mark.parametrize('arguments, words', [
    ((-1, 0), 'seed must be 0 or more'), ((0, -1), 'index must be 0 or more'),
    ((0, 0, (31, 40)), 'at least 32 pixels'), ((0, 0, (32, 32), 'dev'), 'split must be'),
])
def test_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        render_pair(*arguments)
