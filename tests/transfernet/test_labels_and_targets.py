"""Pairs, targets, the choice of labels, their merge, and the way to the image."""

import math

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from segaware_mm.transfernet.image_frame import (
    image_size,
    resized,
    to_image,
    valid_positions,
)
from segaware_mm.transfernet.label_merge import (
    LabelMerge,
    choose_labels,
    foreground_probability,
)
from segaware_mm.transfernet.pairs import (
    check_maps,
    collect_pairs,
    labels_of,
    pair_targets,
    stack_maps,
)
from segaware_mm.transfernet.targets import (
    binary_target,
    count_pixels,
    foreign_pixels,
)

SEG = torch.tensor([[[0, 3, 255], [5, 3, 0]]])
CPU = torch.device('cpu')

# ---------------------------------------------------------------------- targets


def test_figure_of_a_label():
    target = binary_target(SEG, 3)
    assert target.tolist() == [[[0, 1, 255], [0, 1, 0]]] and target.dtype == torch.int64
    both = binary_target(SEG.expand(2, -1, -1), torch.tensor([3, 5]))
    assert both[1].tolist() == [[0, 0, 255], [1, 0, 0]]
    assert SEG.tolist() == [[[0, 3, 255], [5, 3, 0]]]  # not written to
    assert binary_target(SEG.byte(), 3).tolist() == target.tolist()
    assert binary_target(SEG, 3, ignore_index=5).tolist() == [[[0, 1, 0], [5, 1, 0]]]
    assert binary_target(SEG, 9).sum() == 255  # a label without pixels
    assert binary_target(SEG[:0], 3).shape == (0, 2, 3)


def test_pixels_that_count():
    assert count_pixels(torch.cat([SEG, SEG * 0 + 255])).tolist() == [5, 0]
    allowed = torch.tensor([True, False, True, True])
    assert foreign_pixels(SEG[0], allowed).tolist() == [[False] * 3,
                                                        [True, False, False]]
    assert foreign_pixels(torch.tensor([[-1, 1, 2, 255]]), allowed).tolist() == [
        [True, True, False, False]]


@pytest.mark.parametrize('seg, label, error, text', [
    (SEG[0], 3, ValueError, r'seg must have shape \(P, H, W\), got \(2, 3\)'),
    (SEG.float(), 3, TypeError, 'seg must hold integers, got torch.float32'),
    (SEG, torch.tensor([1, 2]), ValueError, 'label has 2 ids for 1 maps'),
    (SEG, torch.tensor([1.]), TypeError, 'label must hold integers')])
def test_errors_of_targets(seg, label, error, text):
    with pytest.raises(error, match=text):
        binary_target(seg, label)


# ------------------------------------------------------------------------ pairs


def sample(seg=None, **meta):
    out = SegDataSample(metainfo=dict(img_path='a.jpg', **meta))
    if seg is not None:
        out.gt_sem_seg = PixelData(data=seg)
    return out


def test_all_labels_or_the_sampled_one():
    metas = [dict(image_labels=np.array([2, 5])), dict(image_labels=[]),
             dict(image_labels=(1, 3), condition_label=3), dict(condition_label=4),
             dict(condition_label=None)]
    pairs = collect_pairs(metas, 5, CPU)
    assert pairs.images.tolist() == [0, 0, 2, 3]
    assert pairs.labels.tolist() == [2, 5, 3, 4]
    assert pairs.part(1, 3).labels.tolist() == [5, 3]
    assert labels_of(metas[2], 5, sampled=False) == [1, 3]
    assert collect_pairs(metas[1:2], 5, CPU).labels.shape == (0, )


