"""Writing a set of pairs: same bytes however it is made, kills, errors."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from segaware_mm.datasets.flow import cli
from segaware_mm.datasets.flow.files import decode_flo, read_flow
from segaware_mm.datasets.flow.generate import generate_flow
from segaware_mm.datasets.scenes.manifest import ScenesError

SMALL = dict(train=3, val=2, size=(32, 40), seed=5, progress=False)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob('*')) if path.is_file()}


def test_number_of_workers_changes_no_byte(tmp_path):
    one = tree(generate_flow(tmp_path / 'one', workers=1, **SMALL))
    two = tree(generate_flow(tmp_path / 'two', workers=2, **SMALL))
    assert one == two
    assert len(one) == 4 * 5 + 1
    flow, known = decode_flo(one['val/000001_flow.flo'])
    assert flow.shape == (32, 40, 2) and known.all()


def test_a_longer_set_begins_with_the_shorter_one(tmp_path):
    few = tree(generate_flow(tmp_path / 'few', **SMALL))
    many = tree(generate_flow(tmp_path / 'many', **dict(SMALL, train=4)))
    assert all(many[name] == few[name] for name in few if name != 'flow.json')


def _killed(out, after):
    """Run until ``after`` files are in place; die in the middle of the next."""
    replace, done = os.replace, []

    def counting(source, target):
        if len(done) == after:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(target)
        replace(source, target)

    os.replace = counting
    generate_flow(out, **SMALL)


def test_killed_run_goes_on_and_ends_in_the_same_bytes(tmp_path):
    if 'fork' not in multiprocessing.get_all_start_methods():
        pytest.skip('needs fork')
    out = tmp_path / 'killed'
    process = multiprocessing.get_context('fork').Process(target=_killed, args=(out, 11))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    left = [path for path in out.rglob('*') if path.is_file()]
    assert [path for path in left if path.name.endswith('.part')]
    for path in left:  # whole, or an error
        if path.suffix == '.png':
            Image.open(path).load()
        elif path.suffix == '.flo':
            read_flow(str(path))
    stamps = {path: path.stat().st_mtime_ns for path in left}
    generate_flow(out, **SMALL)
    whole = generate_flow(tmp_path / 'whole', **SMALL)
    assert tree(out) == tree(whole)
    kept = [path for path in left if path.exists() and path.name[0] != '.'
            and path.stat().st_mtime_ns == stamps[path]]
    assert len(kept) == 8  # the two pairs that were finished


def test_finished_set_is_left_alone_and_a_lost_file_is_made_again(tmp_path):
    out = generate_flow(tmp_path / 'set', **SMALL)
    before = tree(out)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob('*.*')}
    generate_flow(out, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in out.rglob('*.*')} == stamps
    (out / 'train' / '000001_flow.flo').unlink()
    generate_flow(out, **SMALL)
    assert tree(out) == before


@pytest.mark.parametrize('change, words', [
    (dict(seed=6), 'seed: there 5, asked 6'),
    (dict(train=4), 'train: there 3, asked 4'),
    (dict(size=(32, 48)), 'width: there 40, asked 48'),
])
def test_other_arguments_in_one_folder_are_an_error(tmp_path, change, words):
    out = generate_flow(tmp_path / 'set', **SMALL)
    before = tree(out)
    with pytest.raises(ScenesError, match=words):
        generate_flow(out, **{**SMALL, **change})
    assert tree(out) == before
    generate_flow(out, overwrite=True, **{**SMALL, **change})
    fresh = generate_flow(tmp_path / 'fresh', **{**SMALL, **change})
    assert tree(out) == tree(fresh)


def test_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / 'thesis.txt').write_text('mine')
    with pytest.raises(ScenesError, match='not empty and holds no flow.json'):
        generate_flow(tmp_path, overwrite=True, **SMALL)
    (tmp_path / 'flow.json').write_text('{"generator": "other"}')
    with pytest.raises(ScenesError, match='cannot be read as the manifest'):
        generate_flow(tmp_path, **SMALL)
    assert (tmp_path / 'thesis.txt').read_text() == 'mine'


@pytest.mark.parametrize('change, words', [
    (dict(train=-1), 'train must be a number of pairs'),
    (dict(train=0, val=0), 'nothing to write'),
    (dict(size=(16, 40)), 'each at least 32 pixels'),
    (dict(workers=0), 'workers must be 1 or more'),
])
def test_arguments_out_of_range(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        generate_flow(tmp_path / 'set', **{**SMALL, **change})
    assert not (tmp_path / 'set').exists()


def test_command_line(tmp_path, capsys):
    arguments = ['--out', str(tmp_path / 'set'), '--train', '1', '--val', '1', '--size',
                 '32', '40', '--workers', '1']
    assert cli.main(arguments) == 0
    printed = capsys.readouterr()
    assert '1 + 1 pairs' in printed.out and 'flow pairs: 100%' in printed.err
    assert cli.main([*arguments, '--seed', '1']) == 2
    assert 'make_flow: error: ' in capsys.readouterr().err


@pytest.mark.slow
def test_the_tool_goes_on_after_a_kill(tmp_path):
    """SIGKILL from outside while two workers draw."""
    out, count = tmp_path / 'set', 120
    tool = Path(__file__).resolve().parents[2] / 'tools' / 'make_flow.py'
    command = [sys.executable, str(tool), '--out', str(out), '--train', str(count),
               '--val', '2', '--size', '32', '40', '--workers', '2']
    env = dict(os.environ, PYTHONPATH=str(tool.parents[1]))
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while len(list(out.glob('train/*.flo'))) < 3 and time.monotonic() < deadline:
        time.sleep(.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    left = len(list(out.glob('train/*.flo')))
    assert 3 <= left < count
    done = subprocess.run(command, env=env, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    fresh = generate_flow(tmp_path / 'fresh', train=count, val=2, size=(32, 40),
                          progress=False)
    assert tree(out) == tree(fresh)
