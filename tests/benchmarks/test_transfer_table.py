"""The TransferNet table: rows, the page, tests with labels given and of thresholds."""

import importlib
import json
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BENCHMARKS = str(REPO / 'benchmarks')

sys.path.insert(0, BENCHMARKS)
try:
    transfer_job = importlib.import_module('transfer_job')
    transfer_table = importlib.import_module('transfer_table')
    from camvid_job import RowError
    from transfer_rows import CAM_THRESHOLDS, ROWS
finally:
    sys.path.remove(BENCHMARKS)

TARGET, SOURCE, ALL = transfer_job.TARGET, transfer_job.SOURCE, transfer_job.ALL


def result(name='transfer-scenes', found=30., **changes):
    """A finished row."""
    keys = (TARGET, SOURCE, ALL) if 'scenes' in name else (TARGET, ALL)
    return {**dict(
        name=name, label='TransferNet', is_peer=False, seed=0, iterations=1200, params=3.,
        scores=dict.fromkeys(keys, found), found=dict.fromkeys(keys, found),
        given=dict.fromkeys(keys, found + 10), threshold=None,
        seconds_per_iteration=.5, date='2026-01-01',
        command='python tools/train.py x', environment='a processor'), **changes}


def job(name, folder):
    row, = (row for row in ROWS if row.name == name)
    made = transfer_job.TransferJob(row, 0, [], folder)
    made.folder = folder / name
    return made


def test_rows_are_told_apart_and_their_configs_exist():
    Config = pytest.importorskip('mmengine.config').Config
    assert len({row.name for row in ROWS}) == len(ROWS) == len(
        {row.config for row in ROWS})
    for row in ROWS:
        Config.fromfile(str(REPO / row.config))


def test_the_page_compares_with_full_supervision():
    rows = [result('full-scenes', 60.), result(), result('transfer-coco-mini', 20.),
            result('cam-scenes', 15., threshold=.3), result(seed=1)]
    missing = [('cam-coco-mini', 'not trained')]
    text = transfer_table.make_page(rows, missing, 'cmd', 'day')
    lines = {line.split('`')[1] + line.split('|')[-3].strip(): [
        cell.strip() for cell in line.split('|')[3:11]]
        for line in text.splitlines() if line.startswith('| `')}
    assert lines['full-scenes0'] == ['60.00'] * 3 + ['100'] + ['70.00'] * 3 + ['100']
    assert lines['transfer-scenes0'][3] == '50' and lines['transfer-scenes0'][7] == '57'
    assert lines['transfer-scenes1'][3] == '-'  # no full supervision of that seed
    assert lines['transfer-coco-mini0'][:4] == ['20.00', '-', '20.00', '-']
    assert 'threshold 0.3' in text and '- `cam-coco-mini`: not trained' in text


def test_tests_run_once_and_the_best_threshold_is_taken(tmp_path, monkeypatch):
    made = job('cam-scenes', tmp_path)
    monkeypatch.setattr(transfer_job.camvid_log, 'whole_checkpoint',
                        lambda folder, iteration: folder / 'iter_1200.pth')
    asked = []

    def test(command):
        asked.append(command)
        name = Path(command[command.index('--work-dir') + 1]).name
        threshold = float(name.split('-')[1])
        score = 50 - 100 * abs(threshold - .4) - 20 * name.startswith('found')
        folder = made.folder / name / 'day'
        folder.mkdir(parents=True)
        (folder / 'day.json').write_text(json.dumps(
            {TARGET: score, SOURCE: 1., ALL: 2.}) + '\n')

    details = made.details(test, 1200)
    assert details['threshold'] == .4 and details['given'][TARGET] == 50
    assert details['found'][TARGET] == 30
    assert len(asked) == len(CAM_THRESHOLDS) + 1
    assert asked[0][-2:] == ['model.label_source=gt',
                             f'model.cam_thr={CAM_THRESHOLDS[0]}']
    made.details(test, 1200)
    assert len(asked) == len(CAM_THRESHOLDS) + 1  # not again


def test_a_test_without_scores_is_an_error(tmp_path, monkeypatch):
    made = job('transfer-coco-mini', tmp_path)
    assert made.keys == (TARGET, ALL)
    with pytest.raises(RowError, match='no checkpoint of iteration 1200'):
        made.details(lambda command: None, 1200)
    monkeypatch.setattr(transfer_job.camvid_log, 'whole_checkpoint',
                        lambda folder, iteration: folder / 'iter_1200.pth')
    with pytest.raises(RowError, match='"found" left no scores'):
        made.details(lambda command: None, 1200)
