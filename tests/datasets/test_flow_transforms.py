"""Augmentation of pairs: what moves together, and the sign of u."""

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv')

from segaware_mm.datasets.flow.preprocessor import FlowDataPreprocessor  # noqa: E402
from segaware_mm.datasets.flow.transforms import (  # noqa: E402
    FlowPhotometricJitter,
    FlowRandomCrop,
    FlowRandomFlip,
)


@pytest.fixture
def pair():
    """A pair whose arrays all say where a pixel was."""
    number = np.arange(48, dtype=np.uint8).reshape(6, 8)
    image = np.repeat(number[..., None], 3, 2)
    flow = np.stack([number, number + 100], 2).astype(np.float32)
    return dict(img=image, img2=image + 50, flow=flow, known=number % 3 > 0,
                layers=number.copy())


def test_crop_takes_one_window(pair):
    np.random.seed(0)
    out = FlowRandomCrop((3, 4)).transform(dict(pair))
    number = out['layers']
    assert number.shape == (3, 4) and out['img_shape'] == (3, 4)
    np.testing.assert_array_equal(out['img'][..., 1], number)
    np.testing.assert_array_equal(out['img2'][..., 2], number + 50)
    np.testing.assert_array_equal(out['flow'][..., 1], number + 100.)
    np.testing.assert_array_equal(out['known'], number % 3 > 0)


def test_crop_reaches_every_corner(pair):
    np.random.seed(0)
    found = {int(FlowRandomCrop((5, 7)).transform(dict(pair))['layers'][0, 0])
             for _ in range(60)}
    assert found == {0, 1, 8, 9}


def test_crop_that_does_not_fit(pair):
    with pytest.raises(ValueError, match=r'\(7, 4\).*does not fit.*\(6, 8\)'):
        FlowRandomCrop((7, 4)).transform(pair)
    with pytest.raises(ValueError, match='crop_size must be height and width'):
        FlowRandomCrop((0, 4))


def test_flip_changes_the_sign_of_u_alone(pair):
    before = pair['layers'].copy()
    out = FlowRandomFlip(1.).transform(pair)
    np.testing.assert_array_equal(out['layers'], before[:, ::-1])
    np.testing.assert_array_equal(out['flow'][..., 0], -before[:, ::-1].astype(float))
    np.testing.assert_array_equal(out['flow'][..., 1], before[:, ::-1] + 100.)
    assert out['flow'].dtype == np.float32 and out['flip'] is True


def test_flipped_flow_still_leads_to_the_same_place():
    """A dot at column 1 that moves by 3: mirrored, from 6 by -3."""
    first, second = np.zeros((2, 1, 8, 3), np.uint8)
    first[0, 1], second[0, 4] = 255, 255
    flow = np.zeros((1, 8, 2), np.float32)
    flow[0, 1, 0] = 3
    out = FlowRandomFlip(1.).transform(dict(img=first, img2=second, flow=flow))
    start = int(out['img'][0, :, 0].argmax())
    assert start == 6
    assert out['img2'][0, :, 0].argmax() == start + out['flow'][0, start, 0]


def test_flip_probability(pair):
    assert FlowRandomFlip(0.).transform(dict(pair))['flip'] is False
    with pytest.raises(ValueError, match='prob must be in'):
        FlowRandomFlip(1.5)


def test_jitter_without_spread_changes_nothing(pair):
    before = {key: pair[key].copy() for key in pair}
    out = FlowPhotometricJitter(0, 0, 0, 0, 0, 0).transform(pair)
    for key, value in before.items():
        np.testing.assert_array_equal(out[key], value)


def test_jitter_keeps_the_images_alike():
    np.random.seed(1)
    image = np.tile(np.arange(0, 250, 5, dtype=np.uint8)[:, None, None], (1, 4, 3))
    changed, apart = 0, 0
    for _ in range(20):
        out = FlowPhotometricJitter(noise=0).transform(dict(img=image, img2=image))
        assert out['img'].dtype == np.uint8
        changed += np.abs(out['img'].astype(int) - image).mean() / 20
        apart += np.abs(out['img'].astype(int) - out['img2']).mean() / 20
    assert changed > 10 and 0 < apart < .35 * changed
    same = FlowPhotometricJitter(difference=0, noise=0).transform(
        dict(img=image, img2=image))
    np.testing.assert_array_equal(same['img'], same['img2'])


def test_preprocessor_orders_and_scales_both_images():
    data = dict(inputs=[torch.arange(6, dtype=torch.uint8).view(6, 1, 1).expand(6, 2, 3)])
    out = FlowDataPreprocessor(mean=[1., 2., 3.], std=[1., 2., 4.])(data)
    assert out['inputs'].shape == (1, 6, 2, 3)
    wanted = [(2 - 1) / 1, (1 - 2) / 2, (0 - 3) / 4,
              (5 - 1) / 1, (4 - 2) / 2, (3 - 3) / 4]
    assert out['inputs'][0, :, 0, 0].tolist() == wanted
    assert out['data_samples'] is None
    plain = FlowDataPreprocessor(std=[1.] * 3, bgr_to_rgb=False)(data)
    assert plain['inputs'][0, :, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_preprocessor_wants_one_size():
    data = dict(inputs=[torch.zeros(6, 2, 3), torch.zeros(6, 2, 4)])
    with pytest.raises(ValueError, match='of one size.*set batch_size=1'):
        FlowDataPreprocessor()(data)
    with pytest.raises(ValueError, match='mean must be three numbers'):
        FlowDataPreprocessor(mean=[0.])
