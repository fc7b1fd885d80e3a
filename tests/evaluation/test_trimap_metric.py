"""Distances to boundaries, and IoU in bands around them."""

import numpy as np
import pytest
import torch
from mmseg.registry import METRICS

from segaware_mm.evaluation.boundary_distance import boundary_distance
from segaware_mm.evaluation.trimap_metric import TrimapIoUMetric


def brute_force(labels, ignore, void_is_other):
    out = np.full(labels.shape, np.inf)
    for y, x in np.argwhere(labels != ignore):
        others = np.argwhere((labels != labels[y, x])
                             & (void_is_other | (labels != ignore)))
        if len(others):
            out[y, x] = np.sqrt(((others - (y, x))**2).sum(1)).min()
    return out


@pytest.mark.parametrize('void_is_other', [False, True])
def test_the_distance_to_another_label(void_is_other):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (4, 5)).repeat(5, 0).repeat(6, 1)
    labels[3:9, 10:14] = 255
    np.testing.assert_allclose(
        boundary_distance(labels, 255, void_is_other),
        brute_force(labels, 255, void_is_other), rtol=1e-5)


def test_one_label_has_no_boundary():
    assert np.isinf(boundary_distance(np.zeros((4, 6), np.uint8))).all()
    assert np.isinf(boundary_distance(np.full((4, 6), 255, np.uint8))).all()
    assert boundary_distance(np.array([[0, 1]], np.uint8)).tolist() == [[1, 1]]


def evaluate(images, **kwargs):
    metric = METRICS.build(dict(type='TrimapIoUMetric', **kwargs))
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    for pred, label in images:
        metric.process({}, [dict(
            pred_sem_seg=dict(data=torch.as_tensor(pred)[None]),
            gt_sem_seg=dict(data=torch.as_tensor(label)[None]))])
    return metric.evaluate(len(images))


def test_by_hand():
    """Ten columns, the boundary in the middle; the prediction is one pixel late."""
    label = np.zeros((1, 10), np.int64)
    label[:, 5:] = 1
    pred = np.zeros((1, 10), np.int64)
    pred[:, 6:] = 1
    got = evaluate([(pred, label)], radii=(1, 2, 5))
    # r = 1: pixels 4, 5, both called a: IoU of a 1/2, of b 0/1.
    assert got['trimap/mIoU@1'] == pytest.approx(25)
    # r = 2: a 2/3, b 1/2; r = 5: a 5/6, b 4/5.
    assert got['trimap/mIoU@2'] == pytest.approx(100 * (2 / 3 + 1 / 2) / 2)
    assert got['trimap/mIoU@5'] == pytest.approx(100 * (5 / 6 + 4 / 5) / 2)


def test_a_wide_band_is_the_plain_iou():
    from mmseg.evaluation import IoUMetric
    rng = np.random.default_rng(1)
    images = []
    for _ in range(3):
        label = rng.integers(0, 3, (5, 6)).repeat(4, 0).repeat(4, 1)
        label[:2] = 255
        images.append((rng.integers(0, 3, label.shape), label))
    areas = [np.sum(a, axis=0) for a in zip(*(
        [part.numpy() for part in IoUMetric.intersect_and_union(
            torch.as_tensor(p), torch.as_tensor(t), 3, 255)] for p, t in images))]
    got = evaluate(images, radii=(1, 1000))
    assert got['trimap/mIoU@1000'] == pytest.approx(100 * (areas[0] / areas[1]).mean())
    assert got['trimap/mIoU@1'] != pytest.approx(got['trimap/mIoU@1000'])


def test_an_empty_band_is_nan_and_a_good_prediction_100():
    flat = np.zeros((3, 3), np.int64)
    assert np.isnan(evaluate([(flat, flat)], radii=(1, ))['trimap/mIoU@1'])
    label = flat.copy()
    label[:, 1:] = 2
    assert evaluate([(label, label)], radii=(1, ))['trimap/mIoU@1'] == 100


def test_errors():
    for radii in ((), (0, 1), (3, 2), (1, 1)):
        with pytest.raises(ValueError, match='radii must be increasing'):
            TrimapIoUMetric(radii)
    with pytest.raises(ValueError, match=r'has size \(2, 2\), its label \(3, 3\)'):
        evaluate([(np.zeros((2, 2), np.int64), np.zeros((3, 3), np.int64))])


@pytest.mark.parametrize('pred, label, text', [
    (0, 3, 'the label of an image has class 3; the data set has the classes 0..2'),
    (4, 0, 'the prediction of an image has class 4')])
def test_classes_that_are_not_there_are_named(pred, label, text):
    """They were counted as others."""
    labels = np.zeros((6, 6), np.int64)
    labels[3:] = 1
    preds = labels.copy()
    labels[3, 3] = label
    preds[3, 3] = pred
    with pytest.raises(ValueError, match=text):
        evaluate([(preds, labels)])


def test_what_is_kept_of_an_image_does_not_grow_with_pairs_of_classes():
    metric = METRICS.build(dict(type='TrimapIoUMetric', radii=(1, 2)))
    labels = np.arange(40).reshape(5, 8) % 7
    assert metric.counts(labels, labels, 150).shape == (3, 2, 150)
