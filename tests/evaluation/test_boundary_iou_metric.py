"""Bands along contours, and Boundary IoU of label maps."""

import tracemalloc

import numpy as np
import pytest
import torch
from mmseg.registry import METRICS

from segaware_mm.evaluation.boundary_band import band_radius, label_bands, mask_band
from segaware_mm.evaluation.boundary_distance import boundary_distance
from segaware_mm.evaluation.boundary_iou_metric import BoundaryIoUMetric


def near(inside, outside, radius):
    """Whether a pixel outside, or the frame, is within the radius: every pair is seen."""
    height, width = inside.shape
    out = np.zeros(inside.shape, bool)
    others = np.argwhere(outside)
    for y, x in np.argwhere(inside):
        to_frame = min(y, x, height - 1 - y, width - 1 - x) + 1
        to_other = (np.abs(others - (y, x)).max(1).min() if len(others) else np.inf)
        out[y, x] = min(to_frame, to_other) <= radius
    return out


def slow_iou(images, classes, ratio, ignore=255, void_is_other=False):
    """Boundary IoU of every class, from the definition."""
    both, either = np.zeros(classes), np.zeros(classes)
    for pred, label in images:
        radius = max(1, round(ratio * (label.shape[0]**2 + label.shape[1]**2)**.5))
        void = label == ignore
        for c in range(classes):
            bands = []
            for labels in (label, pred):
                mask = (labels == c) & ~void
                outside = ~mask if void_is_other else ~mask & ~void
                bands.append(near(mask, outside, radius))
            both[c] += (bands[0] & bands[1]).sum()
            either[c] += (bands[0] | bands[1]).sum()
    with np.errstate(invalid='ignore'):
        return 100 * both / either


def blocks(rng, classes=4, void=True, shape=(5, 6), size=(5, 4)):
    label = rng.integers(0, classes, shape).repeat(size[0], 0).repeat(size[1], 1)
    pred = np.roll(label, (1, -2), (0, 1))
    pred[6:9, 3:15] = rng.integers(0, classes)
    if void:
        label[4:8, 5:17] = 255
    return pred, label


def evaluate(images, names=('a', 'b', 'c', 'd'), **kwargs):
    metric = METRICS.build(dict(type='BoundaryIoUMetric', **kwargs))
    metric.dataset_meta = dict(classes=names)
    for pred, label in images:
        metric.process({}, [dict(
            pred_sem_seg=dict(data=torch.as_tensor(pred)[None]),
            gt_sem_seg=dict(data=torch.as_tensor(label)[None]))])
    return metric.evaluate(len(images))


def test_the_width_of_bands():
    assert band_radius(480, 640, 0.02) == 16
    assert band_radius(1024, 2048, 0.005) == 11
    assert band_radius(5, 5, 0.02) == 1


@pytest.mark.parametrize('radius', [1, 2, 4, 1000])
@pytest.mark.parametrize('void_is_other', [False, True])
def test_bands_of_labels(radius, void_is_other):
    _, label = blocks(np.random.default_rng(0))
    got = label_bands(label, radius, 255, void_is_other)
    for c in range(4):
        mask = label == c
        outside = ~mask if void_is_other else ~mask & (label != 255)
        np.testing.assert_array_equal(got & mask, near(mask, outside, radius))
    assert not got[label == 255].any()
    # A square holds the circle of the same radius.
    assert got[boundary_distance(label, 255, void_is_other) <= radius].all()


@pytest.mark.parametrize('radius', [1, 2, 4, 1000])
def test_bands_of_masks(radius):
    mask = blocks(np.random.default_rng(3), 2)[0]
    for inside in (mask, mask * 0, mask * 0 + 1, mask[:, ::2].T, mask[:1, :1] * 0 + 1):
        got = mask_band(inside, radius)
        assert got.dtype == np.uint8 and got.shape == inside.shape
        np.testing.assert_array_equal(got, near(inside > 0, inside == 0, radius))


def test_by_hand():
    """A square of 6 x 6 and its prediction one column to the right; d = 2.

    The bands are rings of 36 - 4 pixels. They share 24: of the 5 x 6 that both squares
    hold, the 3 x 2 in the middle belong to the core of one or of both.
    """
    label = np.zeros((12, 12), np.int64)
    label[3:9, 3:9] = 1
    pred = np.roll(label, 1, 1)
    mine, theirs = (np.zeros((12, 12), bool) for _ in range(2))
    theirs[3:9, 3:9] = True
    theirs[5:7, 5:7] = False
    mine[3:9, 4:10] = True
    mine[5:7, 6:8] = False
    both, either = (mine & theirs).sum(), (mine | theirs).sum()
    assert (both, either) == (24, 40)
    got = evaluate([(pred, label)], ('a', 'b'), ratio=2 / np.hypot(12, 12))
    assert got['boundary/IoU_b'] == pytest.approx(60)


