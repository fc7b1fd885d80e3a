"""Archives are read without unpacking, and are written whole or not at all."""

import errno
import gzip
import multiprocessing
import os
import signal
import tarfile
import zipfile

import pytest

from segaware_mm.submission import archive as module
from segaware_mm.submission.archive import (
    ArchiveError,
    check_archive,
    check_place,
    open_archive,
    write_archive,
)
from segaware_mm.submission.problem import Problem, SubmissionError

FILES = {'b/x.png': b'x' * 300, 'a.txt': b'text', 'b/c/y.json': b'{}' * 5000}


@pytest.fixture(params=['files.zip', 'files.tgz', 'files.tar.gz', 'tree', 'files.tar'])
def packed(request, tmp_path):
    """The same files in every form that is read."""
    path = tmp_path / request.param
    if path.suffix == '':
        for name, content in FILES.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    elif path.suffix == '.tar':
        write_archive(tmp_path / 'files.tgz', FILES)
        path.write_bytes(gzip.decompress((tmp_path / 'files.tgz').read_bytes()))
    else:
        write_archive(path, FILES)
    return path


def nothing(_):
    return []


def test_every_form_has_the_same_names_and_contents(packed):
    with open_archive(packed) as archive:
        assert archive.names == sorted(FILES)
        assert {name: archive.read(name) for name in archive.names} == FILES
        assert dict(archive.items(['a.txt', 'b/x.png', 'no'])) == {
            'a.txt': b'text', 'b/x.png': FILES['b/x.png']}
        assert archive.problems == []
        with pytest.raises(KeyError):
            archive.read('no')


@pytest.mark.parametrize('name', ['a.zip', 'a.tgz'])
def test_archives_depend_on_names_and_contents_alone(tmp_path, name):
    source = tmp_path / 'x.png'
    source.write_bytes(FILES['b/x.png'])
    os.utime(source, (1, 1))
    write_archive(tmp_path / 'one' / name, FILES)
    write_archive(tmp_path / 'two' / name, {
        'b/c/y.json': FILES['b/c/y.json'], 'b/x.png': source, 'a.txt': b'text'})
    one, two = ((tmp_path / where / name).read_bytes() for where in ('one', 'two'))
    assert one == two


def test_archive_replaces_an_older_one_and_removes_what_a_kill_left(tmp_path):
    for leftover in ('.a.zip.77.part', '.b.zip.77.part'):
        (tmp_path / leftover).touch()
    (tmp_path / 'a.zip').write_text('old')
    write_archive(tmp_path / 'a.zip', FILES)
    assert sorted(os.listdir(tmp_path)) == ['.b.zip.77.part', 'a.zip']
    assert zipfile.ZipFile(tmp_path / 'a.zip').testzip() is None


def test_name_of_an_archive_must_say_its_kind(tmp_path):
    with pytest.raises(SubmissionError, match=r'a.rar is no name of an archive: it must '
                                              r'end in one of .zip, .tgz, .tar.gz.'):
        write_archive(tmp_path / 'a.rar', FILES)


