"""The MNC table: rows, the page, the tests of other ways, steps on small images."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BENCHMARKS = str(REPO / 'benchmarks')

sys.path.insert(0, BENCHMARKS)
try:
    mnc_job = importlib.import_module('mnc_job')
    mnc_table = importlib.import_module('mnc_table')
    from mnc_rows import ROWS, VARIANTS
finally:
    sys.path.remove(BENCHMARKS)


def result(name='mnc-coco-mini', ap=.1, **changes):
    """A finished row."""
    return {**dict(
        name=name, label='MNC', is_peer=False, seed=0, iterations=600, params=3.,
        scores=dict.fromkeys(mnc_job.KEYS, ap), history={'300': ap / 2, '600': ap},
        variants={one.name: dict.fromkeys(mnc_job.KEYS, ap / 4) for one in VARIANTS},
        seconds_per_iteration=.5, seconds_per_image=.25, date='2026-01-01',
        command='python tools/train.py x', environment='a processor'), **changes}


def test_rows_are_told_apart_and_their_configs_exist():
    Config = pytest.importorskip('mmengine.config').Config
    assert len({row.name for row in ROWS}) == len(ROWS) == len(
        {(row.config, row.options) for row in ROWS})
    for row in ROWS:
        cfg = Config.fromfile(str(REPO / row.config))
        for key, _ in row.options:
            parent = key.rpartition('.')[0]
            node = cfg
            for part in parent.split('.'):
                node = node[part]


def test_the_page_shows_scores_growth_and_variants():
    peer = result('mask-rcnn-coco-mini', .08, is_peer=True, variants={})
    text = mnc_table.make_page([peer, result()], [('mnc-dsb2018', 'not trained')],
                               'cmd', 'day')
    assert '| 5.00 10.00 |' in ' '.join(text.split())
    assert text.count('| `mnc-coco-mini`') == 1 + 1 + len(VARIANTS)
    assert '2.50' in text.split('## Stages and voting')[1]
    assert '- `mnc-dsb2018`: not trained' in text
    assert 'Stages and voting' not in mnc_table.make_page([peer], [], 'cmd', 'day')


def test_scores_of_variants_are_read_from_their_last_test(tmp_path):
    job = mnc_job.MNCJob(ROWS[1], 0, [], tmp_path)
    job.folder = tmp_path / 'row'
    folder = job.folder / mnc_job.folder_name(VARIANTS[0]) / '2026'
    folder.mkdir(parents=True)
    assert job.variant_scores(VARIANTS[0]) is None
    (folder / '2026.json').write_text(json.dumps(dict.fromkeys(mnc_job.KEYS, .2)) + '\n')
    assert job.variant_scores(VARIANTS[0]) == dict.fromkeys(mnc_job.KEYS, .2)
    words = job.variant_test(Path('x.pth'), VARIANTS[0])
    assert words[0] == 'tools/test.py' and VARIANTS[0].options[0] in words


@pytest.mark.slow
def test_steps_are_measured_on_a_small_image():
    pytest.importorskip('mmdet')
    done = subprocess.run(
        [sys.executable, 'benchmarks/mnc_steps.py', '--quick', '--threads', '1'],
        cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r'\| 1 run +\|$', done.stdout, re.M)
    assert len(rows) == 4 and 'the numbers mean nothing' in done.stdout
