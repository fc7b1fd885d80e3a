"""Regions against labels: numbers counted by hand, and on a map of pixels."""

import numpy as np
import pytest

from segaware_mm.evaluation.region_statistics import region_statistics

REGIONS = np.array([[0, 0, 7], [0, 7, 7]])


def test_by_hand():
    truth = np.array([[1, 1, 2], [2, 2, 255]])
    # Region 0: 1, 1, 2; region 7: 2, 2 and a pixel without a label.
    assert region_statistics(REGIONS, truth) == (2, .5, 4, 5)
    assert region_statistics(REGIONS, truth, ignore_index=2) == (2, .5, 3, 3)


def test_without_labels():
    found = region_statistics(REGIONS)
    assert found == (2, .5, None, None)
    nothing = region_statistics(REGIONS, np.full((2, 3), 255))
    assert (nothing.pure, nothing.labelled) == (0, 0)


def test_extremes():
    truth = np.arange(12).reshape(3, 4) % 3
    single = region_statistics(np.arange(12).reshape(3, 4), truth)
    assert (single.regions, single.pure, single.labelled) == (12, 12, 12)
    one = region_statistics(np.zeros((3, 4), np.int64), truth)
    assert one == (1, 1., 4, 12)


def test_purity_cannot_fall_where_regions_are_split():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (20, 30))
    coarse = rng.integers(0, 5, (20, 30))
    fine = coarse * 3 + rng.integers(0, 3, (20, 30))
    pure = [region_statistics(r, truth).pure for r in (coarse, fine)]
    wanted = [sum(np.bincount(truth[r == k]).max() for k in np.unique(r))
              for r in (coarse, fine)]
    assert pure == wanted and pure[0] < pure[1]


def test_errors():
    with pytest.raises(ValueError, match='no pixel'):
        region_statistics(np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r'shape of regions \(2, 3\), got \(3, 2\)'):
        region_statistics(REGIONS, REGIONS.T)
