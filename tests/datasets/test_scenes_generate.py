"""Writing a set: same bytes however it is made, kills, errors."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from segaware_mm.datasets.scenes import cli, storage
from segaware_mm.datasets.scenes.generate import generate_scenes
from segaware_mm.datasets.scenes.manifest import ScenesError
from segaware_mm.datasets.scenes.workers import run_tasks

ROOT = Path(__file__).parents[2]
SMALL = dict(train=3, val=2, size=(32, 40), seed=5, progress=False)


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*')) if path.is_file()
    }


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*.png')}


def test_number_of_workers_changes_no_byte(tmp_path):
    one = tree(generate_scenes(tmp_path / 'one', workers=1, **SMALL))
    three = tree(generate_scenes(tmp_path / 'three', workers=3, **SMALL))
    assert one == three
    assert len([name for name in one if name.endswith('.png')]) == 10
    assert not [name for name in one if '.scenes' in name]


def test_a_longer_set_begins_with_the_shorter_one(tmp_path):
    few = tree(generate_scenes(tmp_path / 'few', **SMALL))
    many = tree(generate_scenes(tmp_path / 'many', **dict(SMALL, train=5)))
    assert all(many[name] == few[name] for name in few
               if name.endswith('.png'))


def _killed(out, workers, after):
    """Run until ``after`` files are in place; die in the middle of the next."""
    replace, done = os.replace, []

    def counting(source, target):
        if len(done) == after:
            os.kill(os.getpid() if workers == 1 else os.getppid(),
                    signal.SIGKILL)
        done.append(target)
        replace(source, target)

    os.replace = counting
    generate_scenes(out, workers=workers, **dict(SMALL, train=20))


@pytest.mark.parametrize('workers', [1, 2])
def test_killed_run_goes_on_and_ends_in_the_same_bytes(tmp_path, workers):
    if 'fork' not in multiprocessing.get_all_start_methods():
        pytest.skip('needs fork')
    out = tmp_path / 'killed'
    process = multiprocessing.get_context('fork').Process(
        target=_killed, args=(out, workers, 12))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL

    with storage.only_writer(out):  # the other worker has ended
        records = len(list((out / '.scenes_parts').glob('*.json')))
    assert 3 <= records < 22
    assert not (out / 'annotations' / 'instances_train.json').exists()
    before = times(out)
    for path in before:
        Image.open(path).load()  # whole, or an error

    generate_scenes(out, workers=2, **dict(SMALL, train=20))
    after = times(out)
    assert len(after) == 2 * 22
    redone = sum(before[path] != after[path] for path in before)
    assert redone <= 2 * workers  # the files of the scenes that were begun
    whole = generate_scenes(tmp_path / 'whole', **dict(SMALL, train=20))
    assert tree(out) == tree(whole)


def test_finished_set_is_left_alone_and_a_lost_file_is_made_again(tmp_path):
    out = generate_scenes(tmp_path / 'set', **SMALL)
    before, stamps = tree(out), times(out)
    generate_scenes(out, **SMALL)
    assert times(out) == stamps
    (out / 'images' / 'train' / '000001.png').unlink()
    (out / 'annotations' / 'instances_val.json').unlink()
    generate_scenes(out, **SMALL)
    assert tree(out) == before


def test_a_set_of_few_kinds_is_no_set_of_any(tmp_path):
    out = generate_scenes(tmp_path / 'set', **SMALL, kinds=2)
    with pytest.raises(ScenesError, match='kinds: there 2, asked None'):
        generate_scenes(out, **SMALL)


@pytest.mark.parametrize('change, words', [
    (dict(seed=6), 'seed: there 5, asked 6'),
    (dict(train=4), 'train: there 3, asked 4'),
    (dict(val=0), 'val: there 2, asked 0'),
    (dict(size=(32, 48)), 'width: there 40, asked 48'),
    (dict(layout='voc'), 'layout: there mmseg, asked voc'),
    (dict(kinds=2), 'kinds: there None, asked 2'),
])
def test_other_arguments_in_one_folder_are_an_error(tmp_path, change, words):
    out = generate_scenes(tmp_path / 'set', **SMALL)
    before = tree(out)
    with pytest.raises(ScenesError, match=words) as error:
        generate_scenes(out, **{**SMALL, **change})
    assert '--overwrite' in str(error.value)
    assert tree(out) == before


def test_other_generator_version_is_an_error(tmp_path):
    out = generate_scenes(tmp_path / 'set', **SMALL)
    path = out / 'scenes.json'
    path.write_text(path.read_text().replace(
        '"generator_version": ', '"generator_version": 90'))
    with pytest.raises(ScenesError, match='generator version: there 90'):
        generate_scenes(out, **SMALL)


def test_overwrite_replaces_scenes_and_nothing_else(tmp_path):
    out = generate_scenes(tmp_path / 'set', **SMALL)
    (out / 'images' / 'notes.txt').write_text('mine')
    wanted = dict(SMALL, layout='coco', train=1, val=0)
    generate_scenes(out, overwrite=True, **wanted)
    fresh = tree(generate_scenes(tmp_path / 'fresh', **wanted))
    found = tree(out)
    assert found.pop('images/notes.txt') == b'mine'
    assert found == fresh


def test_foreign_folder_is_refused(tmp_path):
    (tmp_path / 'thesis.txt').write_text('mine')
    with pytest.raises(ScenesError, match='not empty'):
        generate_scenes(tmp_path, overwrite=True, **SMALL)
    assert tree(tmp_path) == {'thesis.txt': b'mine'}


@pytest.mark.parametrize('text', ['{"gener', '[]', '{"generator": "x"}'])
def test_unreadable_manifest_is_an_error(tmp_path, text):
    (tmp_path / 'scenes.json').write_text(text)
    with pytest.raises(ScenesError, match='scenes.json cannot be read'):
        generate_scenes(tmp_path, overwrite=True, **SMALL)


@pytest.mark.parametrize('below', ['', 'deeper'])
def test_unwritable_folder_is_an_error(tmp_path, below):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ScenesError, match='cannot write into'):
        generate_scenes(tmp_path / 'file' / below, **SMALL)


def test_two_runs_in_one_folder_are_an_error(tmp_path, monkeypatch):
    pytest.importorskip('fcntl')
    monkeypatch.setattr(storage, 'LOCK_WAIT', 0.1)
    with storage.only_writer(tmp_path):
        with pytest.raises(ScenesError, match='another run'):
            generate_scenes(tmp_path, **SMALL)
    generate_scenes(tmp_path, **SMALL)
    assert (tmp_path / 'scenes.json').exists()


@pytest.mark.parametrize('change, name', [
    (dict(layout='kitti'), 'layout'),
    (dict(train=-1), 'train'),
    (dict(val=-1), 'val'),
    (dict(train=0, val=0), 'train and val'),
    (dict(size=(31, 40)), 'size'),
    (dict(size=(0, 40)), 'size'),
    (dict(seed=-1), 'seed'),
    (dict(workers=0), 'workers'),
    (dict(kinds=-1), 'kinds'),
])
def test_silly_argument_is_an_error_and_writes_nothing(tmp_path, change, name):
    out = tmp_path / 'new'
    with pytest.raises(ValueError, match=name):
        generate_scenes(out, **{**SMALL, **change})
    assert not out.exists()


def _double(task):
    if task == 'fail':
        raise OSError(28, 'No space left on device')
    if task == 'die':
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize('workers', [1, 2])
def test_error_in_a_worker_reaches_the_caller(workers):
    with pytest.raises(OSError, match='No space left'):
        list(run_tasks(_double, ['a', 'b', 'fail', 'c'], workers))


def test_killed_worker_is_an_error_and_not_a_wait():
    with pytest.raises(RuntimeError, match='code -9'):
        list(run_tasks(_double, ['a', 'die', 'b', 'c'], 2))


def test_every_task_is_done_once():
    tasks = list(range(11))
    assert sorted(run_tasks(_double, tasks, 3)) == tasks
    assert list(run_tasks(_double, [], 3)) == []


def test_command_line(tmp_path, capsys):
    common = ['--out', str(tmp_path / 'set'), '--train', '1', '--val', '1',
              '--workers', '1', '--size', '32', '32']
    assert cli.main(common + ['--layout', 'voc']) == 0
    assert '1 + 1 scenes, voc layout' in capsys.readouterr().out
    assert cli.main(common + ['--layout', 'coco']) == 2
    assert 'layout: there voc, asked coco' in capsys.readouterr().err
    assert cli.main(common[:-2] + ['8', '8']) == 2
    assert 'at least 32' in capsys.readouterr().err


def test_script_runs_from_the_root_of_the_project(tmp_path):
    done = subprocess.run(
        [sys.executable, 'tools/make_scenes.py', '--out', str(tmp_path / 'set'),
         '--train', '1', '--val', '0', '--size', '32', '32'],
        cwd=ROOT, env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '1 + 0 scenes, mmseg layout' in done.stdout
    assert '1/1' in done.stderr  # the progress bar
    assert (tmp_path / 'set' / 'images' / 'train' / '000000.png').exists()
