"""Class IoU of Cityscapes against the official scripts and a confusion matrix."""

import gc
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.datasets import CityscapesDataset
from mmseg.registry import METRICS
from PIL import Image

labels = pytest.importorskip('cityscapesscripts.helpers.labels',
                             reason='cityscapesscripts is not installed')

from segaware_mm.evaluation.cityscapes_scores import (  # noqa: E402
    instance_scores,
    pixel_counts,
    pixel_scores,
)
from segaware_mm.utils import cityscapes_scripts  # noqa: E402

CLASSES = CityscapesDataset.METAINFO['classes']
IDS = np.array([labels.name2label[name].id for name in CLASSES])
SIZE = (40, 64)


def make_image(folder, name, seed):
    """Write the truth of an image, and return its sample."""
    rng = np.random.default_rng(seed)
    blocks = rng.choice([0, 1, 4, 7, 8, 11, 21, 23], (5, 8))
    truth = blocks.repeat(8, 0).repeat(8, 1).astype(np.int32)
    instances = truth.copy()
    for k in range(6):
        y, x = rng.integers(0, 30), rng.integers(0, 50)
        label = int(rng.choice([24, 25, 26, 29, 33]))
        place = np.s_[y:y + rng.integers(3, 12), x:x + rng.integers(3, 14)]
        truth[place], instances[place] = label, label * 1000 + k
    folder.mkdir(exist_ok=True, parents=True)
    stem = folder / f'{name}_gtFine'
    Image.fromarray(truth.astype(np.uint8)).save(f'{stem}_labelIds.png')
    Image.fromarray(instances.astype(np.uint16)).save(f'{stem}_instanceIds.png')
    train = np.full(256, 255)
    train[IDS] = np.arange(19)
    pred = np.roll(train[truth], 2, 1)
    pred[pred == 255] = 0
    pred[5:15, 5:30] = rng.integers(0, 19)
    return dict(img_path=f'leftImg8bit/{name}_leftImg8bit.png',
                seg_map_path=f'{stem}_labelTrainIds.png',
                pred_sem_seg=dict(data=torch.as_tensor(pred)[None]))


@pytest.fixture
def scene(tmp_path):
    return [make_image(tmp_path / 'gtFine', f'town_000000_{k:06}', k) for k in range(3)]


def evaluate(samples, classes=CLASSES, **kwargs):
    metric = METRICS.build(dict(type='CityscapesClassMetric', **kwargs))
    metric.dataset_meta = dict(classes=classes)
    for sample in samples:
        metric.process({}, [sample])
    return metric.evaluate(len(samples))


def test_against_the_official_evaluation(scene, tmp_path):
    got = evaluate(scene, output_dir=str(tmp_path / 'out'))
    script = cityscapes_scripts.load_evaluator(cityscapes_scripts.PIXEL)
    args = type('Args', (), dict(vars(script.args), quiet=True, JSONOutput=False,
                                 evalInstLevelScore=True, evalPixelAccuracy=True))()
    wanted = script.evaluateImgLists(
        sorted(str(path) for path in (tmp_path / 'out').iterdir()),
        sorted(str(path) for path in tmp_path.glob('gtFine/*_labelIds.png')), args)
    means = dict(mIoU='Classes', miIoU='InstClasses', mIoU_category='Categories',
                 miIoU_category='InstCategories')
    for ours, theirs in means.items():
        assert got[f'cityscapes/{ours}'] == pytest.approx(
            100 * wanted[f'averageScore{theirs}'], abs=1e-9)
        assert 0 < got[f'cityscapes/{ours}'] < 100
    for name in CLASSES:
        assert got[f'cityscapes/IoU_{name}'] == pytest.approx(
            100 * wanted['classScores'][name], nan_ok=True)
    humans = dict(person='class', rider='class', human='category', vehicle='category')
    for name, kind in humans.items():
        key = f'cityscapes/iIoU_{name if kind == "class" else "category_" + name}'
        assert got[key] == pytest.approx(100 * wanted[f'{kind}InstScores'][name],
                                         nan_ok=True)
    assert got['cityscapes/IoU_category_nature'] == pytest.approx(
        100 * wanted['categoryScores']['nature'])
    assert {key.split('IoU_')[1] for key in got if '/IoU_' in key} == {
        *CLASSES, *(f'category_{name}' for name in (
            'flat', 'construction', 'object', 'nature', 'sky', 'human', 'vehicle'))}
    assert sum('/iIoU_' in key for key in got) == 8 + 2


