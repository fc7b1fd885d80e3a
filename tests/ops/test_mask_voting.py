"""Pasting, voting and mask suppression: M8, the reference, odd candidates, memory."""

import pytest
import torch
from torch.autograd import gradcheck

from segaware_mm.ops import mask_nms, mask_voting, paste_masks, soft_paste
from segaware_mm.ops.box_overlap import box_iou, nms_per_class, overlapping
from segaware_mm.ops.mask_extent import mask_extents
from segaware_mm.ops.mask_paste import Window, union
from segaware_mm.ops.reference import mask_voting as reference

F64 = torch.float64


def rand(*shape, seed=0, dtype=F64):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.rand(*shape, generator=generator, dtype=F64).to(dtype)


def candidates(count, classes, height, width, seed=0, cells=5, groups=4):
    """Boxes of several groups, soft masks, softmax scores."""
    centre = rand(groups, 2, seed=seed) * torch.tensor([width, height])
    half = 2 + rand(groups, 2, seed=seed + 1) * torch.tensor([width, height]) / 4
    group = torch.arange(count) % groups
    jitter = rand(count, 4, seed=seed + 2) * 3 - 1.5
    boxes = torch.cat((centre - half, centre + half), 1)[group] + jitter
    boxes[:, 0::2] = boxes[:, 0::2].clamp(0, width - 1)
    boxes[:, 1::2] = boxes[:, 1::2].clamp(0, height - 1)
    scores = (rand(count, classes + 1, seed=seed + 3) * 6).softmax(1)[:, :-1]
    return boxes, rand(count, cells, cells, seed=seed + 4), scores


M8_BOXES = torch.tensor([[1, 1, 4, 4], [2, 1, 5, 4], [5, 5, 7, 7]], dtype=F64)
M8_MASKS = torch.tensor([[[1, 1], [1, 0]], [[1, 1], [1, 1]], [[.9, .9], [.9, .9]]],
                        dtype=F64)
M8_SCORES = torch.tensor([[.6, .1], [.3, .2], [.05, .8]], dtype=F64)


# ------------------------------------------------------------ worked numbers


@pytest.mark.parametrize('dtype', [F64, torch.float32, torch.float16])
def test_m8_voting(dtype):
    found = mask_voting(M8_BOXES.to(dtype), M8_MASKS.to(dtype), M8_SCORES.to(dtype),
                        (8, 8), max_per_image=3)
    assert found.labels.tolist() == [1, 0, 1]
    assert found.indices.tolist() == [2, 0, 1]
    assert found.scores.tolist() == pytest.approx([.8, .6, .2], rel=1e-3)
    assert found.boxes.tolist() == [[5, 5, 7, 7], [1, 1, 4, 4], [2, 1, 5, 4]]
    assert found.masks.sum((1, 2)).tolist() == [9, 15, 16]
    assert found.masks.dtype == torch.bool and found.masks.shape == (3, 8, 8)
    assert found.boxes.dtype == found.scores.dtype == dtype
    # Class 0: the last pixel of its box is dropped.
    wanted = torch.zeros(8, 8, dtype=torch.bool)
    wanted[1:5, 1:5] = True
    wanted[4, 4] = False
    assert torch.equal(found.masks[1], wanted)


@pytest.mark.parametrize('paste', [soft_paste, reference.soft_paste])
def test_m8_votes(paste):
    """Weights .6 and .3 of class 0 are 2/3 and 1/3."""
    pasted = paste(M8_MASKS, M8_BOXES, (8, 8))
    votes = pasted[0] * 2 / 3 + pasted[1] / 3
    assert votes[1].tolist() == pytest.approx([0, 2 / 3, 1, 1, 1, 1 / 3, 0, 0])
    assert votes[4, 4].item() == pytest.approx(1 / 3)
    assert pasted[2][5:, 5:].eq(.9).all() and pasted[2].sum().item() == pytest.approx(8.1)


def test_m8_overlaps():
    assert box_iou(M8_BOXES, M8_BOXES, 1)[0].tolist() == pytest.approx([1, .6, 0])
    assert box_iou(M8_BOXES, M8_BOXES, 0)[0].tolist() == pytest.approx([1, .5, 0])


def test_m8_by_the_reference():
    masks, boxes, scores, labels, indices = reference.mask_voting(
        M8_BOXES, M8_MASKS, M8_SCORES, (8, 8), max_per_image=3)
    assert masks.sum((1, 2)).tolist() == [9, 15, 16]
    assert boxes.tolist() == [[5, 5, 7, 7], [1, 1, 4, 4], [2, 1, 5, 4]]
    assert labels.tolist() == [1, 0, 1] and indices.tolist() == [2, 0, 1]


