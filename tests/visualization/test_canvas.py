"""Borders, dots and heat land where they should."""

import numpy as np

from segaware_mm.visualization.canvas import (
    borders,
    draw_borders,
    draw_boxes,
    draw_dots,
    glow,
    heat,
)


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


RED, BLUE = [255, 0, 0], [0, 0, 255]


def test_a_box_is_its_outline_inside_its_pixels():
    pixels = np.full((20, 30, 3), 40, np.uint8)
    drawn = draw_boxes(pixels, np.array([[4., 3, 12, 9]]), np.array([RED]), np.ones(1), 2)
    ring = np.zeros((20, 30), bool)
    ring[3:9, 4:12] = True
    ring[5:7, 6:10] = False
    assert (drawn[ring] == RED).all() and (drawn[~ring] == 40).all()
    assert (pixels == 40).all()


def test_lines_mix_by_their_opacity_and_the_last_box_is_on_top():
    pixels = np.full((20, 30, 3), 40, np.uint8)
    boxes = np.array([[4., 3, 12, 9], [4, 3, 20, 15]])
    drawn = draw_boxes(pixels, boxes, np.array([RED, BLUE]), np.array([1., 1.]))
    assert drawn[3, 8].tolist() == BLUE and drawn[8, 8].tolist() == RED
    half = draw_boxes(pixels, boxes[:1], np.array([RED]), np.array([.5]))
    assert half[3, 8].tolist() == [148, 20, 20]


def test_dashes_have_gaps_as_long_as_they_are():
    pixels = np.zeros((20, 60, 3), np.uint8)
    drawn = draw_boxes(pixels, np.array([[0., 0, 60, 20]]), np.array([RED]), np.ones(1),
                       dash=5)
    line = drawn[0, :, 0] > 0
    assert line.reshape(-1, 5).all(1).tolist() == [True, False] * 6


def test_boxes_without_area_or_outside_are_at_the_border():
    pixels = np.zeros((6, 8, 3), np.uint8)
    boxes = np.array([[3., 2, 3, 2], [20, 20, 30, 30], [-9, -9, 90, 90]])
    for box, wanted in zip(boxes, (1, 1, 24)):
        drawn = draw_boxes(pixels, box[None], np.array([RED]), np.ones(1))
        assert (drawn[..., 0] > 0).sum() == wanted
    assert (draw_boxes(pixels, boxes[:0], np.zeros((0, 3)), np.zeros(0)) == 0).all()
