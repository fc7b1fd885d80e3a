"""Mask targets and mask-level labels against M5, M6 and the reference."""

import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from segaware_mm.ops import instance_targets as ops
from segaware_mm.ops.reference import instance_targets as reference

F64 = torch.float64
SEVEN, BACK = 7, 0


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def block(rows, cols, size=(6, 6)):
    """A mask (1, H, W) of a rectangle; last rows and columns are excluded."""
    mask = torch.zeros(1, *size, dtype=torch.bool)
    mask[0, slice(*rows), slice(*cols)] = True
    return mask


def boxes(*rois, dtype=F64):
    return torch.tensor(rois, dtype=dtype).reshape(-1, 4)


def random_job(seed, count=9, instances=3, size=(11, 9), m=5, reach=3.):
    """Masks, RoIs (some beyond the image, some turned), probabilities, owners."""
    rng = generator(seed)
    masks = torch.rand(instances, *size, generator=rng) < .6
    corner = torch.rand(count, 2, generator=rng, dtype=F64) * 12 - reach
    extent = torch.rand(count, 2, generator=rng, dtype=F64) * 12 - 1.5
    rois = torch.cat([corner, corner + extent], 1)
    probs = torch.rand(count, m, m + 1, generator=rng, dtype=F64)
    owner = torch.randint(instances, (count, ), generator=rng)
    return masks, rois, probs, owner


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize('module', [ops, reference])
def test_m5(module):
    """6 x 6, ones in rows 2-4 and columns 0-2, RoI (1, 1, 4, 4)."""
    gt, roi = block((2, 5), (0, 3)), boxes((1, 1, 4, 4))
    assert module.mask_target(gt, roi, 2).tolist() == [[[1, 0], [1, 0]]]
    assert module.mask_target(gt, roi, 3).tolist() == [[[0, 0, 0], [1, 1, 0], [1, 1, 0]]]


@pytest.mark.parametrize('module', [ops, reference])
def test_m6(module):
    """(box IoU, mask IoU) of (.49, .9), (.5, .49), (.7, .5) with an instance of 7."""
    # A row of 100 pixels of which the mask has some: IoU = covered / 100.
    gt = block((0, 1), (0, 100), (2, 100)).expand(3, 2, 100)
    probs = torch.zeros(3, 1, 100)
    for r, covered in enumerate((90, 49, 50)):
        probs[r, 0, :covered] = 1
    rois = boxes(*[(0, 0, 99, 0)] * 3)
    overlap = module.pasted_mask_iou(rois, probs, gt)
    assert overlap.tolist() == [.9, .49, .5]
    box_iou = torch.tensor([.49, .5, .7])
    by_box = torch.where(box_iou >= .5, SEVEN, BACK)
    assert by_box.tolist() == [0, 7, 7]
    labels = module.mask_level_labels(by_box, rois, probs, gt, BACK)
    assert labels.tolist() == [0, 0, 7]
    # mmdet's background is the last label.
    last = torch.where(box_iou >= .5, SEVEN, 20)
    assert module.mask_level_labels(last, rois, probs, gt, 20).tolist() == [20, 20, 7]


def test_halves_round_away_from_zero():
    rois = boxes((.5, 1.5, 2.5, 3.5), (-.5, -1.5, -2.5, 3.4999999),
                 (.49999999999999994, 4.4999, 4.5, 1e300))
    found, filled = ops.integer_boxes(rois)
    assert found.tolist() == [[1, 2, 3, 4], [-1, -2, -3, 3], [0, 4, 5, 2**30]]
    assert filled.tolist() == [True, False, True]
    # numpy's round, half to even, would begin the second RoI one pixel early.
    gt = block((0, 6), (3, 6))
    assert ops.mask_target(gt, boxes((2.5, 0, 5, 5)), 1).item() == 1
    target = ops.mask_target(gt, boxes((2.5, 0, 5, 5), (2.4, 0, 5, 5)), 4,
                             1., torch.tensor([0, 0]))
    assert target[:, 0].tolist() == [[1, 1, 1, 1], [0, 1, 1, 1]]


@pytest.mark.parametrize('count, length', [(5, 2), (5, 3), (10, 7), (5, 8)])
def test_a_value_that_equals_the_threshold_is_inside(count, length):
    """.4 of a pixel occurs where 5 divides m; floats would miss some of them."""
    steps = torch.eye(length, dtype=torch.bool)
    gt = steps[:, None, :].expand(length, 3, length)
    rois = boxes(*[(0, 0, length - 1, 2)] * length)
    assert torch.equal(ops.mask_target(gt, rois, count),
                       reference.mask_target(gt, rois, count))