def test_continuous_boxes_cover_one_pixel_less():
    """(1, 1, 4, 4) are the pixels 1..3; (1, 1, 5, 5) what M8 calls (1, 1, 4, 4)."""
    found = mask_voting(M8_BOXES, M8_MASKS, M8_SCORES, (8, 8), max_per_image=3, offset=0)
    assert found.boxes.tolist() == [[5, 5, 7, 7], [1, 1, 4, 4], [2, 1, 5, 4]]
    assert found.masks[0].sum() == 4 and not found.masks[1][:, 4].any()
    wide = M8_BOXES + torch.tensor([0, 0, 1, 1])
    moved = mask_voting(wide, M8_MASKS, M8_SCORES, (8, 8), max_per_image=3, offset=0)
    inclusive = mask_voting(M8_BOXES, M8_MASKS, M8_SCORES, (8, 8), max_per_image=3)
    assert torch.equal(moved.masks, inclusive.masks)
    assert torch.equal(moved.boxes - torch.tensor([0, 0, 1, 1]), inclusive.boxes)


# ------------------------------------------------------------------- parity


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('options', [
    dict(), dict(vote=False), dict(soft=False), dict(nms_iou=.6, merge_iou=.3),
    dict(mask_threshold=.55, max_per_image=7), dict(max_per_image=1), dict(nms_iou=0),
    dict(merge_iou=0, nms_iou=1.)])
def test_voting_matches_the_reference(offset, options):
    boxes, masks, scores = candidates(24, 3, 19, 26, seed=offset)
    found = mask_voting(boxes, masks, scores, (19, 26), offset=offset, **options)
    wanted = reference.mask_voting(boxes, masks, scores, (19, 26), offset=offset,
                                   **options)
    assert len(found.masks) > 0
    for a, b in zip(found, wanted):
        assert a.shape == b.shape
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert (found.scores.diff() <= 0).all()
    assert len(found.scores) <= options.get('max_per_image', 100)


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('shape', [(5, 5), (2, 7), (1, 1)])
def test_pasting_matches_the_reference(offset, shape):
    boxes = candidates(6, 2, 13, 17)[0]
    boxes[0] = torch.tensor([-4, -3, 30, 25])  # larger than the image
    boxes[1] = torch.tensor([20, 3, 28, 8])  # outside it
    masks = rand(6, *shape)
    wanted = reference.soft_paste(masks, boxes, (13, 17), offset)
    got = soft_paste(masks, boxes, (13, 17), offset=offset)
    torch.testing.assert_close(got, wanted, atol=1e-12, rtol=1e-12)
    assert (got[1] == 0).all() and (got[0] > 0).all()
    hard = paste_masks(masks, boxes, (13, 17), .5, offset=offset)
    assert torch.equal(hard, wanted >= .5)


def test_gradcheck_of_pasting():
    boxes = candidates(3, 2, 7, 9)[0]
    assert gradcheck(lambda m: soft_paste(m, boxes, (7, 9)),
                     (rand(3, 3, 3).requires_grad_(), ))


def test_a_mask_of_its_box_is_resized_as_interpolate_does():
    mask = rand(1, 6, 6)
    pasted = soft_paste(mask, torch.tensor([[3., 2, 11, 15]]).double(), (20, 20))
    wanted = torch.nn.functional.interpolate(mask[None], (14, 9), mode='bilinear',
                                             align_corners=False)[0, 0]
    torch.testing.assert_close(pasted[0, 2:16, 3:12], wanted)
    assert pasted.sum().item() == pytest.approx(wanted.sum().item())


def test_parts_of_a_product_add_up(monkeypatch):
    from segaware_mm.ops import mask_paste
    boxes, masks, scores = candidates(24, 3, 19, 26)
    whole = mask_voting(boxes, masks, scores, (19, 26))
    monkeypatch.setattr(mask_paste, 'ELEMENTS', 1)
    for a, b in zip(whole, mask_voting(boxes, masks, scores, (19, 26))):
        assert torch.equal(a, b)


# ------------------------------------------------------------- suppression


def test_suppression_is_greedy():
    """The second box is suppressed by the first, so it cannot suppress the third."""
    boxes = torch.tensor([[0, 0, 9, 9], [4, 0, 13, 9], [8, 0, 17, 9]], dtype=F64)
    overlaps = overlapping(boxes, boxes, .3, 1)
    keep = nms_per_class(overlaps, torch.tensor([[.9, .1], [.8, .9], [.7, .2]]), 3)
    assert keep.tolist() == [[True, False, True], [False, True, False]]
    assert nms_per_class(overlaps, rand(3, 2), 1).sum(1).tolist() == [1, 1]


