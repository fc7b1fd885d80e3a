"""Borders, dots and heat land where they should."""

import numpy as np

from segaware_mm.visualization.canvas import borders, draw_borders, draw_dots, glow, heat


def test_borders_lie_between_labels_alone():
    labels = np.zeros((6, 6), int)
    labels[:, 3:] = 1
    edge = borders(labels)
    assert edge[:, 3].all() and edge.sum() == 6
    assert not borders(np.zeros((3, 3), int)).any()
    assert borders(labels, width=3)[:, 2:5].all()


def test_draw_borders_changes_the_border_and_nothing_else():
    labels = np.arange(2).repeat(8).reshape(2, 8).T.repeat(2, 0)  # columns
    pixels = np.full(labels.shape + (3, ), 40, np.uint8)
    drawn = draw_borders(pixels, labels, color=(255, 0, 0), alpha=1.)
    edge = borders(labels)
    assert edge.any() and (drawn[edge] == (255, 0, 0)).all()
    assert (drawn[~edge] == 40).all() and (pixels == 40).all()


def test_a_dot_is_drawn_at_its_centre_with_a_white_ring():
    pixels = np.zeros((40, 60, 3), np.uint8)
    drawn = draw_dots(pixels, np.array([[20.5, 10.5]]),
                      np.array([[0, 200, 50]], np.uint8), 4.)
    assert drawn[10, 20].tolist() == [0, 200, 50]
    assert drawn[10, 25].min() > 150  # the ring
    assert (drawn[25:] == 0).all() and not pixels.any()
    y, x = np.nonzero(drawn[..., 1])
    assert abs(y.mean() - 10) < 0.1 and abs(x.mean() - 20) < 0.1


def test_no_dots_leave_the_picture():
    pixels = np.full((5, 5, 3), 7, np.uint8)
    drawn = draw_dots(pixels, np.zeros((0, 2)), np.zeros((0, 3), np.uint8), 3.)
    assert (drawn == 7).all()


def test_heat_grows_brighter_and_is_clipped():
    colors = heat(np.array([[-1., 0., .5, 1., 2.]]), 'inferno', 0, 1).astype(int)
    light = colors.sum(2)[0]
    assert light[0] == light[1] < light[2] < light[3] == light[4]
    same = heat(np.zeros((2, 2)), 'viridis', 0, 0)  # low = high is no division by 0
    assert (same == same[0, 0]).all()


def test_glow_shows_the_image_where_the_value_is_low():
    image = np.full((1, 2, 3), 200, np.uint8)
    shown = glow(image, np.array([[0., 1.]]), 'inferno').astype(int)
    assert shown[0, 0].tolist() == [110] * 3  # 0.55 of the grey
    assert shown[0, 1].tolist() == heat(np.ones((1, 1)), 'inferno', 0, 1)[0, 0].tolist()
