"""The CamVid table: rows, what is read from a work dir, the page."""

import importlib
import json
import math
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BENCHMARKS = str(REPO / 'benchmarks')

sys.path.insert(0, BENCHMARKS)
try:
    bench_trainings = importlib.import_module('bench_trainings')
    camvid = importlib.import_module('camvid')
    camvid_job = importlib.import_module('camvid_job')
    camvid_log = importlib.import_module('camvid_log')
    camvid_table = importlib.import_module('camvid_table')
    from camvid_rows import ROWS, Row
finally:
    sys.path.remove(BENCHMARKS)

LOG = """\
2026/01/01 00:00:00 - mmengine - INFO - per class results:
+-------+------+------+
| Class | IoU  | Acc  |
+-------+------+------+
|  Sky  | 1.0  | 2.0  |
+-------+------+------+
2026/01/01 00:00:09 - mmengine - INFO - per class results:
2026/01/01 00:00:09 - mmengine - INFO - \n\
+------------+-------+-------+
|   Class    |  IoU  |  Acc  |
+------------+-------+-------+
|    Sky     | 92.02 | 95.85 |
|    Pole    |  nan  |  nan  |
| SignSymbol |  4.46 |  4.48 |
+------------+-------+-------+
2026/01/01 00:00:09 - mmengine - INFO - Iter(val) [2/2]  aAcc: 88 | x | y
"""


def write_run(folder, time, entries, log=''):
    """Write what a run that started at ``time`` leaves."""
    data = folder / time / 'vis_data'
    data.mkdir(parents=True)
    (data / 'scalars.json').write_text(''.join(
        json.dumps(entry) + '\n' for entry in entries))
    (folder / time / f'{time}.log').write_text(log)


@pytest.fixture
def work_dir(tmp_path):
    """A training that was killed after its third iteration and resumed."""
    write_run(tmp_path, '20260101_000000', [
        dict(loss=3., time=9., step=1), dict(loss=2., time=5., step=2),
        dict(loss=1., time=4., step=3)])
    cut = tmp_path / '20260101_000000' / 'vis_data' / 'scalars.json'
    cut.write_text(cut.read_text() + '{"loss": 1')
    write_run(tmp_path, '20260102_000000', [
        dict(loss=1., time=3., step=3), dict(loss=1., time=2., step=4),
        dict(mIoU=48.7, aAcc=88.1, mAcc=61.1, time=.3, step=4)], LOG)
    return tmp_path


def result(name='da', miou=49.6, **changes):
    """A finished row."""
    return {**dict(
        name=name, label='DAHead', is_peer=True, seed=0, iterations=600,
        scores=dict(mIoU=miou, aAcc=88., mAcc=61.), params=3.5,
        classes={'Sky': 92.02, 'Pole': math.nan}, seconds_per_iteration=1.25,
        command='python tools/train.py x', date='2026-01-01',
        environment='a processor; torch 2'), **changes}


def test_scores_times_and_classes_are_read_from_all_starts_of_a_run(work_dir):
    assert camvid_log.iterations_done(work_dir) == 4
    assert camvid_log.scores_at(work_dir, 4) == dict(
        mIoU=48.7, aAcc=88.1, mAcc=61.1)
    assert camvid_log.scores_at(work_dir, 8) is None
    assert camvid_log.seconds_per_iteration(work_dir) == 4.  # of 9 5 4 3 2
    assert camvid_log.last_class_scores(work_dir)['Sky'] == 92.02


def test_scores_of_a_later_test_stand_in_for_a_missing_validation(work_dir):
    write_run(work_dir / 'test', '20260103_000000', [], LOG.replace('92.02', '93'))
    (work_dir / 'test' / '20260103_000000' / '20260103_000000.json').write_text(
        json.dumps(dict(mIoU=50., aAcc=1., mAcc=2., time=.1)))
    assert camvid_log.scores_at(work_dir, 8)['mIoU'] == 50
    assert camvid_log.scores_at(work_dir, 4)['mIoU'] == 48.7
    assert camvid_log.last_class_scores(work_dir)['Sky'] == 93


def test_the_last_table_of_classes_counts():
    found = camvid_log.class_scores(LOG)
    assert list(found) == ['Sky', 'Pole', 'SignSymbol']
    assert found['SignSymbol'] == 4.46 and math.isnan(found['Pole'])
    assert camvid_log.class_scores('no table') == {}


