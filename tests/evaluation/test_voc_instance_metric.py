"""mAP^r against M9, a count of pixels in sets, and COCOeval where the protocols agree."""

import contextlib
import io
import pickle
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('mmdet')
coco_mask = pytest.importorskip('pycocotools.mask')

from mmdet.registry import METRICS  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402
from mmdet.structures.mask import (  # noqa: E402
    BitmapMasks,
    PolygonMasks,
    encode_mask_results,
)
from mmengine.structures import InstanceData  # noqa: E402

import segaware_mm  # noqa: E402, F401

CLASSES = ('a', 'b', 'c')
VOLUME = [Fraction(n, 10) for n in range(1, 10)]


def instances(masks, labels, size, **more):
    """Ground truth as LoadAnnotations and PackDetInputs leave it."""
    masks = np.array(masks, np.uint8).reshape(-1, *size)
    data = InstanceData(masks=BitmapMasks(masks, *size),
                        labels=torch.tensor(labels, dtype=torch.int64))
    for key, value in more.items():
        data[key] = value
    return data


def sample(gt, detections, size=(6, 6), ignored=((), ()), img_id=0):
    """``gt``, ``ignored``: (masks, labels); ``detections``: (masks, labels, scores)."""
    found = DetDataSample(metainfo=dict(img_id=img_id, ori_shape=size,
                                        img_path=f'{img_id}.jpg'))
    found.gt_instances = instances(*gt, size)
    found.ignored_instances = instances(*ignored, size)
    masks, labels, scores = detections
    found.pred_instances = InstanceData(
        masks=torch.from_numpy(np.array(masks, bool).reshape(-1, *size)),
        labels=torch.tensor(labels, dtype=torch.int64),
        scores=torch.tensor(scores, dtype=torch.float32))
    return found.to_dict()


def build(classes=CLASSES, **options):
    metric = METRICS.build(dict(type='VOCInstanceMetric', **options))
    metric.dataset_meta = dict(classes=classes)
    return metric


def evaluate(samples, **options):
    metric = build(**options)
    for one in samples:
        metric.process(None, [one])
    return metric.evaluate(len(samples))


def strips():
    """M9: three instances of two rows; five detections, of IoU 1, 1, .7, .5 and 0."""
    rows = np.zeros((3, 6, 6), bool)
    for k in range(3):
        rows[k, 2 * k:2 * k + 2, :5] = True
    found = np.zeros((5, 6, 6), bool)
    found[0] = found[1] = rows[0]
    found[2], found[2, 3, 2:] = rows[1], False
    found[3, 4, :5] = True
    found[4, :, 5] = True
    return rows, found


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize('mode, half, more', [('11points', .840909, .545455),
                                              ('area', .833333, .555556)])
def test_m9(mode, half, more):
    rows, found = strips()
    one = sample((rows, [0] * 3), (found, [0] * 5, [.9, .8, .7, .6, .5]))
    got = evaluate([one], eval_mode=mode)
    assert got['voc_inst/mAPr@0.5'] == pytest.approx(half, abs=5e-7)
    assert got['voc_inst/mAPr@0.7'] == pytest.approx(more, abs=5e-7)
    # IoUs .1 to .5 find three, .6 and .7 two, .8 and .9 one of three.
    last = 4 / 11 if mode == '11points' else 1 / 3
    assert got['voc_inst/mAPr_vol'] == pytest.approx(
        (5 * half + 2 * more + 2 * last) / 9, abs=5e-7)


def test_detections_are_ranked_over_all_images():
    rows, found = strips()
    first = sample((rows[:1], [0]), (found[4:], [0], [.95]), img_id=0)
    second = sample((rows[:1], [0]), (found[:1], [0], [.6]), img_id=1)
    # An error first, then one of two: precision 1 / 2 up to recall 1 / 2.
    assert evaluate([first, second])['voc_inst/mAPr@0.5'] == pytest.approx(6 * .5 / 11)


def test_classes_do_not_mix():
    rows, found = strips()
    one = sample((rows[:2], [0, 1]), (found[[0, 2]], [1, 0], [.9, .8]))
    assert evaluate([one])['voc_inst/mAPr@0.5'] == 0
    right = sample((rows[:2], [0, 1]), (found[[0, 2]], [0, 1], [.9, .8]))
    assert evaluate([right])['voc_inst/mAPr@0.5'] == 1