class FullDisk:
    """A file on a disk that has room for some bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, 'No space left on device')
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


@pytest.mark.parametrize('name', ['a.zip', 'a.tgz'])
@pytest.mark.parametrize('older', [True, False])
@pytest.mark.parametrize('room, place', [
    (0, 'a.txt|the start'), (150, 'b/c/y.json|the end'), (None, 'the end')])
def test_full_disk_leaves_no_half_archive(tmp_path, monkeypatch, name, older, room,
                                          place):
    out = tmp_path / name
    if older:
        out.write_bytes(b'older')

    def full(path, mode='r'):
        file = open(path, mode)
        return FullDisk(file, room) if 'w' in mode else file

    def sync(_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    if room is None:
        monkeypatch.setattr(os, 'fsync', sync)
    else:
        monkeypatch.setattr(module, 'open', full, raising=False)
    with pytest.raises(SubmissionError, match=(
            rf'{name} cannot be written, stopped at ({place}).*: No space left on device '
            r'\(free some space\)\. No half archive is left\. Images that are finished '
            r'are kept: run the same command again')):
        write_archive(out, FILES)
    assert os.listdir(tmp_path) == ([name] if older else [])
    assert not older or out.read_bytes() == b'older'


@pytest.mark.parametrize('name', ['a.zip', 'a.tgz'])
def test_full_disk_names_the_file_that_it_stopped_at(tmp_path, monkeypatch, name):
    def full(source, target):
        if len(source.read()) > 1000:
            raise OSError(errno.EDQUOT, 'Disk quota exceeded')

    monkeypatch.setattr(module.shutil, 'copyfileobj', full)
    monkeypatch.setattr(module.tarfile.TarFile, 'addfile', lambda _, info, file: full(
        file, None))
    with pytest.raises(SubmissionError, match=r'stopped at b/c/y.json \(file 2 of 3\): '
                                              r'Disk quota exceeded \(free some space\)'):
        write_archive(tmp_path / name, FILES)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('name', ['a.zip', 'a.tgz'])
def test_kill_leaves_no_half_archive_and_the_next_run_cleans_up(tmp_path, name):
    class Killer(dict):
        def __getitem__(self, key):
            if key == 'k':
                os.kill(os.getpid(), signal.SIGKILL)
            return os.urandom(1 << 20)

    process = multiprocessing.get_context('fork').Process(
        target=write_archive, args=(tmp_path / name, Killer.fromkeys('ijk')))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    left, = os.listdir(tmp_path)
    assert left.startswith(f'.{name}.') and left.endswith('.part')
    assert (tmp_path / left).stat().st_size > 1 << 20
    write_archive(tmp_path / name, FILES)
    assert os.listdir(tmp_path) == [name]


def test_source_that_has_gone_is_named(tmp_path):
    with pytest.raises(SubmissionError,
                       match=r'stopped at b.png \(file 2 of 2\): No such file'):
        write_archive(tmp_path / 'a.zip', {'a.png': b'', 'b.png': tmp_path / 'gone.png'})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('name', ['a.zip', 'a.tgz'])
@pytest.mark.parametrize('part', [0.2, 0.6, 0.95])
def test_half_archive_is_a_problem(tmp_path, name, part):
    path = tmp_path / name
    write_archive(path, {**FILES, 'z.png': os.urandom(5000)})
    path.write_bytes(path.read_bytes()[:int(part * path.stat().st_size)])
    problem, = check_archive(path, path.suffix[1:], nothing)
    assert problem.file == name
    assert problem.what.startswith('is damaged, or only the half of an archive: ')
    assert problem.mend == 'pack it again'


@pytest.mark.parametrize('content, what', [
    (b'', 'is empty'), (b'no archive', 'is no archive'),
    (b'BZh91AY&SY', 'is compressed by bzip2'), (None, 'does not exist')])
def test_what_is_no_archive_is_a_problem(tmp_path, content, what):
    path = tmp_path / 'a.zip'
    if content is not None:
        path.write_bytes(content)
    problem, = check_archive(path, 'zip', nothing)
    assert problem.file == 'a.zip' and problem.what == what
    with pytest.raises(ArchiveError, match=f'a.zip: {what}; give '), open_archive(path):
        pass


def test_archive_that_may_not_be_read_is_a_problem(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, 'Permission denied')

    monkeypatch.setattr(module, 'open', refuse, raising=False)
    assert check_archive(tmp_path / 'a.zip', 'zip', nothing) == [
        Problem('a.zip', 'cannot be read: Permission denied', 'see to the file')]


def test_damaged_file_in_a_sound_archive_is_a_problem_and_others_are_read(tmp_path):
    path = tmp_path / 'a.zip'
    write_archive(path, {'a.png': b'A' * 50, 'b.png': b'B' * 50})
    path.write_bytes(path.read_bytes().replace(b'A' * 50, b'A' * 49 + b'C'))
    seen = []

    def check(archive):
        seen.extend(archive.items(archive.names))
        return [Problem('b.png', 'other', 'mend')]

    first, second = check_archive(path, 'zip', check)
    assert first.file == 'a.png' and 'Bad CRC-32' in first.what
    assert second.what == 'other'
    assert seen == [('b.png', b'B' * 50)]


def test_check_that_reads_a_damaged_file_keeps_what_it_has_found(tmp_path):
    path = tmp_path / 'a.zip'
    write_archive(path, {'a.png': b'A' * 50})
    path.write_bytes(path.read_bytes().replace(b'A' * 50, b'A' * 49 + b'C'))

    def check(archive):
        yield Problem('b.png', 'missing', 'mend')
        archive.read('a.png')

    assert [one.file for one in check_archive(path, 'zip', check)] == ['a.png', 'b.png']


@pytest.mark.parametrize('kind, name, wanted', [
    ('zip', 'a.tgz', [('a.tgz', 'is a tgz; the server takes a .zip')]),
    ('tgz', 'a.zip', [('a.zip', 'is a zip; the server takes a .tgz')]),
    ('tgz', 'a.tar.gz', []), ('zip', 'a.zip', [])])
def test_kind_must_be_the_servers(tmp_path, kind, name, wanted):
    write_archive(tmp_path / name, FILES)
    found = check_archive(tmp_path / name, kind, nothing)
    assert [(one.file, one.what) for one in found] == wanted


def test_tar_that_is_not_compressed_and_a_wrong_name_are_problems(packed):
    if packed.suffix == '.tar':
        problem, = check_archive(packed, 'tgz', nothing)
        assert problem.what == 'is a tar; the server takes a .tgz'
    elif packed.is_file():
        kind = 'zip' if packed.suffix == '.zip' else 'tgz'
        other = packed.rename(packed.with_name('files.dat'))
        problem, = check_archive(other, kind, nothing)
        assert problem.what.startswith('the name does not end in .')
    else:
        assert check_archive(packed, 'zip', nothing) == []


BAD_NAMES = [
    ('/etc/x.png', 'the name leads out of the archive'),
    ('../x.png', 'the name leads out of the archive'),
    ('a/../../x.png', 'the name leads out of the archive'),
    ('C:/x.png', 'the name leads out of the archive'),
    ('a\\x.png', 'the name has \\ between folders, where archives have /')]


@pytest.mark.parametrize('bad, what', BAD_NAMES)
@pytest.mark.parametrize('name', ['a.zip', 'a.tgz'])
def test_names_that_lead_out_of_the_archive_are_refused(tmp_path, name, bad, what):
    write_archive(tmp_path / name, {bad: b'1', './good.png': b'2'})
    with open_archive(tmp_path / name) as archive:
        assert archive.names == ['good.png']
        mend = 'write / into the names' if '\\' in bad else 'pack plain files alone'
        assert archive.problems == [Problem(bad, what, mend)]
    assert check_archive(tmp_path / name, name[2:], nothing) == archive.problems


@pytest.mark.parametrize('raw', [b'\xff\xfe.png', b''], ids=['no UTF-8', 'no name'])
def test_names_of_garbage_are_a_problem(tmp_path, raw):
    path = tmp_path / 'a.zip'
    with zipfile.ZipFile(path, 'w') as packed:
        packed.writestr('\u00e4' + 'a' * 4 if raw else 'b', b'1')
    content = path.read_bytes()
    if raw:  # of the same length
        content = content.replace(b'\xc3\xa4aaaa', raw)
    else:
        content = content.replace(b'PK\x01\x02\x14\x03', b'PK\x01\x02\xff\x03')
        content = content[:content.index(b'PK\x05\x06') - 20]
    path.write_bytes(content)
    problem, = check_archive(path, 'zip', nothing)
    assert problem.file == 'a.zip' and 'is damaged' in problem.what


def test_what_is_no_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / 'a.zip')
    problem, = check_archive(tmp_path / 'a.zip', 'zip', nothing)
    assert problem[:2] == ('a.zip', 'is no file')
    problem, = check_archive(tmp_path, 'zip', nothing)
    assert problem[:2] == ('a.zip', 'is a broken link or a device')


def test_places_that_cannot_be_written_are_told_first(tmp_path):
    check_place(tmp_path / 'new/a.zip')
    assert list((tmp_path / 'new').iterdir()) == []
    with pytest.raises(SubmissionError, match='new is a folder. Remove it, or'):
        check_place(tmp_path / 'new')
    (tmp_path / 'file').touch()
    with pytest.raises(SubmissionError, match=r'a.zip cannot be written: .*\(--out\)'):
        check_place(tmp_path / 'file/a.zip')
    with pytest.raises(SubmissionError, match='cannot be written: File name too long'):
        check_place(tmp_path / ('a' * 300 + '.zip'))


def test_why_a_file_cannot_be_written_is_not_hidden(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(SubmissionError, match='cannot be written, stopped at the start'):
        write_archive(tmp_path / 'file/a.zip', FILES)


def test_second_file_of_a_name_is_a_problem(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as packed, \
            pytest.warns(UserWarning, match='Duplicate'):
        for name in ('a.png', 'a.png', 'b/'):
            packed.writestr(name, name)
    problem, = check_archive(tmp_path / 'a.zip', 'zip', nothing)
    assert (problem.file, problem.what) == ('a.png', 'the archive has this file twice')


def test_links_and_encrypted_files_are_problems(tmp_path):
    with tarfile.open(tmp_path / 'a.tgz', 'w:gz') as packed:
        link = tarfile.TarInfo('link.png')
        link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
        packed.addfile(link)
    problem, = check_archive(tmp_path / 'a.tgz', 'tgz', nothing)
    assert (problem.file, problem.what) == ('link.png', 'is a link or a device')
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as packed:
        link = zipfile.ZipInfo('link.png')
        link.external_attr = 0o120777 << 16
        packed.writestr(link, '/etc/passwd')
        packed.writestr('locked.png', b'1')
    content = bytearray((tmp_path / 'a.zip').read_bytes())
    flags = content.rindex(b'PK\x01\x02') + 8
    content[flags] |= 1
    (tmp_path / 'a.zip').write_bytes(bytes(content))
    found = check_archive(tmp_path / 'a.zip', 'zip', nothing)
    assert [(one.file, one.what) for one in found] == [
        ('link.png', 'is a link'), ('locked.png', 'is encrypted')]
