"""IoU of groups of classes."""

import numpy as np
import pytest
import torch
from mmseg.registry import METRICS

CLASSES = ('background', 'cat', 'dog', 'cow')
GROUPS = dict(seen=['dog', 'cow'], unseen=['cat'])


def evaluate(images, groups=GROUPS, classes=CLASSES):
    metric = METRICS.build(dict(type='ClassGroupIoUMetric', groups=groups))
    metric.dataset_meta = dict(classes=classes)
    for pred, label in images:
        metric.process({}, [dict(
            pred_sem_seg=dict(data=torch.as_tensor(pred)[None]),
            gt_sem_seg=dict(data=torch.as_tensor(label)[None]),
            img_path='some/image.png')])
    return metric.evaluate(len(images))


def test_a_metric_without_classes():
    metric = METRICS.build(dict(type='ClassGroupIoUMetric', groups=GROUPS))
    with pytest.raises(ValueError, match='ClassGroupIoUMetric needs the classes of the'):
        metric.process({}, [{}])


def test_by_hand():
    """The spec's T8: IoU 1, 1/2, 1/3; the last prediction lies in an ignored pixel."""
    got = evaluate([(np.array([[0, 1, 1], [2, 3, 0]]),
                     np.array([[0, 1, 2], [2, 2, 255]]))])
    # background 1/1, cat 1/2, dog 1/3, cow 0/1 (predicted, never there)
    assert got['group/mIoU'] == pytest.approx(100 * (1 + 1 / 2 + 1 / 3 + 0) / 4)
    assert got['group/mIoU_seen'] == pytest.approx(100 * (1 / 3) / 2)
    assert got['group/mIoU_unseen'] == pytest.approx(50)
    assert (got['group/classes_seen'], got['group/classes_unseen']) == (2, 1)


def test_counts_run_over_the_data_set():
    """One image of one pixel weighs less than one of nine."""
    small = (np.array([[1]]), np.array([[0]]))
    large = (np.ones((3, 3), int), np.ones((3, 3), int))
    assert evaluate([small, large])['group/mIoU_unseen'] == pytest.approx(90)


def test_it_agrees_with_mmseg_on_random_maps():
    rng = np.random.default_rng(0)
    images = [(rng.integers(0, 4, (9, 11)), rng.choice([0, 1, 2, 3, 255], (9, 11)))
              for _ in range(3)]
    theirs = METRICS.build(dict(type='IoUMetric', iou_metrics=['mIoU']))
    theirs.dataset_meta = dict(classes=CLASSES)
    for pred, label in images:
        theirs.process({}, [dict(
            pred_sem_seg=dict(data=torch.as_tensor(pred)[None]),
            gt_sem_seg=dict(data=torch.as_tensor(label)[None]))])
    wanted = theirs.evaluate(3)['mIoU']
    assert evaluate(images)['group/mIoU'] == pytest.approx(wanted, abs=.006)


def test_a_group_that_never_occurs_is_nan():
    got = evaluate([(np.zeros((2, 2), int), np.zeros((2, 2), int))])
    assert np.isnan(got['group/mIoU_unseen']) and got['group/classes_unseen'] == 0
    assert got['group/mIoU'] == 100


def test_errors():
    image = np.zeros((2, 2), int)
    with pytest.raises(ValueError, match=r"'cart', which the data set lacks\. "
                       r'Did you mean cat\?'):
        evaluate([(image, image)], dict(unseen=['cart']))
    with pytest.raises(ValueError, match='prediction of some/image.png has class 4'):
        evaluate([(image + 4, image)])
    with pytest.raises(ValueError, match=r'size \(2, 2\), its label \(1, 2\)'):
        evaluate([(image, image[:1])])
    with pytest.raises(ValueError, match='groups is empty'):
        evaluate([], {})
    with pytest.raises(ValueError, match='must be a list of class names'):
        evaluate([], dict(unseen='cat'))
