"""Maps and cells of a model come to lie on the right pixels of the image."""

import numpy as np
import pytest
import torch

from segaware_mm.visualization.geometry import Frame, enlarge, picture_size


def test_padding_is_cut_off_before_resizing():
    # Image 6 x 4 at half its size, padded at the right and the bottom.
    frame = Frame((4, 4), dict(ori_shape=(4, 6), img_shape=(2, 3)))
    maps = torch.full((1, 2, 4, 4), 9.)
    maps[..., :2, :3] = 1.
    for mode in ('bilinear', 'nearest'):
        on_image = frame.maps(maps, mode)
        assert tuple(on_image.shape) == (2, 4, 6)
        assert (on_image == 1).all()


def test_padding_of_the_preprocessor_is_left_right_top_bottom():
    frame = Frame((6, 8), dict(ori_shape=(4, 4), img_shape=(6, 8),
                               img_padding_size=(1, 3, 0, 2)))
    maps = torch.zeros(1, 1, 6, 8)
    maps[0, 0, :4, 1:5] = torch.arange(16.).view(4, 4)
    assert frame.maps(maps, 'nearest')[0].tolist() == torch.arange(
        16.).view(4, 4).tolist()


@pytest.mark.parametrize('meta, size', [
    (dict(ori_shape=(40, 60)), (40, 60)),
    (dict(ori_shape=(20, 30), img_shape=(40, 60)), (40, 60)),
    (dict(ori_shape=(30, 50), img_shape=(30, 50)), (40, 64)),
    (dict(ori_shape=(40, 60), img_padding_size=(2, 0, 8, 0)), (48, 62)),
], ids=['plain', 'resized', 'padded', 'padded-at-the-start'])
def test_the_centre_of_a_cell_lies_in_the_cell(meta, size):
    frame = Frame(size, meta)
    shape = (6, 7)
    cells = np.arange(42)
    on_image = frame.maps(torch.arange(42.).view(1, 1, *shape), 'nearest')[0].numpy()
    inside = 0
    for cell, (x, y) in zip(cells, frame.points(cells, shape)):
        if 0 <= x < on_image.shape[1] and 0 <= y < on_image.shape[0]:
            assert on_image[int(y), int(x)] == cell
            inside += 1
    assert inside >= 20


def test_boxes_leave_the_padding_and_the_scale_behind():
    # Image 60 x 20 (width x height) as 48 x 64 of an input of 96 x 64.
    frame = Frame((64, 96), dict(ori_shape=(20, 60), img_shape=(64, 48)))
    boxes = torch.tensor([[0., 0, 48, 64], [12, 16, 24, 32]])
    np.testing.assert_allclose(frame.boxes(boxes), [[0, 0, 60, 20], [15, 5, 30, 10]])
    moved = Frame((6, 8), dict(ori_shape=(8, 8), img_padding_size=(1, 3, 0, 2)))
    np.testing.assert_allclose(moved.boxes(torch.tensor([[1., 0, 3, 4]])), [[0, 0, 4, 8]])
    assert frame.boxes(torch.zeros(0, 4)).shape == (0, 4)


def test_small_images_grow_by_a_whole_factor_and_large_ones_shrink():
    assert picture_size(128, 160) == (384, 480)
    assert picture_size(128, 160, least=320) == (256, 320)
    assert picture_size(360, 480) == (360, 480)
    assert picture_size(1024, 2048) == (480, 960)
    assert picture_size(1, 4000) == (1, 960)


def test_a_tall_image_grows_no_higher_than_a_sheet_can_be():
    assert picture_size(2000, 12) == (1920, 12)
    assert picture_size(500, 12) == (1500, 36)
    assert picture_size(1, 12, least=480) == (40, 480)


def test_enlarging_keeps_every_value_where_not_smooth():
    labels = np.array([[0, 70000], [5, 2**40]])
    large = enlarge(labels, (4, 6))
    assert large.dtype == labels.dtype
    assert large[:2, :3].tolist() == [[0] * 3] * 2 and large[3, 5] == 2**40
    assert enlarge(large, (2, 2)).tolist() == labels.tolist()
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 4:] = 200
    smooth = enlarge(image, (2, 2), smooth=True)
    assert smooth.shape == (2, 2, 3) and smooth[0, 0, 0] < smooth[0, 1, 0]
