"""Masks as run lengths: forms, errors, overlaps."""

import numpy as np
import pytest
import torch

coco = pytest.importorskip('pycocotools.mask')

from segaware_mm.utils.rle import (  # noqa: E402
    as_rles,
    encode_mask,
    mask_iou,
    rle_counts,
    usable_polygons,
)


def random_masks(count, seed=0, size=(5, 7)):
    return np.random.default_rng(seed).random((count, *size)) < .4


def test_encoding_keeps_every_pixel():
    for mask in (*random_masks(4), np.zeros((3, 4)), np.ones((1, 1)), np.ones((4, 1))):
        for kind in (bool, np.uint8, np.int64, np.float32):
            given = mask.astype(kind)
            found = coco.decode(encode_mask(given))
            assert found.tolist() == (mask != 0).tolist()
        turned = np.asfortranarray(mask)[::-1]
        assert coco.decode(encode_mask(turned)).tolist() == (turned != 0).tolist()


def test_overlaps_are_ratios_of_pixels():
    first, second = random_masks(3), random_masks(2, 1)
    wanted = [[(a & b).sum() / (a | b).sum() for b in second] for a in first]
    assert mask_iou(as_rles(first), as_rles(torch.from_numpy(second))).tolist() == wanted


def test_overlaps_of_nothing():
    some, empty = as_rles(random_masks(2)), as_rles(np.zeros((1, 5, 7), bool))
    assert mask_iou([], some).shape == (0, 2)
    assert mask_iou(some, []).shape == (2, 0)
    assert mask_iou(empty, some + empty).tolist() == [[0, 0, 0]]
    with pytest.raises(ValueError, match=r'sizes \(height, width\): \(5, 7\), \(7, 5\)'):
        mask_iou(some, as_rles(random_masks(1, size=(7, 5))))


def test_polygons():
    square = [1, 1, 4, 1, 4, 3, 1, 3]
    mask = np.zeros((5, 7), bool)
    mask[1:3, 1:4] = True
    assert usable_polygons([square, [1, 1, 2, 2], [1] * 7]) == [square]
    (found, ) = as_rles([[square, [1, 1, 2, 2]]], (5, 7))
    assert coco.decode(found).tolist() == mask.tolist()
    (found, ) = as_rles([[[1, 1, 2, 2]]], (5, 7))
    assert found['size'] == [5, 7] and coco.area(found) == 0
    with pytest.raises(ValueError, match='truth are polygons; their .height, width.'):
        as_rles([[square]], name='truth')


@pytest.mark.parametrize('masks, text', [
    (torch.rand(2, 5, 7), 'bool or integer maps .* got float32 of shape'),
    (torch.ones(5, 7).bool(), r'must be \(N, H, W\), a list.* got shape \(5, 7\)'),
    (3, 'got int'), ([np.ones(4, bool)], r'got bool of shape \(4,\)')])
def test_other_forms_are_refused(masks, text):
    with pytest.raises(TypeError, match=text):
        as_rles(masks, name='masks')


def runs(mask):
    """Lengths of the runs of a mask, column by column, the first outside."""
    values = np.append(0, mask.T.ravel()).astype(int)
    places = np.flatnonzero(np.diff(values))
    return np.diff([0, *places, mask.size])


@pytest.mark.parametrize('size', [(1, 1), (1, 40), (37, 1), (300, 200)])
def test_runs_are_read_as_pycocotools_writes_them(size):
    rng = np.random.default_rng(0)
    for mask in (rng.random(size) < .3, np.zeros(size, bool), np.ones(size, bool),
                 np.cumsum(rng.random(size) < .02, 0) % 2 == 1):
        counts = encode_mask(mask)['counts']
        for form in (counts, counts.decode(), runs(mask).tolist()):
            assert rle_counts(form).tolist() == runs(mask).tolist()


def test_runs_of_large_images():
    for counts in ([0, 10**9, 3], [7, 2**31, 2**31, 1, 1]):
        text = coco.frPyObjects({'size': [1, sum(counts)], 'counts': counts}, 1,
                                sum(counts))['counts']
        assert rle_counts(text).tolist() == counts
    assert rle_counts('').tolist() == []


@pytest.mark.parametrize('text, error', [
    ('ab c', 'has a character that no RLE has'), ('\u00e9', 'has a character'),
    ('\ud800', 'has a character'), ('1o', 'ends within a number'),
    ('oooooooo0', 'has a number that no image has')])
def test_broken_runs_are_told(text, error):
    with pytest.raises(ValueError, match=error):
        rle_counts(text)
