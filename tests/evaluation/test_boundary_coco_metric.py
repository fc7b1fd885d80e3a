"""Boundary AP of instance masks."""

import json
import tracemalloc

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric
from mmdet.registry import METRICS
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from segaware_mm.evaluation.boundary_coco_metric import (
    BoundaryCOCOeval,
    BoundaryCocoMetric,
)
from segaware_mm.utils.rle import encode_mask

NAMES = ('disc', 'bar')
SIZE = (60, 80)


def disc(y, x, radius):
    rows, columns = np.ogrid[:SIZE[0], :SIZE[1]]
    return (rows - y)**2 + (columns - x)**2 <= radius**2


def slow_band(mask, radius):
    """Pixels of a mask with one outside in their square, outside the image too."""
    height, width = mask.shape
    wide = np.zeros((height + 2 * radius, width + 2 * radius), bool)
    wide[radius:-radius, radius:-radius] = mask
    core = np.ones_like(mask)
    for dy in range(2 * radius + 1):
        for dx in range(2 * radius + 1):
            core &= wide[dy:dy + height, dx:dx + width]
    return mask & ~core


def slow_iou(first, second, ratio):
    radius = max(1, round(ratio * np.hypot(*first.shape)))
    bands = [slow_band(mask, radius) for mask in (first, second)]
    return min((a & b).sum() / max((a | b).sum(), 1)
               for a, b in ((first, second), bands))


def scenes(seed, images=4):
    """Objects (mask, class, crowd) and detections (mask, class, score) of images."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(images):
        objects, found = [], []
        for k in range(rng.integers(2, 6)):
            place = rng.uniform(0, SIZE[0]), rng.uniform(0, SIZE[1]), rng.uniform(4, 25)
            label = int(rng.integers(2))
            objects.append((disc(*place), label, k == 4))
            for _ in range(rng.integers(0, 3)):
                moved = np.array(place) + rng.normal(0, 1.5, 3)
                found.append((disc(*moved), label, float(rng.uniform())))
        found.append((disc(*rng.uniform(10, 40, 3)), 1, float(rng.uniform())))
        out.append((objects, found))
    return out


def annotation_file(path, pairs):
    annotations = []
    for image, (objects, _) in enumerate(pairs):
        for mask, label, crowd in objects:
            rle = encode_mask(mask)
            rle['counts'] = rle['counts'].decode()
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image + 10, category_id=label * 5 + 1,
                iscrowd=int(crowd), area=float(mask.sum()), segmentation=rle,
                bbox=coco_mask.toBbox(rle).tolist()))
    path.write_text(json.dumps(dict(
        images=[dict(id=k + 10, height=SIZE[0], width=SIZE[1], file_name=f'{k}.jpg')
                for k in range(len(pairs))],
        categories=[dict(id=1, name='disc'), dict(id=6, name='bar')],
        annotations=annotations)))
    return str(path)


def samples(pairs, instances=False):
    for image, (objects, found) in enumerate(pairs):
        masks = np.array([mask for mask, _, _ in found]).reshape(-1, *SIZE)
        sample = dict(
            img_id=image + 10, ori_shape=SIZE, pred_instances=dict(
                bboxes=torch.zeros(len(found), 4), masks=torch.as_tensor(masks),
                labels=torch.tensor([label for _, label, _ in found], dtype=torch.long),
                scores=torch.tensor([score for *_, score in found])))
        if instances:
            sample['instances'] = [
                dict(bbox=[0, 0, 9, 9], bbox_label=label, ignore_flag=int(crowd),
                     mask=encode_mask(mask)) for mask, label, crowd in objects]
        yield sample


def evaluate(pairs, instances=False, **kwargs):
    metric = METRICS.build(dict(type='BoundaryCocoMetric', **kwargs))
    metric.dataset_meta = dict(classes=NAMES)
    metric.process({}, list(samples(pairs, instances)))
    return metric.evaluate(len(pairs))


class SlowEval(COCOeval):
    """pycocotools' AP on IoUs of the definition."""

    def computeIoU(self, imgId, catId):  # noqa: N802
        truth, found = self._gts[imgId, catId], sorted(
            self._dts[imgId, catId], key=lambda ann: -ann['score'])
        ious = np.zeros((len(found), len(truth)))
        for i, one in enumerate(found):
            for j, other in enumerate(truth):
                masks = [coco_mask.decode(ann['segmentation']) > 0
                         for ann in (one, other)]
                ious[i, j] = (masks[0] & masks[1]).sum() / masks[0].sum() \
                    if other['iscrowd'] else slow_iou(*masks, 0.05)
        return ious if ious.size else []


def detections(pairs):
    return [dict(image_id=image + 10, category_id=label * 5 + 1,
                 score=float(np.float32(score)), segmentation=encode_mask(mask))
            for image, (_, found) in enumerate(pairs) for mask, label, score in found]


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_against_the_definition(tmp_path, seed):
    pairs = scenes(seed)
    path = annotation_file(tmp_path / 'truth.json', pairs)
    truth = COCO(path)
    slow = SlowEval(truth, truth.loadRes(detections(pairs)), 'segm')
    slow.evaluate()
    slow.accumulate()
    slow.summarize()
    got = evaluate(pairs, ann_file=path, ratio=0.05, classwise=True)
    keys = ['mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l']
    assert [got[f'coco/boundary_{key}'] for key in keys] == pytest.approx(
        slow.stats[:6].tolist(), abs=1e-12)
    classes = slow.eval['precision'][:, :, :, 0, -1].mean((0, 1))
    assert [got[f'coco/boundary_AP_{name}'] for name in NAMES] == pytest.approx(
        classes.tolist())
    assert 0 < got['coco/boundary_mAP'] < 1