@pytest.mark.parametrize('seed', range(3))
def test_suppression_matches_mmcv(seed):
    nms = pytest.importorskip('mmcv.ops', exc_type=ImportError).nms
    boxes, _, scores = (t.float() for t in candidates(60, 3, 60, 80, seed=seed))
    for offset in (0, 1):
        keep = nms_per_class(overlapping(boxes, boxes, .3, offset), scores, 60)
        for c in range(3):
            kept = nms(boxes, scores[:, c].contiguous(), .3, offset=offset)[1]
            assert keep[c].nonzero()[:, 0].tolist() == kept.sort()[0].tolist()


@pytest.mark.parametrize('threshold', [0., .3, .7, 1.])
def test_mask_suppression_matches_the_reference(threshold, monkeypatch):
    boxes, masks, scores = candidates(30, 1, 19, 26)
    pasted = paste_masks(masks, boxes, (19, 26), .5)
    pasted[3] = False
    pasted[7] = pasted[11]
    wanted = reference.mask_nms(pasted, scores[:, 0], threshold)
    assert 0 < len(wanted) and (threshold == 1 or len(wanted) < 30)
    assert mask_nms(pasted, scores[:, 0], threshold).tolist() == wanted
    monkeypatch.setitem(mask_nms.__wrapped__.__globals__, 'ELEMENTS', 1)  # small parts
    assert mask_nms(pasted, scores[:, 0], threshold).tolist() == wanted
    assert 3 in wanted  # an empty mask overlaps nothing
    turned = pasted.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert mask_nms(turned, scores[:, 0], threshold).tolist() == wanted


def test_mask_suppression_counts_pixels_not_boxes():
    """Two triangles fill one square between them."""
    y, x = torch.meshgrid(torch.arange(8), torch.arange(8), indexing='ij')
    masks = torch.stack((x > y, x <= y, x >= y))
    scores = torch.tensor([.5, .9, .7])
    assert mask_nms(masks, scores).tolist() == [1, 0]
    assert mask_nms(masks, scores, .15).tolist() == [1, 2]  # 8 of 64; 28 of 36
    assert mask_nms(masks, scores, .8).tolist() == [1, 2, 0]


def test_extents_of_masks():
    masks = torch.zeros(3, 6, 9, dtype=torch.bool)
    masks[0, 2:5, 3] = True
    masks[2, 0, 0] = masks[2, 5, 8] = True
    assert mask_extents(masks).tolist() == [[2, 3, 5, 4], [0, 0, 0, 0], [0, 0, 6, 9]]
    assert mask_extents(masks[:0]).shape == (0, 4)


def test_union_of_windows():
    parts = [Window(3, 5, 2, 4), Window(0, 0, 0, 9), Window(1, 2, 7, 8)]
    assert union(parts) == Window(1, 5, 2, 8)
    assert union(parts[1:2]) == Window(0, 0, 0, 0)


# --------------------------------------------------------------- odd inputs


def test_no_candidates_and_no_classes():
    found = mask_voting(torch.zeros(0, 4), torch.zeros(0, 7, 7), torch.zeros(0, 3),
                        (8, 9))
    assert [t.shape for t in found] == [(0, 8, 9), (0, 4), (0, ), (0, ), (0, )]
    assert found.labels.dtype == found.indices.dtype == torch.int64
    found = mask_voting(rand(2, 4), rand(2, 7, 7), torch.zeros(2, 0), (8, 9))
    assert len(found.masks) == 0
    assert soft_paste(torch.zeros(0, 7, 7), torch.zeros(0, 4), (8, 9)).shape == (0, 8, 9)
    assert paste_masks(torch.zeros(0, 7, 7), torch.zeros(0, 4), (8, 9)).shape == (0, 8, 9)
    assert mask_nms(torch.zeros(0, 8, 9, dtype=torch.bool), torch.zeros(0)).tolist() == []
    assert mask_nms(torch.zeros(2, 0, 9, dtype=torch.bool), rand(2)).shape == (2, )


def test_an_image_of_one_pixel():
    found = mask_voting(torch.zeros(1, 4), torch.ones(1, 1, 1), torch.ones(1, 1), (1, 1))
    assert found.masks.tolist() == [[[True]]] and found.boxes.tolist() == [[0] * 4]


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('box, value', [
    ([2, 2, 5, 5], 0.), ([20, 20, 30, 30], 1.), ([5, 5, 2, 2], 1.),
    ([2.6, 2.6, 2.6, 2.6], 1.), ([1e30, 0, 2e30, 3e38], 1.)])