@pytest.mark.parametrize('text, wanted', [
    ('a\nerror: no dataset in x\n', 'error: no dataset in x'),
    ('Traceback\n  File "x"\nmod.BadError: why\nbye', 'mod.BadError: why'),
    ('Killed\n', 'Killed'),
    ('', 'no output'),
])
def test_the_line_that_says_what_went_wrong(text, wanted):
    assert camvid_log.last_error(text) == wanted


def test_every_row_has_a_name_and_a_config_of_its_own():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert {'fcn', 'psp', 'ocr', 'da', 'ranet-released', 'ranet-released-sqrt',
            'ranet-paper', 'ranet-fine-tree', 'ranet-fine-jensen-shannon'} <= set(names)
    assert all((REPO / row.config).is_file() for row in ROWS)
    assert len({(row.config, row.options) for row in ROWS}) == len(ROWS)


def test_the_options_of_every_row_fit_their_config():
    Config = pytest.importorskip('mmengine.config').Config
    DictAction = importlib.import_module('mmengine.config').DictAction
    heads = {}
    for row in ROWS:
        cfg = Config.fromfile(str(REPO / row.config))
        cfg.merge_from_dict({k: DictAction._parse_iterable(v)
                             for k, v in row.options})
        heads[row.name] = cfg.model.decode_head
        assert cfg.train_cfg.val_interval == cfg.train_cfg.max_iters
        assert cfg.param_scheduler[0].end == cfg.train_cfg.max_iters
    released = heads['ranet-released']
    assert tuple(released.in_index) == (2, 2)
    assert tuple(released.in_channels) == (256, 256)
    assert released.interaction.scale == 1
    assert heads['ranet-stride8'].interaction.scale == 'sqrt'
    assert heads['ranet-fine-no-boundary'].loss_aux_boundary.loss_weight == 0
    assert heads['ranet-fine-k16'].construction.num_representatives == 16


def test_rows_are_selected_by_name_and_pattern():
    found = [row.name for row in bench_trainings.select(ROWS, ['ranet-fine-k*', 'da'])]
    assert found == ['da', 'ranet-fine-k4', 'ranet-fine-k16']
    assert bench_trainings.select(ROWS, []) == list(ROWS)
    with pytest.raises(ValueError, match='ranet-k8.*ranet-fine-k4'):
        bench_trainings.select(ROWS, ['ranet-k8'])


def test_dry_run_prints_the_commands(capsys):
    assert camvid.main(['--dry-run', '--only', 'da', 'ranet-released',
                        '--seeds', '0', '1']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0] == (
        'python tools/train.py configs/peers/'
        'da_r18-d16_1xb4-600i_camvid-360x480.py --work-dir work_dirs/camvid/da '
        '--resume --cfg-options randomness.seed=0')
    assert "'model.decode_head.in_index=(2,2)'" in lines[1]
    assert '--work-dir work_dirs/camvid/da-seed1 ' in lines[2]


def test_the_page_compares_with_peers_of_equal_length_and_seed():
    results = [
        result(), result('fcn', 45.), result('da-1200i', 55., iterations=1200),
        result('ranet', 50.1, is_peer=False, label='A | B'),
        result('ranet-seed1', 50.1, is_peer=False, seed=1,
               environment='another; torch 2')]
    text = camvid_table.make_page(results, [('psp', 'not trained')], 'cmd', 'day')
    line = {cells[1].strip(' `'): [c.strip() for c in cells] for cells in (
        row.split('|') for row in text.splitlines() if row.startswith('| `'))}
    table = text.split('## IoU')[0]
    assert ' +0.50 (da) |' in table and table.count('+') == 1
    # A peer of that length is open: it may be the best.
    for waiting, gains in (((1200, 0), 1), ((600, 1), 1), ((600, 0), 0)):
        table = camvid_table.score_table(results, ['a processor; torch 2',
                                                   'another; torch 2'], [waiting])
        assert table.count('+') == gains, waiting
    assert r'A \| B' in text
    assert line['da'][2:4] == ['92.02', '-']  # the table of classes comes last
    assert '- `psp`: not trained' in text
    assert '1. a processor; torch 2\n2. another; torch 2' in text
    assert 'python tools/train.py x  # 2026-01-01' in text


