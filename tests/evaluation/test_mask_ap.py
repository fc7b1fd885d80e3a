"""Matching and average precision against hand numbers and a count in fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segaware_mm.evaluation.mask_ap import (
    average_precision,
    class_average_precision,
    match_detections,
    recall_and_precision,
)


def curve(flags, positives):
    return recall_and_precision(-np.arange(len(flags)), np.array(flags), positives)


def counted(flags, positives, mode):
    """Average precision in fractions, from its definition."""
    flags = [flag for flag in flags if flag >= 0]
    points = []
    for k in range(1, len(flags) + 1):
        true = sum(flag == 1 for flag in flags[:k])
        points.append((Fraction(true, positives), Fraction(true, k)))

    def best(least):
        return max((p for r, p in points if r >= least), default=Fraction(0))

    if mode == '11points':
        return sum(best(Fraction(i, 10)) for i in range(11)) / 11
    # The best precision as a function of recall has a step at every instance.
    return sum(best(Fraction(i, positives)) for i in range(1, positives + 1)) / positives


@pytest.mark.parametrize('flags, points, area', [
    ([1, 0, 1, 1, 0], .840909, .833333), ([1, 0, 1, 0, 0], .545455, .555556)])
def test_m9(flags, points, area):
    recall, precision = curve(flags, 3)
    assert average_precision(recall, precision) == pytest.approx(points, abs=5e-7)
    assert average_precision(recall, precision, 'area') == pytest.approx(area, abs=5e-7)


def test_recalls_a_rounding_error_below_a_point():
    """Recalls of .3, .6 and .7 that floating sums leave one ulp below count there."""
    exact = np.array([.3, .6, .7])
    below = np.nextafter(exact, 0)
    assert (below < np.arange(11)[[3, 6, 7]] / 10).all()
    precision = np.array([1., .75, .5])
    wanted = (4 * 1 + 3 * .75 + 1 * .5) / 11
    assert average_precision(exact, precision) == pytest.approx(wanted)
    assert average_precision(below, precision) == pytest.approx(wanted)
    # Further below, it is another recall.
    assert average_precision(exact - 1e-9, precision) == pytest.approx(
        (3 * 1 + 3 * .75 + 1 * .5) / 11)
    flags = [1] * 3 + [0] * 2 + [1] * 3 + [0] * 7 + [1]
    assert average_precision(*curve(flags, 10)) == pytest.approx(
        float(counted(flags, 10, '11points')))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([1, 0, -1]), max_size=25), st.integers(1, 12))
def test_average_precision_in_fractions(flags, missed):
    positives = max(1, flags.count(1) + missed - 1)
    for mode in ('11points', 'area'):
        got = average_precision(*curve(flags, positives), mode)
        assert got == pytest.approx(float(counted(flags, positives, mode)), abs=1e-12)


def test_agrees_with_upstream_where_that_has_no_rounding():
    upstream = pytest.importorskip('mmdet.evaluation.functional').average_precision
    rng = np.random.default_rng(0)
    for positives in (7, 13, 29):  # no recall is a multiple of 1 / 10, but 0 and 1
        recall, precision = curve(rng.random(40) < positives / 80, positives)
        for mode in ('11points', 'area'):
            assert average_precision(recall, precision, mode) == pytest.approx(
                float(upstream(recall, precision, mode)), abs=1e-6)


def test_edges_of_average_precision():
    nothing = np.zeros(0)
    assert average_precision(nothing, nothing) == 0
    assert average_precision(nothing, nothing, 'area') == 0
    for mode in ('11points', 'area'):
        assert average_precision(*curve([1, 1], 2), mode) == pytest.approx(1)
        assert average_precision(*curve([0, 0], 2), mode) == 0
        assert average_precision(*curve([-1, -1], 2), mode) == 0
    with pytest.raises(ValueError, match="mode must be '11points' or 'area', got 'voc'"):
        average_precision(nothing, nothing, 'voc')
    ap = class_average_precision(np.array([.5]), np.array([[1], [0]]), 0)
    assert np.isnan(ap).tolist() == [True, True]
    ap = class_average_precision(np.zeros(0), np.zeros((2, 0), np.int8), 3)
    assert ap.tolist() == [0, 0]


def test_equal_scores_keep_their_order():
    flags = np.array([1, 0, 1, 0])
    first = recall_and_precision(np.array([.5, .5, .9, .5]), flags, 2)
    assert first[1].tolist() == [1, 1, 2 / 3, 2 / 4]


# ----------------------------------------------------------------- matching


def test_a_second_detection_does_not_move_on():
    """Unlike COCO: the second overlaps the taken instance most, and is an error."""
    ious = np.array([[.9, .0], [.8, .6], [.1, .6]])
    assert match_detections(ious, [.5]).tolist() == [[1, 0, 1]]
    assert match_detections(ious, [.5, .7, .85]).tolist() == [
        [1, 0, 1], [1, 0, 0], [1, 0, 0]]


def test_an_iou_that_equals_the_threshold_is_enough():
    ious = np.array([[7 / 10], [1 / 2]])
    assert match_detections(ious[:1], [.7, np.nextafter(.7, 1)]).tolist() == [[1], [0]]
    assert match_detections(ious[1:], [.5]).tolist() == [[1]]


def test_equal_ious_belong_to_the_first_instance():
    ious = np.array([[.5, .5], [.5, .5]])
    assert match_detections(ious, [.5]).tolist() == [[1, 0]]


def test_ignored_instances():
    ious = np.array([[.2, .9], [.1, .8], [.6, .5], [.3, .4]])
    ignore = np.array([False, True])
    assert match_detections(ious, [.5], ignore).tolist() == [[-1, -1, 1, 0]]
    assert match_detections(ious, [.85], ignore).tolist() == [[-1, 0, 0, 0]]


def test_nothing_to_match():
    for shape in ((0, 3), (4, 0), (0, 0)):
        found = match_detections(np.zeros(shape), [.5, .7])
        assert found.shape == (2, shape[0]) and not found.any()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_matching_by_hand(data):
    """One threshold, one detection, one instance at a time."""
    detections, instances = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 4))
    tenths = st.integers(0, 10).map(lambda n: n / 10)
    ious = np.array(data.draw(st.lists(
        tenths, min_size=detections * instances,
        max_size=detections * instances))).reshape(detections, instances)
    ignore = np.array(data.draw(st.lists(
        st.booleans(), min_size=instances, max_size=instances)), bool)
    thresholds = [.3, .5, .7]
    got = match_detections(ious, thresholds, ignore)
    for row, threshold in zip(got.tolist(), thresholds):
        taken, wanted = set(), []
        for d in range(detections):
            best, owner = -1, None
            for g in range(instances):
                if ious[d, g] > best:
                    best, owner = ious[d, g], g
            if owner is None or best < threshold:
                wanted.append(0)
            elif ignore[owner]:
                wanted.append(-1)
            else:
                wanted.append(int(owner not in taken))
                taken.add(owner)
        assert row == wanted
