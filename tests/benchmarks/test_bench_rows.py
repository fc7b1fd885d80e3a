"""What programs share that measure every row in a process of its own."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = str(Path(__file__).resolve().parents[2] / 'benchmarks')
sys.path.insert(0, BENCHMARKS)
try:
    bench_rows = importlib.import_module('bench_rows')
    programs = {name: importlib.import_module(name)
                for name in ('local_attention', 'test_time')}
finally:
    sys.path.remove(BENCHMARKS)
ROW = dict(threads=1)


@pytest.mark.parametrize('code, found', [
    ('print("hello"); print(\'{"x": 1}\')', dict(x=1)),
    ('raise ValueError("no map")', dict(error='exit code 1: ValueError: no map')),
    ('import os; os.kill(os.getpid(), 9)', dict(error='killed by signal 9')),
    ('pass', dict(error='exit code 0')),
    ('print(3)', dict(error='exit code 0')),
    ('print(\'{"x": 1}\'); raise SystemExit(3)', dict(error='exit code 3')),
    ('import time; time.sleep(60)', dict(error='given up after 1 s')),
])
def test_a_row_is_measured_or_says_why_not(code, found):
    assert bench_rows.run_row(['-c', code], ROW, 1 if 'sleep' in code else 60) == found


def test_a_row_has_its_threads_and_the_implementation_asked_for(monkeypatch):
    monkeypatch.setenv('SEGAWARE_MM_IMPL', 'torch')
    code = 'import json, os, sys; print(json.dumps(dict(row=json.loads(sys.argv[1]), ' \
        'omp=os.environ["OMP_NUM_THREADS"], impl=os.environ["SEGAWARE_MM_IMPL"])))'
    assert bench_rows.run_row(['-c', code], dict(threads=3)) == dict(
        row=dict(threads=3), omp='3', impl='torch')


def test_a_page_goes_where_it_is_asked_to(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench_rows, 'RESULTS', tmp_path)
    bench_rows.finish('text\n', bench_rows.place('stem', None, save=False))
    assert 'text' in capsys.readouterr().out and not list(tmp_path.iterdir())
    bench_rows.finish('text\n', bench_rows.place('stem', tmp_path / 'mine.md', False))
    assert (tmp_path / 'mine.md').read_text() == 'text\n'
    bench_rows.finish('text\n', bench_rows.place('stem', None, save=True))
    assert len(list(tmp_path.glob('stem_*.md'))) == 1


@pytest.mark.parametrize('load', [0., 3.])
def test_a_busy_machine_is_warned_of(load, monkeypatch, capsys):
    monkeypatch.setattr(bench_rows.os, 'getloadavg', lambda: (load, 0, 0),
                        raising=False)
    facts = bench_rows.machine('mine.py', 2, ['--quick'])
    assert facts[-1] == 'command: `python benchmarks/mine.py --quick`'
    assert f'load before the run: {load:.2f}' in facts[2]
    assert ('busy' in capsys.readouterr().err) == bool(load)


@pytest.mark.parametrize('program, only', [
    ('local_attention', 'mask'), ('test_time', 'windows')])
def test_a_quick_run_writes_the_page(program, only, tmp_path, capsys):
    pytest.importorskip('mmseg')
    out = tmp_path / 'page.md'
    code = programs[program].main(
        ['--quick', '--threads', '1', '--out', str(out), '--only', only])
    assert code == 0, (capsys.readouterr(), out.read_text())
    text = out.read_text()
    assert 'the numbers mean nothing' in text.splitlines()[0]
    assert f'command: `python benchmarks/{program}.py --quick' in text
