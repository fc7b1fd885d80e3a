"""Checkpoints: whole files alone, the last of them, and of the right model."""

import logging
import os
from types import SimpleNamespace

import mmengine.fileio as fileio
import pytest
import torch
from mmengine.runner import save_checkpoint
from torch import nn

from segaware_mm.engine.atomic import (
    AtomicLocalBackend,
    remove_parts,
    use_atomic_writes,
)
from segaware_mm.engine.checkpoints import (
    CheckpointFitHook,
    check_file,
    is_whole,
    latest_checkpoint,
)
from segaware_mm.engine.errors import CheckpointError


def save(path, content=None):
    """Write a small checkpoint; return its path as a string."""
    torch.save(content or dict(state_dict=dict(w=torch.zeros(300))), path)
    return str(path)


def cut(path):
    """Cut a file to two thirds."""
    data = open(path, 'rb').read()
    open(path, 'wb').write(data[:len(data) * 2 // 3])


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / 'a.pth'
    backend = AtomicLocalBackend()
    backend.put(b'old', target)
    monkeypatch.setattr(os, 'replace', lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        backend.put(b'new', target)
    assert target.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.pth']


def test_a_kill_while_writing_leaves_no_half_file(tmp_path, monkeypatch):
    """What is on the disk at the moment before the rename."""
    seen = {}
    replace = os.replace

    def look(source, target):
        seen[target] = os.path.exists(target), os.path.getsize(source)
        replace(source, target)

    monkeypatch.setattr(os, 'replace', look)
    use_atomic_writes()
    path = str(tmp_path / 'iter_1.pth')
    save_checkpoint(dict(state_dict=dict(w=torch.zeros(300))), path)
    assert seen == {path: (False, os.path.getsize(path))}
    assert is_whole(path)


def test_mmengine_writes_through_the_backend():
    use_atomic_writes()
    assert type(fileio.get_file_backend('a.pth')) is AtomicLocalBackend
    assert type(fileio.get_file_backend('http://x/a')) is not AtomicLocalBackend


def test_links_are_written_through(tmp_path):
    (tmp_path / 'real').mkdir()
    (tmp_path / 'link.txt').symlink_to(tmp_path / 'real' / 'file.txt')
    AtomicLocalBackend().put_text('ü', tmp_path / 'link.txt')
    assert (tmp_path / 'link.txt').is_symlink()
    assert (tmp_path / 'real' / 'file.txt').read_text(encoding='utf-8') == 'ü'


def test_leftovers_of_a_killed_write_are_removed(tmp_path):
    (tmp_path / '.iter_4.pth.123.part').touch()
    (tmp_path / 'keep.part').touch()
    assert len(remove_parts(str(tmp_path))) == 1
    assert os.listdir(tmp_path) == ['keep.part']


def test_whole_cut_and_empty(tmp_path):
    path = save(tmp_path / 'a.pth')
    assert is_whole(path)
    cut(path)
    assert not is_whole(path)
    (tmp_path / 'b.pth').touch()
    assert not is_whole(str(tmp_path / 'b.pth'))
    assert not is_whole(str(tmp_path / 'no.pth'))


def test_latest_is_the_one_that_is_named(tmp_path):
    first = save(tmp_path / 'iter_4.pth')
    save(tmp_path / 'iter_8.pth')
    (tmp_path / 'last_checkpoint').write_text(first)
    assert latest_checkpoint(str(tmp_path)) == first


@pytest.mark.parametrize('pointer', [None, '', '/gone/iter_12.pth'])
def test_latest_without_a_good_name_is_the_newest_whole_one(tmp_path, pointer):
    good = save(tmp_path / 'iter_8.pth')
    save(tmp_path / 'iter_4.pth')
    cut(save(tmp_path / 'iter_16.pth'))
    if pointer is not None:
        (tmp_path / 'last_checkpoint').write_text(pointer)
    assert latest_checkpoint(str(tmp_path)) == good


def test_latest_after_the_work_dir_was_moved(tmp_path):
    good = save(tmp_path / 'iter_4.pth')
    save(tmp_path / 'iter_8.pth')
    (tmp_path / 'last_checkpoint').write_text('/old/place/iter_4.pth')
    assert latest_checkpoint(str(tmp_path)) == good


def test_no_checkpoint_at_all(tmp_path):
    assert latest_checkpoint(str(tmp_path / 'no')) is None


def test_files_that_are_no_checkpoints_are_named(tmp_path):
    path = save(tmp_path / 'cut.pth')
    cut(path)
    with pytest.raises(CheckpointError, match='cut.pth is cut short'):
        check_file(path)
    (tmp_path / 'text.pth').write_text('hello')
    with pytest.raises(CheckpointError, match='text.pth'):
        check_file(str(tmp_path / 'text.pth'))
    with pytest.raises(CheckpointError, match='does not exist'):
        check_file(str(tmp_path / 'no.pth'))
    check_file('https://example.org/not-looked-at.pth')


def make_runner(*widths):
    """Return a stand-in for a runner with a model of these widths."""
    model = nn.Sequential(*[nn.Linear(w, w) for w in widths])
    return SimpleNamespace(model=model, logger=logging.getLogger('fit'))


def state(runner, **more):
    """Return a full checkpoint of a stand-in."""
    return dict(state_dict=runner.model.state_dict(), meta={}, optimizer={},
                message_hub={}, **more)


def fit(purpose, model, checkpoint):
    """Run the hook on a checkpoint."""
    CheckpointFitHook(purpose, 'c.pth').after_load_checkpoint(model, checkpoint)


@pytest.mark.parametrize('purpose', ['resume', 'test', 'load'])
def test_the_own_checkpoint_fits(purpose, caplog):
    runner = make_runner(2, 3)
    fit(purpose, runner, state(runner))
    assert caplog.text == ''


def test_another_architecture_is_refused_with_its_share():
    runner, other = make_runner(2, 3, 4, 5), make_runner(2, 7)
    with pytest.raises(CheckpointError) as caught:
        fit('test', runner, state(other))
    text = str(caught.value)
    assert '2 of the 8 weights' in text and '25 %' in text
    assert 'absent: 4 (2.weight' in text
    assert 'of another shape: 2 (1.weight (7, 7), wanted (3, 3)' in text


def test_a_partial_fit_is_a_warning_for_testing_and_an_error_for_resuming(caplog):
    runner = make_runner(2, 3, 4)
    checkpoint = state(make_runner(2, 3))
    with caplog.at_level(logging.WARNING):
        fit('test', runner, checkpoint)
    assert '4 of the 6 weights' in caplog.text
    with pytest.raises(CheckpointError, match='load_from=c.pth'):
        fit('resume', runner, checkpoint)


def test_start_weights_must_share_something(caplog):
    fit('load', make_runner(2, 3, 4), state(make_runner(2)))
    with pytest.raises(CheckpointError, match='0 of the 6'):
        fit('load', make_runner(2, 3, 4), state(make_runner(9)))


def test_weights_alone_cannot_be_resumed_from():
    runner = make_runner(2)
    with pytest.raises(CheckpointError, match='weights alone') as caught:
        fit('resume', runner, runner.model.state_dict())
    assert 'load_from=c.pth' in str(caught.value)


def test_weights_saved_by_several_processes_fit():
    runner = make_runner(2)
    weights = {f'module.{k}': v for k, v in runner.model.state_dict().items()}
    fit('test', runner, dict(state_dict=weights))
    with pytest.raises(CheckpointError):
        fit('test', runner, dict(state_dict={f'x.{k}': 0 for k in weights}))