def test_thresholds_by_hand():
    """Five samples of two pixels lie at -.3, .1, .5, .9, 1.3: 1, .9, .5, .1, 0."""
    gt, roi = block((0, 3), (0, 1), (3, 2)), boxes((0, 0, 1, 2))
    for threshold, wanted in ((.1, [1, 1, 1, 1, 0]), (.4, [1, 1, 1, 0, 0]),
                              (.5, [1, 1, 1, 0, 0]), (.51, [1, 1, 0, 0, 0]),
                              (.9, [1, 1, 0, 0, 0]), (1., [1, 0, 0, 0, 0])):
        assert ops.mask_target(gt, roi, 5, threshold)[0, 0].tolist() == wanted


def test_as_bilinear_interpolation_of_torch():
    masks, _, probs, _ = random_job(1, 3)
    rois = boxes((1, 2, 7, 9), (0, 0, 8, 10), (3, 4, 3, 4))
    crop = masks[:1, 2:10, 1:8].double()[None]
    wanted = torch.nn.functional.interpolate(crop, (7, 7), mode='bilinear')[0, 0] >= .4
    assert torch.equal(ops.mask_target(masks, rois, 7)[0].bool(), wanted)
    pasted = torch.nn.functional.interpolate(probs[:1][None], (8, 7), mode='bilinear')
    pasted = pasted[0, 0] >= .4
    both = (pasted & masks[0, 2:10, 1:8]).sum()
    wanted = both / (pasted.sum() + masks[0].sum() - both).double()
    assert ops.pasted_mask_iou(rois, probs, masks)[0] == wanted


# ---------------------------------------------------------------- reference


@pytest.mark.parametrize('seed', range(6))
def test_targets_are_those_of_the_reference(seed):
    masks, rois, _, owner = random_job(seed)
    for size in (1, 2, 5, 7):
        for threshold in (.4, .5):
            job = (masks, rois, size, threshold, owner)
            assert torch.equal(ops.mask_target(*job), reference.mask_target(*job))


@pytest.mark.parametrize('seed', range(6))
def test_labels_are_those_of_the_reference(seed):
    masks, rois, probs, owner = random_job(seed, count=12)
    got = ops.pasted_mask_iou(rois, probs, masks, .4, owner)
    wanted = reference.pasted_mask_iou(rois, probs, masks, .4, owner)
    torch.testing.assert_close(got, wanted, rtol=0, atol=0)
    assert (wanted > 0).sum() > 3
    labels = torch.randint(4, (12, ), generator=generator(seed))
    owner[labels == 3] = -1  # background has no instance
    for least in (.2, .4):
        job = (labels, rois, probs, masks, 3, least, .4, owner)
        found = ops.mask_level_labels(*job)
        assert torch.equal(found, reference.mask_level_labels(*job))
        assert found.dtype == labels.dtype and found is not labels


coordinates = st.integers(-8, 24).map(lambda n: n / 4)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[coordinates] * 4), st.integers(1, 6), st.integers(0, 2**20 - 1))
def test_quarters_of_pixels(roi, size, bits):
    """Halves, ties at the threshold, boxes across every side, turned boxes."""
    gt = torch.tensor([bits >> n & 1 for n in range(20)]).reshape(1, 4, 5)
    rois = boxes(roi)
    for threshold in (.25, .4):
        job = (gt, rois, size, threshold)
        assert torch.equal(ops.mask_target(*job), reference.mask_target(*job))
    probs = ((torch.arange(size**2) + bits) % 5 / 4).reshape(1, size, size).double()
    job = (rois, probs, gt, .4137)  # no tie: those of probabilities are up to rounding
    assert ops.pasted_mask_iou(*job) == reference.pasted_mask_iou(*job)