def test_classes_without_instances_are_left_out():
    rows, found = strips()
    one = sample((rows[:1], [0]), (found[[0, 4]], [0, 2], [.9, .8]))
    got = evaluate([one], classwise=True)
    assert got['voc_inst/mAPr@0.5'] == 1
    assert got['voc_inst/APr@0.5_a'] == 1
    assert np.isnan(got['voc_inst/APr@0.5_b']) and np.isnan(got['voc_inst/APr_vol_c'])


def test_images_without_instances_or_detections():
    rows, found = strips()
    empty = ((), ())
    no_truth = sample(empty, (found[:1], [0], [.95]))
    no_found = sample((rows[:1], [0]), (*empty, ()))
    neither = sample(empty, (*empty, ()))
    hit = sample((rows[:1], [0]), (found[:1], [0], [.9]))
    # One error above, then one of two instances.
    got = evaluate([no_truth, no_found, neither, hit])
    assert got['voc_inst/mAPr@0.5'] == pytest.approx(6 * .5 / 11)
    for alone in (no_truth, neither):
        assert np.isnan(evaluate([alone])['voc_inst/mAPr@0.5'])
    assert evaluate([no_found]) == {'voc_inst/mAPr@0.5': 0, 'voc_inst/mAPr@0.7': 0,
                                    'voc_inst/mAPr_vol': 0}


def test_ignored_instances_are_no_error_and_not_wanted():
    rows, found = strips()
    job = (found[[2, 0, 0]], [0] * 3, [.9, .8, .7])
    plain = sample((rows[:1], [0]), job)
    ignored = sample((rows[:1], [0]), job, ignored=(rows[1:2], [0]))
    assert evaluate([plain])['voc_inst/mAPr@0.5'] == pytest.approx(.5)
    assert evaluate([ignored])['voc_inst/mAPr@0.5'] == 1
    # Not ignored in its class alone.
    other = sample((rows[:1], [0]), job, ignored=(rows[1:2], [1]))
    assert evaluate([other])['voc_inst/mAPr@0.5'] == pytest.approx(.5)
    # Below the threshold of the ignored one it is an error again.
    assert evaluate([ignored], iou_thrs=.8)['voc_inst/mAPr@0.8'] == pytest.approx(.5)


# ------------------------------------------------------- independent counts


def pixels(mask):
    return {tuple(at) for at in np.argwhere(mask)}


def counted(images, classes, threshold, mode):
    """Mean of AP^r from sets of pixels and fractions; None without instances."""
    values = []
    for c in range(classes):
        wanted = sum(label == c and not skip for image in images
                     for _, label, skip in image['gt'])
        if not wanted:
            continue
        ranked = sorted(
            ((-score, i, d, mask) for i, image in enumerate(images)
             for d, (mask, label, score) in enumerate(image['found']) if label == c),
            key=lambda entry: entry[:3])
        taken, points, true, total = set(), [], 0, 0
        for _, i, _, mask in ranked:
            overlaps = []
            for g, (other, label, skip) in enumerate(images[i]['gt']):
                if label == c:
                    union = len(mask | other)
                    overlaps.append((Fraction(len(mask & other), union) if union
                                     else Fraction(0), -g, skip))
            best, g, skip = max(overlaps, default=(Fraction(-1), 0, False))
            if best >= threshold and skip:
                continue
            total += 1
            if best >= threshold and (i, g) not in taken:
                taken.add((i, g))
                true += 1
            points.append((Fraction(true, wanted), Fraction(true, total)))

        def precision(least, points=points):
            return max((p for r, p in points if r >= least), default=Fraction(0))

        steps = 11 if mode == '11points' else wanted
        grid = ([Fraction(k, 10) for k in range(11)] if mode == '11points' else
                [Fraction(k, wanted) for k in range(1, wanted + 1)])
        values.append(sum(map(precision, grid)) / steps)
    return sum(values) / len(values) if values else None