def test_absent_labels_are_of_the_label_set_and_not_there():
    metas = [dict(image_labels=[2, 5], condition_label=5, label_set=(1, 2, 3, 5)),
             dict(image_labels=[], label_set=(4, )), dict(image_labels=[1, 2, 3, 4, 5])]
    seen = set()
    for seed in range(20):
        torch.manual_seed(seed)
        pairs = collect_pairs(metas, 5, CPU, num_absent=1)
        assert pairs.images.tolist() == [0, 0, 1, 2, 2, 2, 2, 2]
        assert pairs.present.tolist() == [True, False, False] + [True] * 5
        assert pairs.labels[2] == 4 and pairs.labels[0] == 5
        seen.add(int(pairs.labels[1]))
    assert seen == {1, 3}  # both, in time
    assert pairs.of_present().labels.tolist() == [5, 1, 2, 3, 4, 5]
    many = collect_pairs(metas[:1], 5, CPU, num_absent=9)
    assert sorted(many.labels.tolist()) == [1, 3, 5]  # no more than there are
    free = collect_pairs([dict(image_labels=[2])], 3, CPU, num_absent=9)
    assert sorted(free.labels.tolist()) == [1, 2, 3]  # without label_set: all
    assert collect_pairs(metas, 5, CPU).present.all()


def test_what_is_absent_must_be_known():
    with pytest.raises(KeyError, match="'image_labels' .* is not in the metainfo"):
        collect_pairs([dict(condition_label=1)], 5, CPU, num_absent=1)


@pytest.mark.parametrize('meta, error, text', [
    (dict(), KeyError, "'image_labels' .* is not in the metainfo of b.png. Add a "
     'transform .*LoadImageLabels, and its name to meta_keys of PackSegInputs'),
    (dict(image_labels=[1, 6]), ValueError,
     r'label 6 of b.png is not in 1..5, the labels of a head with num_classes=6'),
    (dict(image_labels=[0]), ValueError, '0 is the background, which is no label')])
def test_errors_of_labels(meta, error, text):
    with pytest.raises(error, match=text):
        collect_pairs([dict(meta, img_path='b.png')], 5, CPU)


def test_targets_of_pairs_with_ready_figures():
    seg = torch.cat([SEG, (SEG == 3).long()])
    metas = [dict(image_labels=[3, 5]), dict(condition_label=3, binary_label=3)]
    pairs = collect_pairs(metas, 5, CPU)
    targets = pair_targets(seg, pairs, metas, 255)
    assert targets[0].tolist() == [[0, 1, 255], [0, 1, 0]]
    assert targets[1].tolist() == [[0, 0, 255], [1, 0, 0]]
    assert targets[2].tolist() == [[0, 1, 0], [0, 1, 0]]
    with pytest.raises(ValueError, match='the figure of label 3, the pair has label 4'):
        pair_targets(seg[1:], collect_pairs([dict(condition_label=4)], 5, CPU),
                     metas[1:], 255)


def test_maps_that_are_absent_are_ignored():
    stacked = stack_maps([sample(SEG), sample()], 255)
    assert stacked[1].unique().tolist() == [255] and torch.equal(stacked[:1], SEG)
    assert stack_maps([sample()], 255) is None
    with pytest.raises(ValueError, match=r'gt_sem_seg must be \(1, H, W\) of one size'):
        stack_maps([sample(SEG), sample(SEG[..., :2])], 255)


@pytest.mark.parametrize('seg, meta, text', [
    (SEG, {}, 'the mask of m.png has class 5; the head has the classes 0..4, and 255'),
    (SEG * 0 - 1, {}, 'has class -1; the head has the classes'),
    (SEG.clamp(max=3), dict(label_set=(1, 2)),
     r'has class 3, which is not of the label_set of its data set, \(1, 2\)'),
    (SEG.clamp(max=3), dict(binary_label=3), 'has class 3; binary_label 3 says that')])
def test_classes_that_must_not_be_there(seg, meta, text):
    """A mask of a class that its data set does not annotate would be a leak."""
    seg = torch.where(SEG == 255, SEG, seg)
    clean = torch.zeros_like(SEG)
    metas = [dict(img_path='ok.png'), dict(img_path='m.png', **meta)]
    with pytest.raises(ValueError, match=text):
        check_maps(torch.cat([clean, seg]), metas, 4, 255)