def test_a_page_without_results_names_what_is_missing():
    text = camvid_table.make_page([], [('da', 'not trained')], 'cmd', 'day')
    assert '- `da`: not trained' in text and '|' not in text


@pytest.fixture
def config(tmp_path):
    """A config that can be read, and a base of it."""
    (tmp_path / 'base.py').write_text(
        "train_cfg = dict(max_iters=600)\nroot = '{{$SEGAWARE_MM_DATA:data}}'\n")
    (tmp_path / 'config.py').write_text("_base_ = './base.py'\nother = 1\n")
    return str(tmp_path / 'config.py')


@pytest.fixture
def job(tmp_path, config):
    """A row in a folder of its own."""
    row = Row('tiny', 'Tiny', config, (('a.b', '1'), ))
    return camvid_job.Job(row, 0, ['c=2'], tmp_path)


def test_the_length_of_a_row_is_that_of_its_config_and_options(job, tmp_path):
    assert job.iterations == 600
    row = job.row._replace(options=(('train_cfg.max_iters', '1200'), ))
    assert camvid_job.Job(row, 0, [], tmp_path).iterations == 1200
    assert camvid_job.Job(row, 0, ['train_cfg.max_iters=2'], tmp_path).iterations == 2
    assert camvid_job.Job(Row('a', 'b', 'no.py'), 0, [], tmp_path).iterations == 0


def test_a_config_that_changed_is_noticed(job, tmp_path, monkeypatch):
    job.begin('here')
    (job.folder / 'result.json').write_text(json.dumps(result('tiny')))
    monkeypatch.setenv('SEGAWARE_MM_DATA', '/elsewhere')
    base = tmp_path / 'base.py'
    base.write_text('# a comment\n' + base.read_text())
    assert job.state() == 'done, mIoU 49.60'
    base.write_text(base.read_text().replace('600', '700'))
    with pytest.raises(camvid_job.RowError, match='config.py.*has changed since'):
        job.result()
    # Rows of the first versions have no hash: they count as before.
    (job.folder / 'row.json').write_text(json.dumps(job.definition))
    assert job.state() == 'done, mIoU 49.60'


def test_every_start_leaves_its_environment(job):
    assert job.begin('a') == ['a'] == job.begin('a')
    assert job.begin('b') == ['a', 'b'] == job.saved()['environments']
    write_run(job.folder, '20260101_000000', [dict(loss=1., step=3)])
    (job.folder / 'row.json').write_text(json.dumps(job.definition))
    assert job.begin('b') == ['unknown', 'b']


def test_a_result_of_other_settings_is_refused(job):
    job.folder.mkdir()
    assert job.result() is None and job.state() == 'not trained'
    (job.folder / 'row.json').write_text(json.dumps(job.definition))
    (job.folder / 'result.json').write_text(json.dumps(result('tiny')))
    assert job.state() == 'done, mIoU 49.60'
    assert job.result()['label'] == 'Tiny'
    (job.folder / 'row.json').write_text(json.dumps(
        dict(job.definition, options=['a.b=7', 'c=2', 'randomness.seed=0'])))
    with pytest.raises(camvid_job.RowError, match='a.b=7.*instead of a.b=1'):
        job.result()
    assert 'other settings' in job.state()


def test_a_row_that_is_being_trained_is_left_alone(job):
    with camvid_job.lock(job.folder):
        with pytest.raises(camvid_job.RowError, match='another process'):
            with camvid_job.lock(job.folder):
                pytest.fail('the folder was given away twice')
    with camvid_job.lock(job.folder) as held:
        assert len(held) == 1


class BrokenJob(camvid_job.Job):
    """A row whose training ends at once."""
    train = ['-c', 'print("Iter(train)"); print("error: no data"); exit(2)']


def test_a_row_that_fails_stands_in_the_table_with_the_reason(tmp_path, config,
                                                              capsys):
    job = BrokenJob(Row('broken', 'Broken', config), 0, [], tmp_path)
    out = tmp_path / 'page.md'
    assert camvid.work([job], [job], 1, out, 'cmd') == 1
    assert '`broken`: exit code 2: error: no data (all of it in ' in out.read_text()
    assert (job.folder / 'console.log').read_text() == \
        'Iter(train)\nerror: no data\n'
    shown = capsys.readouterr()
    assert '  Iter(train)' in shown.out and 'console.log' in shown.err
    assert not (job.folder / 'result.json').exists()