@pytest.mark.parametrize('void_is_boundary', [False, True])
@pytest.mark.parametrize('ratio', [0.02, 0.06, 0.2])
def test_against_the_definition(ratio, void_is_boundary):
    rng = np.random.default_rng(1)
    images = [blocks(rng), blocks(rng, void=False), blocks(rng, 3, size=(4, 7))]
    wanted = slow_iou(images, 5, ratio, void_is_other=void_is_boundary)
    got = evaluate(images, tuple('abcde'), ratio=ratio, void_is_boundary=void_is_boundary)
    assert [got[f'boundary/IoU_{name}'] for name in 'abcde'] == pytest.approx(
        wanted.tolist(), nan_ok=True)
    assert np.isnan(got['boundary/IoU_e'])  # occurs in neither
    assert got['boundary/mIoU'] == pytest.approx(np.nanmean(wanted))
    assert 0 < got['boundary/mIoU'] < 100


def test_wide_bands_are_the_plain_iou():
    rng = np.random.default_rng(2)
    images = [blocks(rng), blocks(rng)]
    classes = range(4)
    both = [sum(((p == c) & (t == c)).sum() for p, t in images) for c in classes]
    either = [sum((((p == c) & (t != 255)) | (t == c)).sum() for p, t in images)
              for c in classes]
    got = evaluate(images, ratio=0.9)
    assert got['boundary/mIoU'] == pytest.approx(
        100 * np.mean(np.divide(both, either)))


def test_pixels_that_are_ignored_change_nothing():
    pred, label = blocks(np.random.default_rng(4))
    other = np.where(label == 255, 3 - pred, pred)
    assert (other != pred).any()
    assert evaluate([(pred, label)]) == evaluate([(other, label)])
    right = np.where(label == 255, 2, label)
    assert evaluate([(right, label)])['boundary/mIoU'] == 100
    void = np.full_like(label, 255)
    assert np.isnan(evaluate([(pred, void)])['boundary/mIoU'])


def test_a_wrong_inside_is_no_error_but_its_contour_is():
    """The trimap of the truth does not see a hole far from its boundaries."""
    label = np.zeros((40, 40), np.int64)
    label[:, 20:] = 1
    pred = label.copy()
    pred[15:20, 5:10] = 1
    trimap = METRICS.build(dict(type='TrimapIoUMetric', radii=(2, )))
    assert trimap.counts(pred, label, 2)[1:].sum() == 2 * 160
    assert np.array_equal(*trimap.counts(pred, label, 2)[:2])
    metric = BoundaryIoUMetric(ratio=2 / np.hypot(40, 40))
    both, theirs, mine = metric.counts(pred, label, 2)
    assert both.tolist() == theirs.tolist()  # all of the truth's contour is found
    assert (mine - theirs).tolist() == [9**2 - 5**2, 5**2 - 1]


def test_one_pixel_and_other_types():
    one = np.zeros((1, 1), np.int64)
    assert evaluate([(one, one)])['boundary/mIoU'] == 100
    pred, label = blocks(np.random.default_rng(5))
    wide = np.repeat(label, 2, 1).astype(np.uint8)[:, ::2]  # not contiguous
    assert evaluate([(pred, wide)]) == evaluate([(pred, label)])


def test_errors():
    for ratio in (0, 1, -0.1, True, '2%', None):
        with pytest.raises(ValueError, match=r'ratio is the width .* in \(0, 1\) as '
                           r'0\.02, got'):
            BoundaryIoUMetric(ratio)
    with pytest.raises(ValueError, match=r'has size \(2, 2\), its label \(3, 3\)'):
        evaluate([(np.zeros((2, 2), np.int64), np.zeros((3, 3), np.int64))])
    with pytest.raises(ValueError, match='prediction of an image has class 4'):
        evaluate([(np.full((3, 3), 4), np.zeros((3, 3), np.int64))])


def test_memory_does_not_grow_with_classes_or_images():
    metric = BoundaryIoUMetric()
    label = np.random.default_rng(6).integers(0, 150, (256, 512))
    tracemalloc.start()
    try:
        peaks = []
        for classes in (150, 2):
            tracemalloc.reset_peak()
            counts = metric.counts(label % classes, label % classes, classes)
            peaks.append(tracemalloc.get_traced_memory()[1])
            assert counts.shape == (3, classes)
    finally:
        tracemalloc.stop()
    assert peaks[0] < 1.2 * peaks[1]
    assert peaks[0] < 8 * label.nbytes  # maps of int64, 1 MB each
