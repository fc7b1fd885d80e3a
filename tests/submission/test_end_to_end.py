"""From a trained model to an archive, for every target: no problem, the right score.

The official score of the archive is the score of ``tools/test.py``, which writes the same
archive where its config has the metric.
"""

import json
import zipfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from official_rules import devkit_ade20k, devkit_voc, official_cityscapes
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from segaware_mm.engine.test import main as run_test
from segaware_mm.submission.archive import open_archive
from segaware_mm.submission.cli import main as submit
from segaware_mm.submission.coco_classes import OTHER, STUFF
from segaware_mm.submission.targets import TARGETS

pytestmark = pytest.mark.slow


def unpacked(archive, folder):
    """Write the files of an archive; return {stem: path}."""
    folder.mkdir()
    files = {}
    with open_archive(archive) as opened:
        for name in opened.names:
            files[Path(name).stem] = folder / Path(name).name
            files[Path(name).stem].write_bytes(opened.read(name))
    return files


def truth_of(case, pattern):
    """Return {image: labels} of the files of a pattern."""
    return {name: np.asarray(Image.open(next(case.root.glob(pattern.format(name)))))
            for name in case.names}


def score_cityscapes(case, files):
    truths = [str(next(case.root.rglob(f'{name}_gtFine_labelIds.png')))
              for name in case.names]
    found = official_cityscapes()([str(files[name]) for name in case.names], truths)
    return 'group/mIoU', 100 * found['averageScoreClasses']


def score_voc(case, files):
    found = devkit_voc(files, truth_of(case, 'SegmentationClass/{}.png'))
    return 'group/mIoU', 100 * np.nanmean(found)


def score_ade20k(case, files):
    found = devkit_ade20k(files, truth_of(case, 'annotations/{}.png'))
    return 'group/mIoU', 100 * np.nanmean(found)


def score_stuff(case, files):
    """Mean IoU of the stuff classes and of all things together."""
    entries = json.loads(next(iter(files.values())).read_text())
    ids = [*STUFF.values(), OTHER]
    right, union = np.zeros(len(ids)), np.zeros(len(ids))
    for name, truth in truth_of(case, 'stuffthingmaps/val2017/{}.png').items():
        masks = {one['category_id']: coco_mask.decode(one['segmentation']) > 0
                 for one in entries if one['image_id'] == int(name)}
        for place, number in enumerate(ids):
            mine = masks.get(number, np.zeros(truth.shape, bool)) & (truth != 255)
            right[place] += (mine & (truth == place)).sum()
            union[place] += (mine | (truth == place)).sum()
    return 'group/mIoU', 100 * np.mean(right[union > 0] / union[union > 0])


def score_coco(case, files):
    with redirect_stdout(StringIO()):
        truth = COCO(str(case.images))
        found = truth.loadRes(str(next(iter(files.values()))))
        evaluation = COCOeval(truth, found, 'segm')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return 'coco/segm_mAP', evaluation.stats[0]


def score_cityscapes_instances(case, files):
    pytest.importorskip('cityscapesscripts', reason='cityscapesscripts is not installed')
    from segaware_mm.evaluation.cityscapes_scores import instance_scores
    folder = next(iter(files.values())).parent
    truths = [next(case.root.rglob(f'{name}_gtFine_instanceIds.png'))
              for name in case.names]
    found = instance_scores([folder / f'{name}_pred.txt' for name in case.names], truths,
                            folder)
    return 'cityscapes/mAP', found['allAp']


SCORES = {
    'cityscapes-pixel': score_cityscapes, 'voc-comp5': score_voc, 'voc-comp6': score_voc,
    'ade20k': score_ade20k, 'coco-stuff': score_stuff, 'coco-instance': score_coco,
    'cityscapes-instance': score_cityscapes_instances}


def upstream_scores(case, out, folder):
    """Run tools/test.py with the metrics of the score and of the submission."""
    cfg = Config.fromfile(str(case.config))
    config = folder / f'test_{case.target.replace("-", "_")}.py'
    config.write_text(
        f'_base_ = [{str(case.config)!r}]\n'
        f'test_evaluator = {list(map(dict, cfg.test_evaluator))!r} + [dict(\n'
        f'    type="SubmissionMetric", target={case.target!r}, out={str(out)!r},\n'
        '    name="ours")]\n')
    assert run_test([str(config), str(case.checkpoint), '--work-dir',
                     str(folder / 'tested')]) == 0
    log = next((folder / 'tested').glob('*/*.json'))
    return json.loads(log.read_text().splitlines()[-1])


@pytest.mark.parametrize('target', sorted(TARGETS))
def test_archive_of_a_trained_model(tmp_path, capfd, monkeypatch, trained_case, target):
    if target == 'cityscapes-instance':
        pytest.importorskip('cityscapesscripts',
                            reason='cityscapesscripts is not installed')
    case = trained_case(target)
    suffix = TARGETS[target].suffix
    out, theirs = tmp_path / f'ours{suffix}', tmp_path / f'theirs{suffix}'
    call = [target, str(case.config), str(case.checkpoint), '--name', 'ours']
    assert submit([*call, '--out', str(out), '--images', str(case.images)]) == 0
    text = capfd.readouterr().out
    assert f'{target}: 4 images, finished before: 0' in text
    assert f'{out}: 4 images, no problem found' in text
    images = ['--target', target, '--images', str(case.images)]
    assert submit(['validate', str(out), *images]) == 0

    # mmdet rounds to three digits.
    monkeypatch.setattr('mmdet.evaluation.metrics.coco_metric.round', lambda one, _: one,
                        raising=False)
    scores = upstream_scores(case, theirs, tmp_path)
    assert scores['submission/images'] == 4
    assert theirs.read_bytes() == out.read_bytes()
    key, found = SCORES[target](case, unpacked(out, tmp_path / 'unpacked'))
    assert found == pytest.approx(scores[key], abs=1e-6)
    assert found > 0.01

    # The images of the config's own test set, from the first to the last again.
    again = tmp_path / f'again{suffix}'
    assert submit([*call, '--out', str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()


def test_the_name_of_a_submission_stands_in_the_archive(tmp_path, trained_case):
    case = trained_case('coco-instance')
    out = tmp_path / 'o.zip'
    call = ['coco-instance', str(case.config), str(case.checkpoint), '--out', str(out)]
    assert submit(call) == 2
    assert not out.exists() and not Path(f'{out}.work').exists()
    assert submit([*call, '--name', 'mine-1']) == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ['detections_test-dev2017_mine-1_results.json']