def test_pairs_that_can_match_have_the_smaller_iou(tmp_path):
    pairs = scenes(3)
    truth = COCO(annotation_file(tmp_path / 'truth.json', pairs))
    found = truth.loadRes(detections(pairs))
    ours, slow, plain = (kind(truth, found) for kind in (
        lambda *a: BoundaryCOCOeval(*a, ratio=0.05), SlowEval, COCOeval))
    for one in (ours, slow, plain):
        one.evaluate()
    matched = smaller = 0
    for key, values in slow.ious.items():
        if not len(values):
            assert not len(ours.ious[key])
            continue
        masks = plain.ious[key]
        near = masks >= 0.5
        np.testing.assert_allclose(ours.ious[key][near], values[near])
        assert (ours.ious[key][~near] < 0.5).all()
        matched, smaller = matched + near.sum(), smaller + (values < masks).sum()
    assert matched > 5 and smaller > 5


def test_wide_bands_are_the_mask_ap_of_mmdet(tmp_path):
    pairs = scenes(4)
    path = annotation_file(tmp_path / 'truth.json', pairs)
    metric = CocoMetric(ann_file=path, metric='segm')
    metric.dataset_meta = dict(classes=NAMES)
    metric.process({}, list(samples(pairs)))
    upstream = metric.evaluate(len(pairs))
    wide = evaluate(pairs, ann_file=path, ratio=0.9)
    for key in ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l'):
        assert wide[f'coco/boundary_{key}'] == pytest.approx(
            upstream[f'coco/segm_{key}'], abs=5e-4)  # mmdet rounds to 3 digits
    narrow = evaluate(pairs, ann_file=path)
    assert narrow['coco/boundary_mAP'] < wide['coco/boundary_mAP'] - 0.05


def test_a_ring_does_not_match_a_disc(tmp_path):
    """Why the mask IoU stays: the contours of both agree outside."""
    mask = disc(30, 40, 25)
    ring = mask & ~disc(30, 40, 21)
    pairs = [([(mask, 0, False)], [(ring, 0, 0.9)])]
    path = annotation_file(tmp_path / 'truth.json', pairs)
    assert slow_iou(mask, ring, 0.02) < 0.5
    assert evaluate(pairs, ann_file=path)['coco/boundary_mAP'] == 0
    pairs = [([(mask, 0, False)], [(mask, 0, 0.9)])]
    assert evaluate(pairs, ann_file=path)['coco/boundary_mAP'] == pytest.approx(1)


def test_without_annotation_file_and_with_fewer_thresholds():
    pairs = scenes(5)
    got = evaluate(pairs, instances=True, ratio=0.05, iou_thrs=0.5)
    assert set(got) == {f'coco/boundary_{key}' for key in (
        'mAP', 'mAP_50', 'mAP_s', 'mAP_m', 'mAP_l')}
    assert got['coco/boundary_mAP'] == got['coco/boundary_mAP_50'] > 0


def test_nothing_found_is_zero_and_nothing_to_find_minus_one(tmp_path):
    pairs = [(objects, []) for objects, _ in scenes(6)]
    path = annotation_file(tmp_path / 'truth.json', pairs)
    assert evaluate(pairs, ann_file=path)['coco/boundary_mAP'] == 0
    none = [([], found) for _, found in scenes(6)]
    path = annotation_file(tmp_path / 'none.json', none)
    assert evaluate(none, ann_file=path)['coco/boundary_mAP'] == -1


def test_few_detections_count_where_few_are_asked_for(tmp_path):
    mask = disc(30, 40, 12)
    far = disc(10, 10, 5)
    pairs = [([(mask, 0, False)], [(far, 0, 0.9), (mask, 0, 0.8)])]
    path = annotation_file(tmp_path / 'truth.json', pairs)
    assert evaluate(pairs, ann_file=path)['coco/boundary_mAP'] == pytest.approx(0.5)
    assert evaluate(pairs, ann_file=path, max_per_image=1)['coco/boundary_mAP'] == 0


def test_errors(tmp_path):
    with pytest.raises(ValueError, match=r'ratio is the width .*got 2'):
        BoundaryCocoMetric(ratio=2)
    with pytest.raises(ValueError, match='has no metric, proposal_nums: it measures '
                       'boundary AP alone. Put CocoMetric beside it'):
        BoundaryCocoMetric(metric='bbox', proposal_nums=(1, 2, 3))
    metric = BoundaryCocoMetric(ann_file=annotation_file(tmp_path / 'a.json', scenes(7)))
    metric.dataset_meta = dict(classes=NAMES)
    sample = next(samples(scenes(7)))
    del sample['pred_instances']['masks']
    metric.process({}, [sample])
    with pytest.raises(ValueError, match='predictions have no masks: boundary AP needs'):
        metric.evaluate(1)


def test_bands_are_not_kept(tmp_path):
    """An image has 60 masks of 1 MB; one is decoded at a time."""
    mask = np.zeros((1000, 1000), bool)
    mask[100:900, 100:900] = True
    rle = dict(encode_mask(mask), counts=encode_mask(mask)['counts'].decode())
    ann = dict(image_id=1, category_id=1, segmentation=rle)
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=1, height=1000, width=1000)], categories=[dict(id=1)],
        annotations=[dict(ann, id=k + 1, iscrowd=0, area=1., bbox=[0, 0, 1, 1])
                     for k in range(20)])
    truth.createIndex()
    found = truth.loadRes([dict(ann, score=0.5) for _ in range(40)])
    evaluation = BoundaryCOCOeval(truth, found)
    tracemalloc.start()
    try:
        evaluation.evaluate()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert evaluation.ious[1, 1].shape == (40, 20)
    assert peak < 8 * mask.nbytes
