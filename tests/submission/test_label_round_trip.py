"""The score of an archive, as official evaluators count it, is that of the arrays.

Cityscapes' evaluator is called. VOC's and ADE20K's are Matlab: their rules are written
out here, slow and apart from what the project and mmseg do.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.evaluation import IoUMetric
from official_rules import devkit_ade20k, devkit_voc, official_cityscapes
from PIL import Image

from segaware_mm.evaluation.label_maps import iou_percent
from segaware_mm.submission import ade20k, cityscapes_pixel, voc_segmentation
from segaware_mm.submission.archive import open_archive
from segaware_mm.submission.images import TestImage
from segaware_mm.submission.targets import get_target

IGNORE = 255
SIZE = (30, 44)


def scenes(classes, count, seed=0, none=False):
    """Ground truth of overlapping boxes and discs, and predictions that miss some.

    Returns:
        Lists of (H, W) uint8: labels with ignored areas, predictions. With ``none`` some
        pixels are predicted to be nothing.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE[0], :SIZE[1]]
    labels, predictions = [], []
    for _ in range(count):
        label = np.full(SIZE, rng.integers(classes))
        for _ in range(12):
            cy, cx, r = rng.integers(0, SIZE[0]), rng.integers(0, SIZE[1]), 9
            shape = ((y - cy)**2 + (x - cx)**2 < r**2 if rng.random() < .5 else
                     (abs(y - cy) < 5) & (abs(x - cx) < 8))
            label[shape] = rng.integers(classes)
        prediction = np.roll(label, rng.integers(-3, 4, 2), (0, 1))
        prediction[rng.random(SIZE) < .05] = rng.integers(classes)
        if none:
            prediction[rng.random(SIZE) < .02] = IGNORE
        label[rng.random(SIZE) < .03] = IGNORE
        label[:2] = IGNORE
        labels.append(label.astype(np.uint8))
        predictions.append(prediction.astype(np.uint8))
    return labels, predictions


def mmseg_iou(labels, predictions, classes):
    """IoU of classes in [0, 1] as mmseg counts it, NaN where one never occurs."""
    areas = [IoUMetric.intersect_and_union(torch.from_numpy(p), torch.from_numpy(t),
                                           classes, IGNORE)
             for t, p in zip(labels, predictions)]
    right, union, _, _ = (np.sum([one.double().numpy() for one in kind], 0)
                          for kind in zip(*areas))
    return np.divide(right, union, where=union > 0, out=np.full(classes, np.nan))


def our_iou(labels, predictions, classes):
    """The same, of this project's counts."""
    counts = np.zeros((3, classes), int)
    for label, prediction in zip(labels, predictions):
        known = label != IGNORE
        for row, values in zip(counts, (label[known & (label == prediction)],
                                        label[known], prediction[known])):
            row += np.bincount(values, minlength=256)[:classes]
    return iou_percent(*counts) / 100


def submitted(target, names, predictions, classes, folder):
    """Write and pack predictions; return {image: ids that are in the archive}."""
    images = [TestImage(name, *one.shape) for name, one in zip(names, predictions)]
    for image, prediction in zip(images, predictions):
        target.write(folder / 'stage', image, prediction, classes)
    out = folder / f'out{target.suffix}'
    target.pack(folder / 'stage', images, out, 'test')
    assert target.validate(out, images) == []
    files = {}
    with open_archive(out) as archive:
        for name, content in archive.items(archive.names):
            files[Path(name).stem] = folder / 'unpacked' / Path(name).name
            files[Path(name).stem].parent.mkdir(exist_ok=True)
            files[Path(name).stem].write_bytes(content)
    assert sorted(files) == sorted(names)
    return files


@pytest.fixture
def cityscapes_evaluator():
    """The evaluator of Cityscapes; skips where it is not installed."""
    return official_cityscapes()


@pytest.mark.parametrize('none', [False, True])
@pytest.mark.parametrize('classes', [19, 11])
def test_cityscapes_evaluator_gives_the_iou_of_the_arrays(
        tmp_path, cityscapes_evaluator, classes, none):
    names = [f'berlin_{i:06d}_000019' for i in range(4)]
    labels, predictions = scenes(classes, 4, classes, none)
    known = tuple(cityscapes_pixel.IDS)
    files = submitted(cityscapes_pixel.TARGET, names, predictions, known, tmp_path)
    truths = []
    rng = np.random.default_rng(5)
    void = [one for one in range(34) if one not in cityscapes_pixel.IDS.values()]
    table = np.array([*cityscapes_pixel.IDS.values(), *[0] * 237])
    for name, label in zip(names, labels):
        truth = table[label]
        truth[label == IGNORE] = rng.choice(void, np.count_nonzero(label == IGNORE))
        truths.append(str(tmp_path / f'{name}_gtFine_labelIds.png'))
        Image.fromarray(truth.astype(np.uint8)).save(truths[-1])
    result = cityscapes_evaluator([str(files[name]) for name in names], truths)
    wanted = mmseg_iou(labels, predictions, 19)
    assert 0.3 < np.nanmean(wanted) < 0.9
    assert classes == 19 or np.isnan(wanted).any()
    assert result['averageScoreClasses'] == pytest.approx(np.nanmean(wanted), abs=1e-6)
    found = [result['classScores'][name] for name in known]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(our_iou(labels, predictions, 19), wanted, atol=1e-6)