def test_one_instance_for_each_roi_needs_no_index():
    masks, rois, probs, _ = random_job(3, count=3)
    index = torch.arange(3)
    assert torch.equal(ops.mask_target(masks, rois, 5),
                       ops.mask_target(masks, rois, 5, .4, index))
    assert torch.equal(ops.pasted_mask_iou(rois, probs, masks),
                       ops.pasted_mask_iou(rois, probs, masks, .4, index))


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int64, torch.float32])
def test_masks_of_any_format(dtype):
    masks, rois, probs, owner = random_job(4)
    given = masks.to(dtype) * 3
    assert torch.equal(ops.mask_target(given, rois, 5, .4, owner),
                       ops.mask_target(masks, rois, 5, .4, owner))
    assert torch.equal(ops.pasted_mask_iou(rois, probs, given, .4, owner),
                       ops.pasted_mask_iou(rois, probs, masks, .4, owner))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    masks, rois, probs, owner = random_job(5)
    rois, probs = rois.to(dtype), probs.to(dtype)
    assert torch.equal(ops.mask_target(masks, rois, 5, .4, owner),
                       reference.mask_target(masks, rois, 5, .4, owner))
    extreme = torch.tensor([[-6e4, -6e4, 6e4, 6e4], [0, 0, 6e4, 8]], dtype=dtype)
    target = ops.mask_target(masks, extreme, 5, .4, owner[:2])
    assert target.isfinite().all() and target.dtype == torch.float32
    for some in (rois, extreme):
        found = ops.pasted_mask_iou(some, probs[:len(some)], masks, .4,
                                    owner[:len(some)])
        assert found.dtype == F64 and ((found >= 0) & (found <= 1)).all()
    got = ops.pasted_mask_iou(rois, probs, masks, .4, owner)
    wanted = ops.pasted_mask_iou(rois.double(), probs.double(), masks, .4, owner)
    torch.testing.assert_close(got, wanted, rtol=0, atol=.1)


def test_non_contiguous_input():
    masks, rois, probs, owner = random_job(6)
    turned = masks.transpose(1, 2).contiguous().transpose(1, 2)
    columns = rois.t().contiguous().t()
    strided = torch.stack([probs, probs], -1)[..., 0]
    assert not (turned.is_contiguous() or columns.is_contiguous()
                or strided.is_contiguous())
    assert torch.equal(ops.mask_target(turned, columns, 5, .4, owner),
                       ops.mask_target(masks, rois, 5, .4, owner))
    assert torch.equal(ops.pasted_mask_iou(columns, strided, turned, .4, owner),
                       ops.pasted_mask_iou(rois, probs, masks, .4, owner))


def test_no_gradient_and_no_change_of_the_input():
    masks, rois, probs, owner = random_job(7)
    leaves = [t.clone().requires_grad_() for t in (rois, probs)]
    labels = torch.ones(len(rois), dtype=torch.int64)
    target = ops.mask_target(masks, leaves[0], 5, .4, owner)
    found = ops.mask_level_labels(labels, *leaves, masks, 0, .5, .4, owner)
    assert not target.requires_grad and not found.requires_grad
    assert (labels == 1).all() and torch.equal(leaves[0].detach(), rois)


def test_two_runs_are_bit_equal():
    masks, rois, probs, owner = random_job(8, count=40)
    torch.use_deterministic_algorithms(True)
    try:
        runs = [(ops.mask_target(masks, rois, 9, .4, owner),
                 ops.pasted_mask_iou(rois, probs, masks, .4, owner)) for _ in range(2)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(*runs))


# -------------------------------------------------------------------- edges


def test_rois_outside_the_image():
    gt = block((0, 6), (0, 6))
    outside = boxes((-9, 0, -2, 5), (0, 6, 5, 9), (20, 20, 30, 30))
    zero = torch.zeros(3, dtype=torch.int64)
    assert ops.mask_target(gt, outside, 4, .4, zero).sum() == 0
    ones = torch.ones(3, 4, 4)
    assert ops.pasted_mask_iou(outside, ones, gt, .4, zero).tolist() == [0, 0, 0]
    # Half of it outside: that half of the target is empty, and no pixel counts.
    half = boxes((-4, 0, 3, 5))
    assert ops.mask_target(gt, half, 4).tolist() == [[[0, 0, 1, 1]] * 4]
    assert ops.pasted_mask_iou(half, ones[:1], gt).item() == 4 / 6


def test_rois_without_area_are_a_pixel():
    gt = block((2, 3), (4, 5))
    point = boxes((4, 2, 4, 2), (3, 2, 3, 2))
    zero = torch.zeros(2, dtype=torch.int64)
    assert ops.mask_target(gt, point, 3, .4, zero).mean((1, 2)).tolist() == [1, 0]
    assert ops.pasted_mask_iou(point, torch.ones(2, 3, 3), gt, .4,
                               zero).tolist() == [1, 0]