@st.composite
def scenes(draw):
    """Some images of 4 x 5 pixels; instances to the left of which detections err."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(draw(st.integers(1, 3))):
        wanted, count = draw(st.integers(0, 4)), draw(st.integers(0, 6))
        gt = [rng.random((4, 5)) < rng.random() for _ in range(wanted)]
        labels = rng.integers(0, len(CLASSES), wanted)
        skip = np.sort(rng.random(wanted) < .25)  # the ignored ones last
        found = []
        for _ in range(count):
            near = gt[rng.integers(wanted)] if wanted else np.zeros((4, 5), bool)
            found.append(near ^ (rng.random((4, 5)) < rng.random() * .5))
        images.append(dict(gt=gt, labels=labels, skip=skip, found=found,
                           classes=rng.integers(0, len(CLASSES), count),
                           scores=rng.integers(0, 8, count) / 8))
    return images


def as_sample(image, k):
    own, other = ~image['skip'], image['skip']

    def part(of):
        return ([m for m, keep in zip(image['gt'], of) if keep], image['labels'][of])
    return sample(part(own), (image['found'], image['classes'], image['scores']),
                  (4, 5), part(other), k)


@settings(max_examples=60, deadline=None)
@given(scenes(), st.sampled_from(['11points', 'area']))
def test_random_scenes(images, mode):
    got = evaluate([as_sample(image, k) for k, image in enumerate(images)],
                   eval_mode=mode)
    plain = [dict(gt=[(pixels(m), label, skip) for m, label, skip in zip(
        image['gt'], image['labels'], image['skip'])],
        found=[(pixels(m), label, score) for m, label, score in zip(
            image['found'], image['classes'], image['scores'])]) for image in images]

    def wanted(threshold):
        return counted(plain, len(CLASSES), threshold, mode)
    if wanted(Fraction(1, 2)) is None:
        assert all(np.isnan(value) for value in got.values())
        return
    assert got['voc_inst/mAPr@0.5'] == pytest.approx(float(wanted(Fraction(1, 2))))
    assert got['voc_inst/mAPr@0.7'] == pytest.approx(float(wanted(Fraction(7, 10))))
    assert got['voc_inst/mAPr_vol'] == pytest.approx(
        float(sum(map(wanted, VOLUME)) / len(VOLUME)))


def test_as_coco_eval_where_the_protocols_agree():
    """Disjoint instances, an IoU above .5: no detection could move on to another.

    COCO reads precision at the recalls it is given: here the 11 points.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    rng = np.random.default_rng(3)
    size, samples, boxes, found = (24, 30), [], [], []
    for k in range(12):
        grid = rng.permutation(20)[:6]
        masks = np.zeros((6, *size), bool)
        for mask, cell in zip(masks, grid):
            y, x = divmod(int(cell), 5)
            mask[6 * y:6 * y + 5, 6 * x:6 * x + rng.integers(3, 6)] = True
        labels = rng.integers(0, len(CLASSES), 6)
        near = rng.integers(0, 6, 10)
        dets = [np.roll(masks[i], rng.integers(0, 2, 2), (0, 1))
                ^ (rng.random(size) < .003) for i in near]
        classes = np.where(rng.random(10) < .8, labels[near], rng.integers(0, 3, 10))
        scores = rng.permutation(1000)[:10] / 1000 + k * 1e-5  # none twice
        samples.append(sample((masks, labels), (dets, classes, scores), size, img_id=k))
        for mask, label in zip(masks, labels):
            boxes.append(dict(id=len(boxes) + 1, image_id=k, category_id=int(label),
                              iscrowd=0, area=int(mask.sum()), bbox=[0, 0, 1, 1],
                              segmentation=coco_mask.encode(np.asfortranarray(
                                  mask.astype(np.uint8)))))
        for mask, label, score in zip(dets, classes, scores):
            found.append(dict(image_id=k, category_id=int(label), score=float(score),
                              segmentation=coco_mask.encode(np.asfortranarray(
                                  mask.astype(np.uint8)))))
    got = evaluate(samples, iou_thrs=(.55, .75))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dict(
            images=[dict(id=k, height=size[0], width=size[1]) for k in range(12)],
            categories=[dict(id=c, name=name) for c, name in enumerate(CLASSES)],
            annotations=boxes)
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(found), 'segm')
        judge.params.iouThrs = np.array([.55, .75])
        judge.params.recThrs = np.arange(11) / 10
        judge.params.maxDets = [100]
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ['all']
        judge.evaluate()
        judge.accumulate()
    wanted = judge.eval['precision'].mean((1, 2, 3, 4))
    assert .05 < wanted[1] < wanted[0] < .95
    assert got['voc_inst/mAPr@0.55'] == pytest.approx(wanted[0])
    assert got['voc_inst/mAPr@0.75'] == pytest.approx(wanted[1])


