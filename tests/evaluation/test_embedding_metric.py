"""Pairs of neighbours, near or far, of one label or of two."""

import math

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from segaware_mm.evaluation.embedding_metric import EmbeddingPairMetric  # noqa: E402

LABEL = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 255]])


def score(embedding, label=LABEL, **kwargs):
    metric = EmbeddingPairMetric(**kwargs)
    metric.process(None, [dict(seg_logits=dict(data=embedding),
                               gt_sem_seg=dict(data=label[None]))])
    return metric.compute_metrics(metric.results)


def test_a_perfect_embedding_is_right_everywhere():
    found = score(3. * LABEL.clamp(max=1)[None].float())
    assert found == dict(same=100., other=100., balanced=100.)


def test_a_constant_embedding_says_nothing():
    assert score(torch.zeros(2, 2, 4)) == dict(same=100., other=0., balanced=50.)


def test_pairs_are_counted_by_hand():
    # Ordered pairs at dilation 1. Label 0: its four pixels touch one another, 12;
    # label 1: three pixels, of which each touches each, 6. Other labels: 4.
    embedding = torch.tensor([[[0., 0., 0., 2.], [0., 0., 2., 2.]]])
    counts = EmbeddingPairMetric(dilations=(1, )).count(embedding[None], LABEL[None])
    # Far: (0,2) from its two neighbours of label 1; near: of label 0, two by two.
    assert counts.tolist() == [[14, 4], [4, 4]]
    found = score(embedding, dilations=(1, ))
    assert found['same'] == pytest.approx(100 * 14 / 18)
    assert found['other'] == pytest.approx(50.)


def test_ignored_pixels_and_the_border_make_no_pairs():
    counts = EmbeddingPairMetric(dilations=(1, 5)).count(
        torch.zeros(1, 1, 2, 4), torch.full((1, 2, 4), 255))
    assert not counts.any() and counts.dtype == np.int64
    assert math.isnan(score(torch.zeros(1, 2, 4), torch.zeros(2, 4).long())['other'])


def test_another_size_is_an_error():
    with pytest.raises(ValueError, match=r'size \(2, 3\), its label \(2, 4\)'):
        score(torch.zeros(1, 2, 3))


def test_an_embedding_that_is_not_a_number_is_wrong_everywhere():
    """Its pairs of one label counted as near."""
    found = score(torch.full((2, 2, 4), math.nan))
    assert found == dict(same=0., other=0., balanced=0.)