def test_turned_and_infinite_rois_are_empty():
    nan, inf = float('nan'), float('inf')
    rois = boxes((4, 1, 2, 5), (1, 4, 5, 2), (nan, 0, 5, 5), (0, 0, inf, 5),
                 (-inf, -inf, inf, inf))
    gt, zero = block((0, 6), (0, 6)), torch.zeros(5, dtype=torch.int64)
    assert ops.mask_target(gt, rois, 3, .4, zero).sum() == 0
    assert ops.mask_target(gt, rois, 3, 0., zero).sum() == 0
    assert ops.pasted_mask_iou(rois, torch.ones(5, 3, 3), gt, .4, zero).sum() == 0


def test_boxes_far_larger_than_the_image():
    """The cost is that of the image, not of the box."""
    gt = block((0, 6), (0, 6))
    roi = boxes((-1e12, -5e8, 1e9, 1e9))
    assert ops.mask_target(gt, roi, 4).sum() == 0  # the image is no pixel of it
    assert ops.pasted_mask_iou(roi, torch.ones(1, 4, 4), gt).item() == 1


def test_instances_without_a_pixel():
    gt, roi = block((0, 0), (0, 0)), boxes((0, 0, 5, 5))
    assert ops.mask_target(gt, roi, 3).sum() == 0
    assert ops.pasted_mask_iou(roi, torch.ones(1, 3, 3), gt).item() == 0
    assert ops.pasted_mask_iou(roi, torch.zeros(1, 3, 3), gt).item() == 0
    label = torch.tensor([SEVEN])
    assert ops.mask_level_labels(label, roi, torch.zeros(1, 3, 3), gt, 0).item() == 0
    assert ops.mask_level_labels(label, roi, torch.zeros(1, 3, 3), gt, 0,
                                 0.).item() == SEVEN


@pytest.mark.parametrize('instances', [0, 2])
def test_no_rois(instances):
    gt = torch.ones(instances, 4, 5, dtype=torch.bool)
    none = torch.zeros(0, dtype=torch.int64)
    rois, probs = torch.zeros(0, 4), torch.zeros(0, 1, 7, 7)
    assert ops.mask_target(gt, rois, 7, .4, none).shape == (0, 7, 7)
    assert ops.pasted_mask_iou(rois, probs, gt, .4, none).shape == (0, )
    labels = ops.mask_level_labels(none, rois, probs, gt, 0, .5, .4, none)
    assert labels.shape == (0, ) and labels.dtype == torch.int64


def test_an_image_without_instances_has_background_alone():
    gt = torch.zeros(0, 4, 5, dtype=torch.bool)
    labels, index = torch.full((3, ), 20), torch.full((3, ), -1)
    rois = boxes(*[(0, 0, 3, 3)] * 3)
    found = ops.mask_level_labels(labels, rois, torch.ones(3, 7, 7), gt, 20, .5, .4,
                                  index)
    assert found.tolist() == [20] * 3


def test_an_image_of_one_pixel():
    gt = torch.ones(1, 1, 1, dtype=torch.bool)
    roi, prob = boxes((0, 0, 0, 0)), torch.full((1, 1, 1), .4)
    assert ops.mask_target(gt, roi, 2).tolist() == [[[1, 1], [1, 1]]]
    assert ops.pasted_mask_iou(roi, prob, gt).item() == 1  # .4 is inside
    assert ops.pasted_mask_iou(roi, prob - 1e-4, gt).item() == 0


def test_inside_compiled_code():
    masks, rois, probs, owner = random_job(2)
    labels = torch.ones(len(rois), dtype=torch.int64)

    def run(rois, probs):
        return (ops.mask_target(masks, rois, 5, .4, owner) * 2,
                ops.mask_level_labels(labels, rois, probs, masks, 0, .3, .4, owner) + 1)

    compiled = torch.compile(run, backend='eager')
    assert all(torch.equal(a, b) for a, b in zip(compiled(rois, probs),
                                                 run(rois, probs)))


# ------------------------------------------------------------------- errors