def test_an_empty_mask_gets_the_centre_of_the_image(box, value, offset):
    """A low mask, a box elsewhere, turned, or (offset 0) without area."""
    found = mask_voting(torch.tensor([box]).float(), torch.full((1, 3, 3), value),
                        torch.ones(1, 1), (8, 10), offset=offset)
    if offset == 1 and box[0] == 2.6:
        assert found.masks[0].nonzero().tolist() == [[3, 3]]
    else:
        assert not found.masks.any()
        assert found.boxes.tolist() == [[5, 4, 5, 4]]
    assert found.scores.tolist() == [1]


def test_scores_of_zero_vote_alike():
    boxes = torch.tensor([[1., 1, 4, 4]] * 2)
    masks = torch.stack((torch.ones(2, 2), torch.zeros(2, 2)))
    found = mask_voting(boxes, masks, torch.zeros(2, 1), (8, 8))
    assert found.masks.sum() == 16  # a half each


def test_a_threshold_is_reached_in_spite_of_rounding():
    """Weights and interpolation sum to 1 but for rounding; equal counts as reached."""
    for count in range(1, 12):
        boxes = torch.tensor([[1., 2, 7.3, 9.1]]).repeat(count, 1)
        scores = rand(count, 1, seed=count, dtype=torch.float32)
        masks = torch.full((count, 7, 7), .4)
        found = mask_voting(boxes, masks, scores, (12, 12))
        assert len(found.masks) == 1 and found.boxes.tolist() == [[1, 2, 7, 9]]
        assert not mask_voting(boxes, masks - 1e-5, scores, (12, 12)).masks.any()


def test_ties_are_broken_by_class_and_index():
    boxes = torch.tensor([[0., 0, 3, 3], [10, 10, 13, 13], [20, 20, 23, 23]])
    found = mask_voting(boxes, torch.ones(3, 2, 2), torch.full((3, 2), .5), (30, 30),
                        max_per_image=4)
    assert found.labels.tolist() == [0, 0, 0, 1]
    assert found.indices.tolist() == [0, 1, 2, 0]


def test_voting_has_no_gradient_and_the_same_bits_every_time():
    boxes, masks, scores = candidates(24, 3, 19, 26)
    turned = (boxes.T.contiguous().T, masks.mT.contiguous().mT, scores.T.contiguous().T)
    first = mask_voting(boxes.requires_grad_(), masks.requires_grad_(),
                        scores.requires_grad_(), (19, 26))
    assert not any(t.requires_grad for t in first)
    for a, b in zip(first, mask_voting(*turned, (19, 26))):
        assert torch.equal(a, b)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_under_autocast(dtype):
    boxes, masks, scores = candidates(24, 3, 19, 26)
    boxes, masks, scores = boxes.float(), masks.to(dtype), scores.to(dtype)
    with torch.autocast('cpu', torch.bfloat16):
        found = mask_voting(boxes, masks, scores, (19, 26))
        pasted = soft_paste(masks, boxes, (19, 26))
    wanted = mask_voting(boxes, masks.float(), scores.float(), (19, 26))
    for a, b in zip(found, wanted):
        assert torch.equal(a.to(b.dtype), b)
    assert pasted.dtype == dtype and pasted.isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_matches_the_cpu():
    arguments = candidates(60, 5, 60, 80)
    found = mask_voting(*(t.cuda() for t in arguments), (60, 80))
    for a, b in zip(found, mask_voting(*arguments, (60, 80))):
        assert torch.equal(a.cpu(), b)
    assert mask_nms(found.masks, found.scores, .3).tolist() == mask_nms(
        found.masks.cpu(), found.scores.cpu(), .3).tolist()


# -------------------------------------------------------------------- memory

CROWD = """
    from segaware_mm.ops import mask_nms, mask_voting, paste_masks
    torch.manual_seed(0)
    group = torch.arange(600) % 40
    low = torch.rand(40, 2)[group] * 600 + torch.rand(600, 2) * 9
    high = low + 60 + torch.rand(40, 2)[group] * 330
    boxes = torch.cat((low, high), 1).clamp(max=999)
    boxes[:20] = torch.tensor([0., 0, 999, 999])
    masks, scores = torch.rand(600, 28, 28), (torch.randn(600, 20) * 3).softmax(1)
    mask_voting(boxes[-4:], masks[-4:], scores[-4:], (30, 30))
    mask_nms(paste_masks(masks[:4], boxes[:4] / 99, (10, 10)), scores[:4, 0])
"""