def test_classes_that_may_be_there():
    metas = [dict(label_set=(3, 5)), dict(binary_label=3), dict()]
    check_maps(torch.cat([SEG, binary_target(SEG, 3), SEG]), metas, 5, 255)


# ---------------------------------------------------------------- choice of labels


@pytest.mark.parametrize('scores, labels', [
    ((.2, .7, .6), [2, 3]), ((.2, .5, .1), [2]), ((.9, ), [1])])
def test_labels_above_the_threshold_or_the_best(scores, labels):
    """The example counts from 0, ids from 1."""
    assert choose_labels(torch.tensor(scores)) == labels
    assert choose_labels(torch.tensor(scores, dtype=torch.float64)) == labels


def test_labels_that_may_be_chosen():
    scores = torch.tensor([.2, .7, .6, .1])
    assert choose_labels(scores, allowed=(4, 1)) == [1]
    assert choose_labels(scores, .05, (4, 1)) == [1, 4]
    assert choose_labels(scores, allowed=()) == []


# ------------------------------------------------------------------------- merge

LABEL1 = torch.tensor([[.936621, .688507], [.213014, .548137]], dtype=torch.float64)
LABEL4 = torch.tensor([[.844638, .666667], [.975711, .473312]], dtype=torch.float64)


def scores_of(probability, bg_factor):
    """Figure-ground scores that have these probabilities."""
    odds = torch.logit(probability) + math.log(bg_factor)
    return torch.stack([torch.full_like(odds, 3.), odds + 3], 0)[None]


@pytest.mark.parametrize('bg_factor, merged', [(.5, [[2, 2], [5, 2]]),
                                               (1., [[2, 2], [5, 0]])])
def test_two_labels_merge(bg_factor, merged):
    """Labels count from 0 in the example, ids from 1. A plain softmax leaves the last
    pixel to the background."""
    merge = LabelMerge((2, 2))
    for label, probability in ((2, LABEL1), (5, LABEL4)):
        found = foreground_probability(scores_of(probability, .5), bg_factor)
        if bg_factor == .5:
            torch.testing.assert_close(found[0], probability)
        merge.add(found * (found > .5), [label])
    assert merge.label.tolist() == merged
    assert merge.label.dtype == torch.int64


def test_merge_in_any_parts():
    scores = torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(0))
    scores = scores * (scores > .5)
    ids = [3, 1, 9, 4, 7]
    whole, parts = LabelMerge((4, 6)), LabelMerge((4, 6))
    whole.add(scores, ids)
    for k in range(5):
        parts.add(scores[k:k + 1], ids[k:k + 1])
    best, place = scores.max(0)
    wanted = torch.where(best > 0, torch.tensor(ids)[place], 0)
    assert torch.equal(whole.label, wanted) and torch.equal(parts.label, wanted)
    assert torch.equal(whole.score, best)


def test_ties_and_nothing():
    merge = LabelMerge((1, 2))
    assert merge.label.tolist() == [[0, 0]]
    merge.add(torch.tensor([[[.7, 0.]], [[.7, float('nan')]]]), [4, 2])
    assert merge.label.tolist() == [[4, 0]]
    merge.add(torch.zeros(0, 1, 2), [])
    with pytest.raises(ValueError, match='1 maps of scores for 2 labels'):
        merge.add(torch.zeros(1, 1, 2), [1, 2])


def test_extreme_scores_are_finite():
    scores = torch.tensor([-6e4, 6e4], dtype=torch.float16).view(1, 2, 1, 1)
    assert foreground_probability(scores).item() == 1
    assert foreground_probability(scores.flip(1)).item() == 0
    assert foreground_probability(scores).dtype == torch.float32


@pytest.mark.parametrize('shape, factor, text', [
    ((1, 3, 2, 2), .5, r'scores must have shape \(K, 2, H, W\), ground and figure'),
    ((1, 2, 2, 2), 0, 'bg_factor must be more than 0'),
    ((1, 2, 2, 2), -1, 'bg_factor must be at least 0')])
