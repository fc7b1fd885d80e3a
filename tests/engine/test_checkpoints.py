"""Checkpoints: whole files alone, and the last of them."""

import os

import mmengine.fileio as fileio
import pytest
import torch
from mmengine.runner import save_checkpoint

from segaware_mm.engine.atomic import AtomicLocalBackend, use_atomic_writes
from segaware_mm.engine.checkpoints import check_file, is_whole, latest_checkpoint
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


def test_a_copied_work_dir_resumes_from_itself(tmp_path):
    """The pointer still names the file in the place it was copied from."""
    for name in ('old', 'new'):
        (tmp_path / name).mkdir()
        save(tmp_path / name / 'iter_4.pth')
        (tmp_path / name / 'last_checkpoint').write_text(
            str(tmp_path / 'old' / 'iter_4.pth'))
    assert latest_checkpoint(str(tmp_path / 'new')) == str(
        tmp_path / 'new' / 'iter_4.pth')


def test_a_checkpoint_in_another_folder_is_found(tmp_path):
    (tmp_path / 'work').mkdir()
    other = save(tmp_path / 'iter_4.pth')  # out_dir of the CheckpointHook
    (tmp_path / 'work' / 'last_checkpoint').write_text(other)
    assert latest_checkpoint(str(tmp_path / 'work')) == other


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