def test_voting_of_600_candidates_makes_no_600_images(peak_memory):
    """600 soft images are 2400 MB. The 100 masks of the result are 100 MB."""
    used = peak_memory(CROWD, """
        found = mask_voting(boxes, masks, scores, (1000, 1000))
        assert len(found.masks) == 100
    """)
    assert 90 < used < 200, f'{used:.0f} MB'


def test_suppression_of_600_masks_counts_in_small_parts(peak_memory):
    """The masks themselves are 600 MB; as numbers they would be 2400 MB."""
    setup = CROWD + '    pasted = paste_masks(masks, boxes, (1000, 1000))\n'
    used = peak_memory(setup, """
        kept = mask_nms(pasted, scores[:, 0], .3)
        assert 1 < len(kept) < 600
    """)
    # 40 to 70 MB are seen: which freed pages the allocator keeps varies.
    assert used < 120, f'{used:.0f} MB'


# -------------------------------------------------------------------- errors

NAN = float('nan')


@pytest.mark.parametrize('change, error, text', [
    (dict(boxes=torch.rand(3, 5)), ValueError, r'boxes has shape \(3, 5\).*\(3, 4\)'),
    (dict(boxes=torch.rand(2, 4)), ValueError,
     r'boxes has shape \(2, 4\); with mask_probs \(3, 7, 7\) it must be \(3, 4\)'),
    (dict(boxes=torch.tensor([[0., 0, 1, 1], [0, NAN, 1, 1], [0, 0, 1, 1]])), ValueError,
     'boxes must be finite; row 1 is'),
    (dict(boxes=torch.ones(3, 4).long()), TypeError, 'boxes must be floating point'),
    (dict(mask_probs=torch.rand(3, 1, 7, 7)), ValueError,
     r'mask_probs must have shape \(R, m, m\)'),
    (dict(mask_probs=torch.rand(3, 0, 7)), ValueError, 'must have at least one cell'),
    (dict(mask_probs=torch.ones(3, 7, 7, dtype=torch.bool)), TypeError,
     'mask_probs must be floating point'),
    (dict(scores=torch.rand(3)), ValueError, r'scores must have shape \(R, N\)'),
    (dict(scores=torch.rand(4, 2)), ValueError, r'scores has shape \(4, 2\)'),
    (dict(scores=torch.tensor([[NAN], [1], [1]])), ValueError,
     'scores must be probabilities, finite and not negative'),
    (dict(scores=-torch.rand(3, 2)), ValueError, 'scores must be probabilities'),
    (dict(image_size=(8, )), TypeError, 'image_size must be an integer or'),
    (dict(image_size=(8, 0)), ValueError, 'image_size must be at least 1'),
    (dict(nms_iou=1.5), ValueError, r'nms_iou must be in \[0, 1\]'),
    (dict(merge_iou=-.1), ValueError, r'merge_iou must be in \[0, 1\]'),
    (dict(mask_threshold=40), ValueError, r'mask_threshold must be in \[0, 1\]'),
    (dict(max_per_image=0), ValueError, 'max_per_image must be at least 1'),
    (dict(offset=.5), TypeError, 'offset must be an integer'),
    (dict(offset=2), ValueError, r'offset must be in \[0, 1\]')])
def test_voting_errors_name_the_argument(change, error, text):
    arguments = dict(boxes=torch.rand(3, 4), mask_probs=torch.rand(3, 7, 7),
                     scores=torch.rand(3, 2), image_size=(8, 9))
    with pytest.raises(error, match=text):
        mask_voting(**{**arguments, **change})


@pytest.mark.parametrize('change, error, text', [
    (dict(masks=torch.rand(3, 4, 5)), TypeError,
     'masks must be a bool tensor, got torch.float32; compare soft masks'),
    (dict(masks=[1]), TypeError, 'masks must be a bool tensor, got list'),
    (dict(masks=torch.ones(4, 5, dtype=torch.bool)), ValueError,
     r'masks must have shape \(K, H, W\)'),
    (dict(scores=torch.rand(4)), ValueError, r'scores has shape \(4,\).*\(3,\)'),
    (dict(scores=torch.tensor([1, NAN, 0])), ValueError, 'scores must be numbers'),
    (dict(iou_threshold=2), ValueError, r'iou_threshold must be in \[0, 1\]')])
def test_suppression_errors_name_the_argument(change, error, text):
    arguments = dict(masks=torch.ones(3, 4, 5, dtype=torch.bool), scores=torch.rand(3))
    with pytest.raises(error, match=text):
        mask_nms(**{**arguments, **change})
