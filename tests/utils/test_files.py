"""Files are written whole, and what a kill left is removed."""

import os

import pytest

from segaware_mm.utils.files import remove_parts, write_atomic


def test_half_written_file_never_lies_under_its_name(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(OSError, match='No space'):
        write_atomic(tmp_path / 'a.png', b'abc')
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_and_old_content_replaced(tmp_path):
    for content in (b'old', b'new'):
        write_atomic(tmp_path / 'a' / 'b.txt', content)
    assert (tmp_path / 'a' / 'b.txt').read_bytes() == b'new'
    assert os.listdir(tmp_path / 'a') == ['b.txt']


def test_leftovers_of_a_killed_write_are_removed(tmp_path):
    (tmp_path / 'deep').mkdir()
    for name in ('.iter_4.pth.123.part', 'keep.part', 'deep/.a.png.7.part'):
        (tmp_path / name).touch()
    assert remove_parts(tmp_path) == [tmp_path / '.iter_4.pth.123.part']
    assert remove_parts(tmp_path, deep=True) == [tmp_path / 'deep' / '.a.png.7.part']
    assert sorted(os.listdir(tmp_path)) == ['deep', 'keep.part']
    assert remove_parts(tmp_path / 'no') == []