def test_cityscapes_label_ids_are_those_of_its_scripts():
    labels = pytest.importorskip('cityscapesscripts.helpers.labels',
                                 reason='cityscapesscripts is not installed').labels
    assert cityscapes_pixel.IDS == {one.name: one.id for one in labels
                                    if not one.ignoreInEval}
    assert cityscapes_pixel.LARGEST == max(one.id for one in labels)
    assert cityscapes_pixel.LARGEST_TRAIN_ID == max(one.trainId for one in labels
                                                    if one.trainId != 255)


def test_cityscapes_evaluator_finds_the_files_by_their_names(
        tmp_path, cityscapes_evaluator):
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as module
    names = ['bonn_000000_000019', 'munich_000397_000019']
    _, predictions = scenes(19, 2)
    files = submitted(cityscapes_pixel.TARGET, names, predictions,
                      tuple(cityscapes_pixel.IDS), tmp_path)
    args = module.CArgs()
    args.predictionPath, args.predictionWalk = str(tmp_path / 'unpacked'), None
    for name in names:
        found = module.getPrediction(args, f'gtFine/test/{name}_gtFine_labelIds.png')
        assert found == str(files[name])


@pytest.mark.parametrize('number', [5, 6])
@pytest.mark.parametrize('classes', [21, 9])
def test_voc_rules_give_the_iou_of_the_arrays(tmp_path, number, classes):
    names = [f'2010_{i:06d}' for i in range(4)]
    labels, predictions = scenes(classes, 4, number)
    files = submitted(get_target(f'voc-comp{number}'), names, predictions,
                      voc_segmentation.CLASSES, tmp_path)
    wanted = mmseg_iou(labels, predictions, 21)
    found = devkit_voc(files, dict(zip(names, labels)))
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(our_iou(labels, predictions, 21), wanted, atol=1e-6)
    assert 0.3 < np.nanmean(wanted) < 0.9
    assert np.nanmean(found) == pytest.approx(np.nanmean(wanted), abs=1e-6)


@pytest.mark.data
def test_voc_rules_on_real_labels(tmp_path, real_data):
    paths = sorted((real_data / 'voc2007_sub' / 'SegmentationClass').glob('*.png'))[:2]
    # VOC 2007's names have no year.
    truths = {f'2007_{path.stem}': np.asarray(Image.open(path)) for path in paths}
    predictions = [np.roll(np.where(one == 255, 0, one), 4, 1) for one in truths.values()]
    files = submitted(get_target('voc-comp6'), list(truths), predictions,
                      voc_segmentation.CLASSES, tmp_path)
    wanted = mmseg_iou([one.copy() for one in truths.values()], predictions, 21)
    np.testing.assert_allclose(devkit_voc(files, truths), wanted, atol=1e-6)
    assert Image.open(files[f'2007_{paths[0].stem}']).getpalette() == \
        Image.open(paths[0]).getpalette()


@pytest.mark.parametrize('classes', [150, 12])
def test_ade20k_rules_give_the_iou_of_the_arrays(tmp_path, classes):
    names = [f'ADE_test_{i:08d}' for i in range(1, 5)]
    labels, predictions = scenes(classes, 4, classes)
    files = submitted(ade20k.TARGET, names, predictions, ade20k.CLASSES, tmp_path)
    # In ground truth 0 is no class, and the first class is 1.
    truths = {name: np.where(label == IGNORE, 0, label.astype(int) + 1)
              for name, label in zip(names, labels)}
    wanted = mmseg_iou(labels, predictions, 150)
    np.testing.assert_allclose(devkit_ade20k(files, truths), wanted, atol=1e-6)
    assert 0.1 < np.nanmean(wanted) < 0.9


def test_classes_are_those_of_mmseg():
    from mmseg.datasets import ADE20KDataset, CityscapesDataset, PascalVOCDataset

    from segaware_mm.submission.predictions import class_ids
    assert class_ids(ADE20KDataset.METAINFO['classes'], ade20k.IDS, '') == list(
        range(1, 151))
    assert class_ids(PascalVOCDataset.METAINFO['classes'], dict(zip(
        voc_segmentation.CLASSES, range(21))), '') == list(range(21))
    assert class_ids(CityscapesDataset.METAINFO['classes'], cityscapes_pixel.IDS,
                     '') == list(cityscapes_pixel.IDS.values())
    palette = voc_segmentation.voc_palette()[:21].tolist()
    assert palette == PascalVOCDataset.METAINFO['palette']
