"""The flow table: rows, scores on real pairs, the page, a small run."""

import importlib
import json
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BENCHMARKS = str(REPO / 'benchmarks')

sys.path.insert(0, BENCHMARKS)
try:
    flow = importlib.import_module('flow')
    flow_job = importlib.import_module('flow_job')
    flow_table = importlib.import_module('flow_table')
    camvid_job = importlib.import_module('camvid_job')
    from camvid_rows import Row
    from flow_rows import ROWS
finally:
    sys.path.remove(BENCHMARKS)


def result(name='plain', epe=2., **changes):
    """A finished row."""
    return {**dict(
        name=name, label='FlowNetS', is_peer=name == 'plain', seed=0, iterations=5000,
        scores={'flow/EPE': epe, 'flow/EPE_boundary': 2 * epe, 'flow/above_3px': 20.,
                'flow/length': 2.75},
        real={'sintel': dict(EPE=70., EPE_boundary=71., length=76.4)}, params=.2,
        seconds_per_iteration=.5, command='python tools/train.py x', date='2026-01-01',
        environment='a processor; torch 2'), **changes}


def test_rows_train_equally_long_on_the_same_batches():
    Config = pytest.importorskip('mmengine.config').Config
    assert len({row.name for row in ROWS}) == len(ROWS) == len(
        {(row.config, row.options) for row in ROWS})
    assert [row.name for row in ROWS if row.is_peer] == ['plain']
    shared = set()
    for row in ROWS:
        cfg = Config.fromfile(str(REPO / row.config)).to_dict()
        cfg.pop('model')
        cfg['train_dataloader']['dataset'].pop('pipeline')  # one loads the layers too
        cfg.pop('train_pipeline')
        shared.add(json.dumps(cfg, sort_keys=True, default=str))
    assert len(shared) == 1


def test_the_page_compares_with_plain_of_equal_length_and_seed():
    results = [result(), result('segaware', 1.8),
               result('segaware-seed1', 1.8, seed=1),
               result('long', 1.5, iterations=3000, real={})]
    text = flow_table.make_page(results, [('color', 'not trained')], 'cmd', 'day')
    table = text.split('## Real')[0]
    assert table.count('| -10.0 / -10.0 |') == 1
    assert '- `color`: not trained' in text and 'true flow is 2.75 px' in text
    real = text.split('## Real')[1]
    assert '| *length*' in real and '76.40 |' in real
    assert '| `segaware`' in real and '70.00 / 71.00 |' in real
    (long, ) = [line for line in real.splitlines() if line.startswith('| `long`')]
    assert long.endswith('- / - |')
    assert 'Real pairs' not in flow_table.make_page(
        [result(real={})], [], 'cmd', 'day')
    assert '|' not in flow_table.make_page([], [('a', 'b')], 'cmd', 'day')


def test_scores_of_real_pairs_are_kept_by_data_set(tmp_path, monkeypatch):
    job = flow_job.FlowJob(Row('tiny', 'Tiny', 'x.py'), 0, [], tmp_path)
    monkeypatch.delenv('SEGAWARE_MM_DATA', raising=False)
    ran = []
    assert job.details(ran.append, 2) == dict(real={}) and not ran

    monkeypatch.setenv('SEGAWARE_MM_DATA', str(tmp_path))
    with pytest.raises(camvid_job.RowError, match='has no folder flow'):
        job.check_inputs()
    (tmp_path / 'flow').mkdir()
    job.check_inputs()
    with pytest.raises(camvid_job.RowError, match='no checkpoint of iteration 2'):
        job.details(ran.append, 2)

    def test(arguments):
        ran.append(arguments)
        folder = job.folder / 'real' / '20260101_000000'
        folder.mkdir(parents=True)
        (folder / '20260101_000000.json').write_text(json.dumps(
            {'flow/EPE': 3., 'flow/kitti/EPE': 2., 'flow/kitti/EPE_boundary': 4.}))

    job.folder.mkdir(exist_ok=True)
    (job.folder / 'iter_2.pth').write_bytes(b'x')
    wanted = dict(real=dict(kitti=dict(EPE=2., EPE_boundary=4.)))
    assert job.details(test, 2) == wanted
    assert f'test_dataloader.dataset.data_root={tmp_path}' in ran[0]
    assert job.details(test, 2) == wanted and len(ran) == 1


def test_dry_run_prints_the_commands(capsys):
    assert flow.main(['--dry-run', '--only', 'plain-w24']) == 0
    assert capsys.readouterr().out == (
        'python tools/train.py configs/segaware/'
        'flownets_w16_1xb8-5000i_flow-80x96.py --work-dir work_dirs/flow/plain-w24 '
        '--resume --cfg-options model.base_channels=24 randomness.seed=0\n')


@pytest.mark.slow
def test_a_row_is_trained_and_tested_on_real_pairs(tmp_path, monkeypatch):
    pytest.importorskip('mmseg')
    from segaware_mm.datasets.flow.generate import generate_flow
    data = generate_flow(tmp_path / 'pairs', train=2, val=1, size=(64, 80),
                         progress=False)
    generate_flow(tmp_path / 'flow', train=1, val=1, size=(32, 40), progress=False)
    monkeypatch.setenv('SEGAWARE_MM_DATA', str(tmp_path))
    loaders = [f'{split}_dataloader.{key}' for split in ('train', 'val', 'test')
               for key in ('num_workers=0', 'persistent_workers=False')]
    job = flow_job.FlowJob(ROWS[0], 0, [
        f'data_root={data}', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2',
        'train_dataloader.batch_size=2', 'default_hooks.logger.interval=1', *loaders],
        tmp_path / 'work')
    out = tmp_path / 'page.md'
    assert flow.work([job], [job], 1, out, 'cmd') == 0
    found = json.loads((job.folder / 'result.json').read_text())
    assert set(found['real']) == {'train', 'val'}
    assert found['real']['val']['EPE'] > 0 and found['params'] > .1
    assert '| `plain`' in out.read_text() and '## Real pairs' in out.read_text()