def test_perfect_masks_of_real_images(real_data):
    """Ground truth of VOC as its own prediction."""
    from pycocotools.coco import COCO
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(real_data / 'voc2007_sub' / 'val.json'))
    samples = []
    for info in truth.loadImgs(truth.getImgIds())[:8]:
        anns = truth.loadAnns(truth.getAnnIds(info['id']))
        masks = [truth.annToMask(ann) for ann in anns]
        labels = [ann['category_id'] - 1 for ann in anns]
        size = (info['height'], info['width'])
        samples.append(sample((masks, labels), (masks, labels, [.5] * len(masks)), size,
                              img_id=info['id']))
    names = tuple(cat['name'] for cat in truth.loadCats(truth.getCatIds()))
    assert set(evaluate(samples, classes=names).values()) == {1.}


# -------------------------------------------------------------------- forms


def test_masks_of_every_form():
    rows, found = strips()
    one = sample((rows, [0, 1, 0]), (found, [0, 0, 1, 0, 0], [.9, .8, .7, .6, .5]))
    wanted = evaluate([one])
    assert 0 < wanted['voc_inst/mAPr@0.7'] < wanted['voc_inst/mAPr@0.5'] < 1
    masks = one['pred_instances']['masks'].numpy()
    rles = encode_mask_results(masks)
    text = [dict(size=rle['size'], counts=rle['counts'].decode()) for rle in rles]
    runs = [dict(size=[6, 6], counts=run_lengths(mask)) for mask in masks]
    for form in (masks, masks.astype(np.uint8), list(masks), rles, text, runs,
                 BitmapMasks(masks.astype(np.uint8), 6, 6)):
        one['pred_instances']['masks'] = form
        assert evaluate([one]) == wanted
    # The rows are rectangles, so polygons hold the same pixels.
    polygons = [[np.array([0, 2 * k, 5, 2 * k, 5, 2 * k + 2, 0, 2 * k + 2.])]
                for k in range(3)]
    one['gt_instances']['masks'] = PolygonMasks(polygons, 6, 6)
    assert evaluate([one]) == wanted
    one['gt_instances'] = None  # the dataset's own entries come first
    for form in (polygons, encode_mask_results(rows)):
        one['instances'] = [dict(mask=mask, bbox_label=label, ignore_flag=0)
                            for mask, label in zip(form, (0, 1, 0))]
        assert evaluate([one]) == wanted
    before = pickle.dumps(one['instances'])
    evaluate([one])
    assert pickle.dumps(one['instances']) == before


def run_lengths(mask):
    """Uncompressed run lengths, column by column, beginning with a run of zeros."""
    counts, value = [0], False
    for pixel in mask.T.ravel():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def test_entries_with_ignore_flag_or_without_a_polygon_are_ignored():
    rows, found = strips()
    one = sample((rows[:1], [0]), (found[[2, 0]], [0, 0], [.9, .8]))
    one['instances'] = [
        dict(mask=encode_mask_results(rows[:1])[0], bbox_label=0, ignore_flag=0),
        dict(mask=encode_mask_results(rows[1:2])[0], bbox_label=0, ignore_flag=1),
        dict(mask=[[1., 1., 2., 2.]], bbox_label=0, ignore_flag=0)]
    assert evaluate([one])['voc_inst/mAPr@0.5'] == 1