def test_against_a_confusion_matrix(scene, tmp_path):
    got = evaluate(scene)
    confusion = np.zeros((19, 20))
    weighted = np.zeros((2, 19))
    sizes = cityscapes_scripts.load_evaluator(cityscapes_scripts.PIXEL).args.avgClassSize
    for sample in scene:
        truth, instances = (np.array(Image.open(sample['seg_map_path'].replace(
            'labelTrainIds', kind))).astype(int) for kind in ('labelIds', 'instanceIds'))
        pred = IDS[sample['pred_sem_seg']['data'][0].numpy()]
        for i, label in enumerate(IDS):
            for j, other in enumerate(IDS):
                confusion[i, j] += ((truth == label) & (pred == other)).sum()
        for one in np.unique(instances[instances > 1000]):
            label = one // 1000
            if label in IDS:
                mask = instances == one
                weight = sizes[labels.id2label[label].name] / mask.sum()
                right = (pred[mask] == label).sum()
                weighted[:, list(IDS).index(label)] += weight * np.array(
                    [right, mask.sum() - right])
    right = np.diag(confusion)
    wrong = confusion[:, :19].sum(0) - right
    iou = 100 * right / np.maximum(confusion.sum(1) + wrong, 1e-9)
    known = confusion.sum(1) + wrong > 0
    assert got['cityscapes/mIoU'] == pytest.approx(iou[known].mean())
    assert [got[f'cityscapes/IoU_{name}'] for name in np.array(CLASSES)[known]] == \
        pytest.approx(iou[known].tolist())
    for name in ('person', 'rider', 'car'):
        k = CLASSES.index(name)
        assert got[f'cityscapes/iIoU_{name}'] == pytest.approx(
            100 * weighted[0, k] / (weighted[:, k].sum() + wrong[k]))


def test_the_order_of_classes_is_that_of_the_model(scene):
    order = np.random.default_rng(0).permutation(19)
    inverse = np.argsort(order)
    moved = [dict(one, pred_sem_seg=dict(data=torch.as_tensor(
        inverse[one['pred_sem_seg']['data'].numpy()]))) for one in scene]
    assert evaluate(moved, [CLASSES[k] for k in order]) == pytest.approx(
        evaluate(scene), nan_ok=True)


def test_predictions_stay(scene, tmp_path):
    """mmseg's metric removes its folder, and all that lay in it, when it is collected."""
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'mine.txt').write_text('mine')
    evaluate(scene, output_dir=str(out))
    gc.collect()
    assert sorted(path.name for path in out.iterdir()) == [
        'mine.txt', *(f'town_000000_{k:06}_leftImg8bit.png' for k in range(3))]
    image = Image.open(out / 'town_000000_000001_leftImg8bit.png')
    assert image.mode == 'L' and set(np.unique(image)) <= set(IDS)


