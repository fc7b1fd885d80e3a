"""Score maps of boxes, joined: by hand, and against the reference."""

import pytest
import torch

from segaware_mm.ops.reference import score_aggregation as reference
from segaware_mm.ops.score_aggregation import aggregate_scores, box_windows


def parts(*sizes, boxes=((0, 0, 4, 3), (1, 1, 6, 5), (3, 0, 4, 1)), classes=2, seed=0):
    """Random scores of the given numbers of boxes."""
    generator = torch.Generator().manual_seed(seed)
    windows = torch.tensor(boxes).split(sizes or [len(boxes)])
    return [(torch.randn(len(w), classes, 3, 3, generator=generator), w)
            for w in windows]


def test_by_hand():
    one = torch.tensor([[[[2.]], [[-1.]]]])
    two = torch.tensor([[[[1.]], [[-3.]]]])
    windows = torch.tensor([[0, 0, 2, 1]]), torch.tensor([[1, 0, 3, 1]])
    pairs = [(one, windows[0]), (two, windows[1])]
    # In pixel 0 the second map is 0, in pixel 2 the first, in pixel 3 both.
    assert aggregate_scores(pairs, 2, (1, 4)).tolist() == [
        [[2, 2, 1, 0]], [[0, -1, 0, 0]]]
    assert aggregate_scores(pairs, 2, (1, 4), 'mean').tolist() == [
        [[1, 1.5, .5, 0]], [[-.5, -2, -1.5, 0]]]


@pytest.mark.parametrize('mode', ['max', 'mean'])
@pytest.mark.parametrize('sizes', [(3, ), (1, 2), (1, 1, 1)])
def test_equals_reference_however_it_is_cut(mode, sizes):
    cut = parts(*sizes, seed=1)
    wanted = reference.aggregate_scores(cut, 2, (5, 7), mode)
    torch.testing.assert_close(aggregate_scores(iter(cut), 2, (5, 7), mode), wanted)


@pytest.mark.parametrize('mode', ['max', 'mean'])
def test_nothing_to_join_is_zero(mode):
    assert aggregate_scores([], 3, (2, 2), mode).tolist() == [[[0, 0], [0, 0]]] * 3
    empty = torch.zeros(0, 3, 4, 4), torch.zeros(0, 4, dtype=torch.int64)
    assert not aggregate_scores([empty], 3, 1, mode).any()


def test_half_precision_and_format_of_the_result():
    scores = torch.full((1, 1, 2, 2), 60000., dtype=torch.float16)
    windows = torch.tensor([[0, 0, 3, 3]])
    out = aggregate_scores([(scores, windows)] * 2, 1, 3, 'mean')
    assert out.dtype == torch.float32 and (out == 60000).all()
    like = torch.zeros(1, dtype=torch.float64)
    assert aggregate_scores(parts(), 2, (5, 7), like=like).dtype == torch.float64


def test_non_contiguous_and_determinism():
    (scores, windows), = parts()
    turned = scores.transpose(2, 3).contiguous().transpose(2, 3)
    runs = [aggregate_scores([(s, windows)], 2, (5, 7)) for s in (scores, turned)]
    assert torch.equal(*runs)


def test_windows_are_whole_pixels_inside():
    boxes = torch.tensor([[.5, .2, 3.1, 2.], [-3, -2, 20, 20], [9, 9, 12, 12],
                          [2, 2, 2, 2], [-5, -5, -2, -2]])
    assert box_windows(boxes, (5, 7)).tolist() == [
        [0, 0, 4, 2], [0, 0, 7, 5], [6, 4, 7, 5], [2, 2, 3, 3], [0, 0, 1, 1]]
    assert box_windows(torch.zeros(0, 4), 4).shape == (0, 4)


@pytest.mark.parametrize('arguments, text', [
    (dict(mode='sum'), "mode must be one of 'max', 'mean'; got 'sum'"),
    (dict(num_classes=3), r'scores has shape \(3, 2\); with 3 windows and num_classes 3'),
    (dict(image_size=(5, 5)), r'windows must be inside the image \(5, 5\), got '
     r'\(1, 1, 6, 5\); see box_windows')])
def test_errors(arguments, text):
    with pytest.raises(ValueError, match=text):
        aggregate_scores(**{**dict(parts=parts(), num_classes=2, image_size=(5, 7)),
                            **arguments})


def test_windows_want_boxes():
    with pytest.raises(ValueError, match=r'boxes has shape \(2, 5\)'):
        box_windows(torch.zeros(2, 5), 4)


def test_memory_is_that_of_one_part(peak_memory):
    """32 parts of 4 MB each, made one at a time; all of them had 128 MB."""
    used = peak_memory(
        """
        from segaware_mm.ops.score_aggregation import aggregate_scores
        windows = torch.tensor([[0, 0, 256, 256]])
        def made(n):
            for _ in range(n):
                yield torch.ones(1, 16, 256, 256), windows
        aggregate_scores(made(1), 16, 256)
        """, 'out = aggregate_scores(made(32), 16, 256)')
    assert used < 40