def test_errors_of_probabilities(shape, factor, text):
    with pytest.raises(ValueError, match=text):
        foreground_probability(torch.zeros(shape), factor)


# ------------------------------------------------------------------------- frame


def test_a_square_is_undone():
    """375 x 500 in a square of 500, at 320: the image is 240 x 320 of it."""
    meta = dict(square_side=500, valid_shape=(375, 500), ori_shape=(375, 500))
    ramp = torch.arange(320.).view(1, 1, 320, 1).expand(1, 1, 320, 320)
    out = to_image(ramp, (320, 320), meta)
    assert out.shape == (1, 1, 375, 500) and image_size((320, 320), meta) == (375, 500)
    assert out.max().item() == pytest.approx(374.5 * 320 / 500 - .5, abs=1e-3)
    inside = valid_positions((320, 320), (320, 320), meta)
    assert inside.sum((1, 2)).item() == 240 * 320 and inside[0, 239].all()
    coarse = valid_positions((20, 20), (320, 320), meta)
    assert coarse[0, :, 0].tolist() == [True] * 15 + [False] * 5


def test_the_steps_are_undone_in_reverse_order():
    """Square of 4, resized to 8, flipped, padded to 10 x 11."""
    image = torch.rand(1, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    square = torch.nn.functional.pad(image, (0, 0, 0, 1))
    network = square.repeat_interleave(2, 2).repeat_interleave(2, 3).flip(3)
    network = torch.nn.functional.pad(network, (0, 3, 0, 2))
    meta = dict(square_side=4, valid_shape=(3, 4), ori_shape=(3, 4), flip=True,
                flip_direction='horizontal', padding_size=(0, 3, 0, 2))
    torch.testing.assert_close(to_image(network, (10, 11), meta), image)
    valid = valid_positions((10, 11), (10, 11), meta)[0]
    assert valid[:6, :8].all() and valid.sum() == 48
    meta = dict(meta, flip_direction='vertical')
    torch.testing.assert_close(to_image(network, (10, 11), meta)[..., 1:, :],
                               image.flip((2, 3))[..., :2, :])
    assert valid_positions((10, 11), (10, 11), meta)[0, 2:8, :8].all()


def test_flips_are_undone():
    maps = torch.arange(6.).view(1, 1, 2, 3)
    for direction, axes in (('horizontal', (3, )), ('vertical', (2, )),
                            ('diagonal', (2, 3))):
        meta = dict(flip=True, flip_direction=direction)
        assert torch.equal(to_image(maps.flip(axes), (2, 3), meta), maps)
    # The image is the upper half of a square; turned around, the lower one.
    meta.update(square_side=4, valid_shape=(2, 4))
    assert valid_positions((4, 4), (4, 4), meta)[0, :, 0].tolist() == [
        False, False, True, True]
    with pytest.raises(ValueError, match="flip_direction must be one of 'horizontal'"):
        to_image(maps, (2, 3), dict(flip=True, flip_direction='left'))


@pytest.mark.parametrize('meta, size', [
    (dict(), (8, 12)), (dict(ori_shape=(5, 6, 3)), (5, 6)),
    (dict(padding_size=(1, 2, 3, 1)), (4, 9)),
    (dict(square_side=20, valid_shape=(7, 20)), (7, 20)),
    (dict(square_side=20, valid_shape=(7, 20), ori_shape=(14, 40)), (14, 40))])
def test_sizes(meta, size):
    maps = torch.rand(2, 3, 8, 12)
    out = to_image(maps, (8, 12), meta)
    assert out.shape == (2, 3, *size) and image_size((8, 12), meta) == size


def test_a_thin_image_has_a_position():
    meta = dict(square_side=1000, valid_shape=(3, 1000))
    valid = valid_positions((5, 5), (80, 80), meta)
    assert valid.sum() == 5 and valid[0, 0].all()
    assert resized(torch.ones(1, 1, 2, 2), (2, 2)).shape == (1, 1, 2, 2)
