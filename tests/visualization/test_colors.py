"""Colours of regions and classes."""

import numpy as np
import pytest

from segaware_mm.visualization.colors import (
    VOID_COLOR,
    class_palette,
    instance_colors,
    neighbours,
    overlay,
    paint_classes,
    region_colors,
)


def voronoi(seeds: int, shape=(40, 50)) -> np.ndarray:
    """Return a map of regions around random points, numbered without gaps."""
    rng = np.random.default_rng(seeds)
    points = rng.random((seeds, 2)) * shape
    y, x = np.mgrid[:shape[0], :shape[1]]
    distance = (y[..., None] - points[:, 0])**2 + (x[..., None] - points[:, 1])**2
    return np.unique(distance.argmin(2), return_inverse=True)[1].reshape(shape)


def nested_rings(count: int) -> np.ndarray:
    """One region beside ``count`` others: single cells in its row."""
    labels = np.zeros((3, 2 * count + 1), int)
    labels[1, 1::2] = np.arange(1, count + 1)
    return labels


def test_neighbours_touch_by_edge_or_corner():
    labels = np.array([[0, 0, 1], [2, 0, 1], [2, 3, 3]])
    assert neighbours(labels) == {0: [1, 2, 3], 1: [0, 3], 2: [0, 3], 3: [0, 1, 2]}
    assert neighbours(np.zeros((4, 1), int)) == {}


def test_neighbours_by_the_other_diagonal():
    assert neighbours(np.array([[0, 1], [1, 2]]))[0] == [1, 2]
    assert neighbours(np.array([[1, 0], [2, 1]]))[0] == [1, 2]


@pytest.mark.parametrize('labels', [
    voronoi(5), voronoi(60), voronoi(400), np.arange(30 * 31).reshape(30, 31),
    nested_rings(50)], ids=['few', 'many', 'small', 'singletons', 'star'])
def test_neighbouring_regions_are_clearly_apart(labels):
    colors = region_colors(labels).astype(int)
    assert colors.shape == (labels.max() + 1, 3)
    gaps = [np.abs(colors[one] - colors[other]).max()
            for one, others in neighbours(labels).items() for other in others]
    assert min(gaps) > 30


def test_one_region_and_one_pixel_have_a_colour():
    assert region_colors(np.zeros((4, 6), int)).shape == (1, 3)
    assert region_colors(np.zeros((1, 1), int)).shape == (1, 3)


def test_colours_depend_on_the_map_alone():
    labels = voronoi(60)
    assert (region_colors(labels) == region_colors(labels.copy())).all()


def test_colours_of_instances_are_far_apart_and_each_keeps_its_own():
    many = instance_colors(100)
    assert many.shape == (100, 3) and many.dtype == np.uint8
    assert len(np.unique(many, axis=0)) == 100
    for count in (0, 1, 7, 30):
        assert (instance_colors(count) == many[:count]).all()
    gaps = [np.abs(many[k].astype(int) - many[:k]).max(1).min() for k in range(1, 100)]
    assert min(gaps[:11]) > 60 and min(gaps[:23]) > 15
    assert instance_colors(300).shape == (300, 3)


def test_void_is_painted_black_and_classes_in_their_colour():
    palette = np.array([[10, 20, 30], [200, 100, 0]], np.uint8)
    painted = paint_classes(np.array([[0, 1], [255, -1]]), palette)
    assert painted.tolist() == [[[10, 20, 30], [200, 100, 0]],
                                [list(VOID_COLOR)] * 2]


def test_a_palette_is_made_up_where_there_is_none():
    assert class_palette([[1, 2, 3], [4, 5, 6]], 2).tolist() == [[1, 2, 3], [4, 5, 6]]
    made = class_palette([], 11)
    assert made.shape == (11, 3) and len(np.unique(made, axis=0)) == 11


def test_overlay_mixes_with_grey():
    image = np.full((1, 1, 3), 100, np.uint8)
    red = np.array([[[200, 0, 0]]], np.uint8)
    assert overlay(image, red, 0.).tolist() == [[[100, 100, 100]]]
    assert overlay(image, red, 1.).tolist() == [[[200, 0, 0]]]
    assert overlay(image, red, 0.5).tolist() == [[[150, 50, 50]]]