def test_mask_scores_come_first():
    rows, found = strips()
    one = sample((rows[:1], [0]), (found[[0, 4]], [0, 0], [.9, .8]))
    assert evaluate([one])['voc_inst/mAPr@0.5'] == 1
    one['pred_instances']['mask_scores'] = torch.tensor([.1, .2])
    assert evaluate([one])['voc_inst/mAPr@0.5'] == pytest.approx(.5)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_scores_of_any_format(dtype):
    rows, found = strips()
    one = sample((rows, [0] * 3), (found, [0] * 5, [.9, .8, .7, .6, .5]))
    wanted = evaluate([one])
    one['pred_instances']['scores'] = one['pred_instances']['scores'].to(dtype)
    assert evaluate([one]) == wanted


def test_results_of_several_processes(tmp_path):
    """What one process sends is plain; merged in order it is the same evaluation."""
    rng = np.random.default_rng(1)
    samples = []
    for k in range(5):
        gt = rng.random((3, 6, 6)) < .5
        found = gt[[0, 1, 2, 0]] ^ (rng.random((4, 6, 6)) < .2)
        samples.append(sample((gt, [0, 1, 2]), (found, [0, 1, 2, 0],
                                                rng.random(4)), img_id=k))
    wanted = evaluate(samples)
    parts = [build() for _ in range(2)]
    for k, one in enumerate(samples):
        parts[k % 2].process(None, [one])
    sent = [pickle.loads(pickle.dumps(part.results)) for part in parts]
    merged = [sent[k % 2][k // 2] for k in range(5)]
    got = build().compute_metrics([tuple(result) for result in merged])
    assert {f'voc_inst/{key}': value for key, value in got.items()} == wanted


def test_no_mask_is_kept():
    rng = np.random.default_rng(0)
    metric = build()

    def batch(k):
        masks = rng.random((20, 120, 160)) < .5
        return sample((masks[:3], [0, 1, 2]), (masks, [0] * 20, rng.random(20)),
                      (120, 160), img_id=k)
    metric.process(None, [batch(0)])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for k in range(12):
        metric.process(None, [batch(k)])
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    # 20 detections: some hundred bytes; their masks are 384 kB, encoded as noise 100.
    assert kept < 12 * 5000
    assert len(pickle.dumps(metric.results)) < 13 * 2000


def test_the_table_of_classes(caplog):
    from mmengine.logging import MMLogger
    logger = MMLogger.get_current_instance()
    rows, found = strips()
    one = sample((rows, [0, 0, 1]), (found, [0] * 5, [.9, .8, .7, .6, .5]))
    logger.addHandler(caplog.handler)
    try:
        got = evaluate([one], classwise=True, prefix='seg')
    finally:
        logger.removeHandler(caplog.handler)
    lines = [line.replace(' ', '') for line in caplog.text.splitlines()]
    assert '|class|instances|detections|APr@0.5|APr@0.7|APr_vol|' in lines
    assert [line for line in lines if line.startswith('|a|2|5|')]
    assert [line for line in lines if line.startswith('|b|1|0|0.000|0.000|')]
    assert [line for line in lines if line.startswith('|c|0|0|nan|nan|')]
    assert got['seg/mAPr@0.5'] == (got['seg/APr@0.5_a'] + got['seg/APr@0.5_b']) / 2


# ------------------------------------------------------------------- errors


@pytest.mark.parametrize('options, text', [
    (dict(eval_mode='voc'), "eval_mode must be '11points' or 'area', got 'voc'"),
    (dict(iou_thrs=()), r'iou_thrs must be numbers in \(0, 1\]'),
    (dict(iou_thrs=(.5, 70)), r'iou_thrs must be numbers in \(0, 1\]'),
    (dict(iou_thrs=0), r'iou_thrs must be numbers in \(0, 1\], got 0'),
])
def test_errors_of_the_arguments(options, text):
    with pytest.raises(ValueError, match=text):
        METRICS.build(dict(type='VOCInstanceMetric', **options))


def without(one, part, *keys):
    one = dict(one, **{part: {key: value for key, value in one[part].items()
                              if key not in keys}})
    return one


def test_errors_name_the_image_and_the_remedy():
    rows, found = strips()
    good = sample((rows[:1], [0]), (found[:2], [0, 0], [.9, .8]), img_id=7)

    def error(one, kind=ValueError):
        with pytest.raises(kind) as caught:
            build().process(None, [one])
        assert '7.jpg' in str(caught.value)
        return str(caught.value)

    assert 'predictions of 7.jpg have no masks' in error(
        without(good, 'pred_instances', 'masks'))
    assert "'LoadAnnotations', with_bbox=True, with_mask=True) after Resize" in error(
        without(good, 'gt_instances', 'masks'))
    assert 'has no ground truth' in error(
        without(good, 'gt_instances', 'masks', 'labels'))
    assert 'has no ground truth' in error(
        {key: value for key, value in good.items() if key != 'gt_instances'})
    assert 'has boxes alone' in error(dict(good, instances=[dict(bbox_label=0)]))
    soft = without(good, 'pred_instances', 'masks')
    soft['pred_instances']['masks'] = torch.rand(2, 6, 6)
    assert 'got float32 of shape (6, 6); compare probabilities' in error(soft, TypeError)
    soft['pred_instances']['masks'] = torch.ones(2, 36)
    assert 'must be (N, H, W)' in error(soft, TypeError)
    few = without(good, 'pred_instances', 'scores')
    few['pred_instances']['scores'] = torch.rand(3)
    assert '2 masks, 2 labels and 3 scores' in error(few)
    other = without(good, 'gt_instances')
    other['gt_instances']['masks'] = BitmapMasks(np.ones((1, 5, 6), np.uint8), 5, 6)
    assert '[(6, 6)], those of the ground truth [(5, 6)]' in error(other)
    high = sample((rows[:1], [3]), (found[:1], [0], [.9]), img_id=7)
    assert 'ground truth of 7.jpg have labels 3..3; the dataset has 3 classes' in \
        error(high)
    high = sample((rows[:1], [0]), (found[:1], [-1], [.9]), img_id=7)
    assert 'predictions of 7.jpg have labels -1..-1' in error(high)


def test_classes_are_needed():
    metric = METRICS.build(dict(type='VOCInstanceMetric'))
    with pytest.raises(ValueError, match='needs the classes of the data set'):
        metric.process(None, [])


# ------------------------------------------------------------ with upstream


def test_after_the_pipeline_of_a_coco_dataset(tmp_path):
    """Ground truth of LoadAnnotations after Resize, crowd and polygon included."""
    import json

    from mmdet.datasets import CocoDataset
    from mmengine.registry import init_default_scope
    from PIL import Image
    init_default_scope('mmdet')
    Image.new('RGB', (40, 30)).save(tmp_path / 'one.png')
    square = [5, 5, 15, 5, 15, 15, 5, 15]
    crowd = np.zeros((30, 40), np.uint8)
    crowd[20:, 20:] = 1
    anns = [dict(id=1, image_id=1, category_id=1, iscrowd=0, area=100,
                 bbox=[5, 5, 10, 10], segmentation=[square]),
            dict(id=2, image_id=1, category_id=1, iscrowd=1, area=200,
                 bbox=[20, 20, 20, 10],
                 segmentation=dict(size=[30, 40], counts=run_lengths(crowd)))]
    (tmp_path / 'a.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name='one.png', height=30, width=40)],
        categories=[dict(id=1, name='a')], annotations=anns)))
    for keys in ((), ('instances', )):
        dataset = CocoDataset(
            ann_file='a.json', data_root=str(tmp_path), test_mode=True,
            data_prefix=dict(img=''),
            metainfo=dict(classes=('a', )),
            pipeline=[dict(type='LoadImageFromFile'),
                      dict(type='Resize', scale=(80, 60), keep_ratio=True),
                      dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
                      dict(type='PackDetInputs',
                           meta_keys=('img_id', 'img_path', 'ori_shape', *keys))])
        found = dataset[0]['data_samples']
        assert found.gt_instances.masks.masks.shape == (1, 30, 40)
        truth = found.gt_instances.masks.masks[0].astype(bool)
        found.pred_instances = InstanceData(
            masks=torch.from_numpy(np.stack([crowd.astype(bool), truth])),
            labels=torch.zeros(2, dtype=torch.int64), scores=torch.tensor([.9, .8]))
        assert evaluate([found.to_dict()], classes=('a', ))['voc_inst/mAPr@0.5'] == 1