@pytest.mark.parametrize('change, error, text', [
    (dict(rois=torch.rand(3, 5)), ValueError,
     r'rois must have shape \(R, 4\), got \(3, 5\).*without their batch index'),
    (dict(rois=torch.rand(3, 3)), ValueError, r'rois has shape \(3, 3\).*\(3, 4\)'),
    (dict(rois=torch.ones(3, 4).long()), TypeError, 'rois must be floating point'),
    (dict(rois=None), TypeError, 'rois must be a tensor'),
    (dict(gt_masks=None), TypeError, 'gt_masks must be a tensor.*NoneType.*to_tensor'),
    (dict(gt_masks=torch.rand(4, 5)), ValueError, r'gt_masks must have.*got \(4, 5\)'),
    (dict(gt_masks=torch.rand(2, 0, 5)), ValueError, 'with at least one pixel'),
    (dict(gt_masks=torch.rand(2, 4, 5, device='meta')), ValueError,
     'gt_masks is on meta, rois on cpu'),
    (dict(gt_index=None), ValueError, 'gt_masks has 2 instances for 3 RoIs.*gt_index'),
    (dict(gt_index=torch.ones(3)), TypeError, 'gt_index must hold integers'),
    (dict(gt_index=torch.zeros(4).long()), ValueError,
     r'gt_index has shape \(4,\).*must be \(3,\)'),
    (dict(gt_index=torch.tensor([0, 1, 2])), ValueError,
     r'gt_index must be in \[0, 1\] for 2 instances, got 0..2'),
    (dict(gt_index=torch.tensor([0, 1, -1])), ValueError, r'got -1..1'),
    (dict(threshold=1.5), ValueError, r'threshold must be in \[0, 1\], got 1.5'),
])
def test_errors_that_both_have(change, error, text):
    job = dict(gt_masks=torch.ones(2, 4, 5), rois=torch.rand(3, 4),
               gt_index=torch.tensor([0, 1, 1]))
    job.update(change)
    with pytest.raises(error, match=text):
        ops.mask_target(size=7, **job)
    labels = torch.ones(3, dtype=torch.int64)
    with pytest.raises(error, match=text):
        ops.mask_level_labels(labels, mask_probs=torch.rand(3, 7, 7), background=0,
                              **job)


@pytest.mark.parametrize('change, error, text', [
    (dict(box_labels=torch.ones(3)), TypeError, 'box_labels must hold integers'),
    (dict(box_labels=torch.ones(2).long()), ValueError,
     r'box_labels has shape \(2,\).*must be \(3,\)'),
    (dict(mask_probs=torch.rand(2, 7, 7)), ValueError,
     r'mask_probs has shape \(2,\).*must be \(3,\)'),
    (dict(mask_probs=torch.rand(3, 2, 7, 7)), ValueError,
     r'mask_probs must have shape \(R, m, m\) or \(R, 1, m, m\), got \(3, 2, 7, 7\)'),
    (dict(mask_probs=torch.rand(3, 0, 7)), ValueError, 'mask_probs must have at least'),
    (dict(mask_probs=torch.ones(3, 7, 7).long()), TypeError, 'mask_probs must be float'),
    (dict(mask_probs=torch.rand(3, 7, 7, device='meta')), ValueError,
     'mask_probs is on meta, rois on cpu'),
    (dict(background=.5), TypeError, 'background must be an integer, got 0.5'),
    (dict(mask_iou=-.1), ValueError, r'mask_iou must be in \[0, 1\], got -0.1'),
])
def test_errors_of_labels(change, error, text):
    job = dict(box_labels=torch.ones(3, dtype=torch.int64), rois=torch.rand(3, 4),
               mask_probs=torch.rand(3, 7, 7), gt_masks=torch.ones(3, 4, 5),
               background=0)
    with pytest.raises(error, match=text):
        ops.mask_level_labels(**{**job, **change})


def test_errors_of_the_size():
    for size, error in ((0, ValueError), (7., TypeError)):
        with pytest.raises(error, match='size must be'):
            ops.mask_target(torch.ones(1, 4, 5), torch.rand(1, 4), size)


# ------------------------------------------------------------------- memory


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the storages that operators make, and their peak."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out, ):
            if isinstance(tensor, torch.Tensor):
                self.count(tensor.untyped_storage())
        return out

    def count(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return  # a view
        self.known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self.forget, key, size)

    def forget(self, key, size):
        self.known.discard(key)
        self.now -= size


def test_no_tensor_of_all_rois_at_full_resolution():
    """200 RoIs as large as the image: 70 MB as bool; a box's float32 is 1.4 MB."""
    rois = boxes(*[(0, 0, 699, 499)] * 200, dtype=torch.float32)
    masks, probs = torch.ones(2, 500, 700, dtype=torch.bool), torch.rand(200, 28, 28)
    index, labels = torch.arange(200) % 2, torch.ones(200, dtype=torch.int64)
    with LiveBytes() as targets:
        ops.mask_target(masks, rois, 28, .4, index)
    assert 200 * 28**2 * 8 < targets.peak < 200 * 28**2 * 8 * 6
    with LiveBytes() as found:
        ops.mask_level_labels(labels, rois, probs, masks, 0, .5, .4, index)
    assert 500 * 700 * 4 < found.peak < 500 * 700 * 4 * 6
