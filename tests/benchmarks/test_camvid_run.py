"""A row of the CamVid table is trained, kept, and finished after a kill."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

BENCHMARKS = str(Path(__file__).resolve().parents[2] / 'benchmarks')
sys.path.insert(0, BENCHMARKS)
try:
    camvid = importlib.import_module('camvid')
    camvid_job = importlib.import_module('camvid_job')
    from camvid_rows import Row
finally:
    sys.path.remove(BENCHMARKS)


@pytest.mark.slow
def test_a_row_is_trained_once_and_scored_after_a_kill(tmp_path, tiny_config,
                                                       monkeypatch):
    config = tiny_config(iters=2, options={'train_cfg.val_interval': 2,
                                           'default_hooks.checkpoint.interval': 2})
    row = Row('tiny', 'Tiny', str(config))
    job = camvid_job.Job(row, 3, [], tmp_path / 'work')
    out = tmp_path / 'page.md'
    assert camvid.work([job], [job], 1, out, 'cmd') == 0
    first = json.loads((job.folder / 'result.json').read_text())
    assert 0 <= first['scores']['mIoU'] <= 100
    assert set(first['classes']) == {'back', 'disc', 'bar', 'corner'}
    assert first['iterations'] == 2 and first['seed'] == 3
    assert first['params'] == pytest.approx(0.05, abs=0.05)
    assert first['seconds_per_iteration'] > 0
    assert '`tiny-seed3`' in out.read_text()
    row = json.loads((job.folder / 'row.json').read_text())
    assert row['environments'] == [first['environment']] and row['config_hash']

    # Finished: nothing is run.
    with monkeypatch.context() as patch:
        patch.setattr(camvid_job, 'run', lambda *_: pytest.fail('trained again'))
        assert camvid.work([job], [job], 1, out, 'cmd') == 0

    # As after a kill between the last checkpoint and the validation.
    (job.folder / 'result.json').unlink()
    for folder in job.folder.glob('2*'):
        shutil.rmtree(folder)
    assert camvid.work([job], [job], 1, out, 'cmd') == 0
    again = json.loads((job.folder / 'result.json').read_text())
    assert again['scores'] == first['scores']
    assert again['classes'] == pytest.approx(first['classes'], nan_ok=True)
    assert (job.folder / 'test').is_dir()
    assert again['environment'].startswith(first['environment'])