def test_nothing_is_left_where_the_test_runs(scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluate(scene)
    assert [path.name for path in tmp_path.iterdir()] == ['gtFine']


def test_without_instances(scene):
    for sample in scene:
        Path(sample['seg_map_path'].replace('labelTrainIds', 'instanceIds')).unlink()
    with pytest.raises(ValueError, match='000000_gtFine_instanceIds.png is missing; the '
                       'official .* instance_weighted=False does without'):
        evaluate(scene)
    got = evaluate(scene, instance_weighted=False)
    assert got['cityscapes/mIoU'] > 0 and not [key for key in got if 'iIoU' in key]


def test_errors(scene, tmp_path):
    with pytest.raises(ValueError, match="'raod' is no class of Cityscapes. Did you mean "
                       'road'):
        evaluate(scene, ('raod', *CLASSES[1:]))
    with pytest.raises(ValueError, match='town_000000_000000_leftImg8bit.png has no label'
                       ', so .* test set are for submissions'):
        evaluate([{key: value for key, value in scene[0].items()
                   if key != 'seg_map_path'}])
    small = dict(scene[0], pred_sem_seg=dict(data=torch.zeros(1, 20, 64).long()))
    with pytest.raises(ValueError, match='cityscapesscripts: Image heights of .* are not '
                       'equal'):
        evaluate([small])


def test_the_scripts_run_with_numpy_that_lacks_in1d(scene, monkeypatch):
    """numpy 2.4 removed what they call; numpy itself is left alone."""
    wanted = evaluate(scene)
    monkeypatch.delattr(np, 'in1d', raising=False)
    cityscapes_scripts.load_evaluator.cache_clear()
    assert evaluate(scene) == pytest.approx(wanted, nan_ok=True)
    assert not hasattr(np, 'in1d')
    name = f'cityscapesscripts.evaluation.{cityscapes_scripts.PIXEL}'
    ours = cityscapes_scripts.load_evaluator(cityscapes_scripts.PIXEL)
    assert sys.modules.get(name) is not ours
    if name in sys.modules:
        assert sys.modules[name].np is np


def test_without_the_scripts(monkeypatch):
    cityscapes_scripts.load_evaluator.cache_clear()
    package = 'cityscapesscripts.evaluation'
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f'{package}.{cityscapes_scripts.PIXEL}', False)
    with pytest.raises(ImportError, match='need the package cityscapesscripts: pip '
                       'install cityscapesscripts'):
        METRICS.build(dict(type='CityscapesClassMetric'))


def test_counts_add_up(scene, tmp_path):
    evaluate(scene, output_dir=str(tmp_path / 'out'))
    one, two = (pixel_counts(
        str(tmp_path / 'out' / Path(sample['img_path']).name),
        sample['seg_map_path'].replace('labelTrainIds', 'labelIds'))
        for sample in scene[:2])
    before = one.confusion.copy()
    both = one + two
    assert both.confusion.sum() == 2 * SIZE[0] * SIZE[1]
    assert (one.confusion == before).all()
    assert pixel_scores(both)['averageScoreClasses'] == pytest.approx(
        evaluate(scene[:2])['cityscapes/mIoU'] / 100)


def test_instance_scores_by_hand(tmp_path):
    """A car that is found, one that is found by half, and a wrong person."""
    truth = np.full((40, 64), 7, np.uint16)
    truth[5:25, 5:25], truth[5:25, 35:55] = 26000, 26001
    Image.fromarray(truth).save(tmp_path / 'a_0_0_gtFine_instanceIds.png')
    lines = []
    for k, (place, label, score) in enumerate((
            (np.s_[5:25, 5:25], 26, 0.9), (np.s_[5:25, 35:50], 26, 0.8),
            (np.s_[28:40, 5:25], 24, 0.7))):
        mask = np.zeros((40, 64), np.uint8)
        mask[place] = 255
        Image.fromarray(mask).save(tmp_path / f'a_{k}.png')
        lines.append(f'a_{k}.png {label} {score}\n')
    (tmp_path / 'a_pred.txt').write_text(''.join(lines))
    got = instance_scores([str(tmp_path / 'a_pred.txt')],
                          [str(tmp_path / 'a_0_0_gtFine_instanceIds.png')],
                          str(tmp_path))
    # IoU 0.75 of the second: found at 0.5 to 0.7; at 0.75 the script wants more.
    assert got['classes']['car']['ap50%'] == pytest.approx(1)
    assert got['classes']['car']['ap'] == pytest.approx((5 * 1 + 5 * 0.5) / 10)
    assert got['allAp'] == got['classes']['car']['ap']
    assert np.isnan(got['classes']['person']['ap'])
    assert np.isnan(got['classes']['bus']['ap'])
    (tmp_path / 'a_pred.txt').write_text('a_0.png 26\n')
    with pytest.raises(ValueError, match='cityscapesscripts: Invalid prediction file'):
        instance_scores([str(tmp_path / 'a_pred.txt')],
                        [str(tmp_path / 'a_0_0_gtFine_instanceIds.png')], str(tmp_path))
