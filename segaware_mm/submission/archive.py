"""Archives: read without unpacking, written whole or not at all.

A zip, a tar (.tgz) and a folder of the same tree are read through one interface,
:class:`Archive`. What is written depends on names and contents alone, not on the time.
"""

import gzip
import lzma
import os
import posixpath
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Tuple

from ..utils.files import discard, part_of, remove_parts
from .problem import Problem, SubmissionError, listed
from .target import PathLike, reason

#: Ends of the names of archives, by kind.
SUFFIXES = {'zip': ('.zip', ), 'tgz': ('.tgz', '.tar.gz')}
#: What the readers of the standard library raise for damaged files, names and numbers
#: of garbage among them.
DAMAGE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
          tarfile.TarError, NotImplementedError, RuntimeError, ValueError, LookupError,
          OverflowError, struct.error)
#: First bytes of what no server takes.
OTHERS = {b'BZh': 'compressed by bzip2', b'\xfd7zXZ': 'compressed by xz',
          b'7z\xbc\xaf': 'an archive of 7-Zip', b'Rar!': 'an archive of RAR'}
PLAIN = 'pack plain files alone'
#: Files that systems put into folders.
LITTER = re.compile(r'(.*/)?(__MACOSX/.*|\.DS_Store|Thumbs\.db|desktop\.ini|\._.*|'
                    r'\..*\.part)')


class ArchiveError(SubmissionError):
    """An archive, or a file in it, that cannot be read.

    Attributes:
        problem (Problem): The same as a problem.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Archive:
    """The files of an archive or folder. Open it by :func:`open_archive`.

    Attributes:
        path (Path): Where it lies.
        kind (str): 'zip', 'tgz', 'tar' or 'folder'.
        names (list[str]): Its files, sorted, with ``/`` between folders. Names that lead
            out of the archive, links and second files of a name are left out.
        problems (list[Problem]): Those left out, and files that :meth:`items` could not
            read.
    """

    def __init__(self, path: Path, kind: str, entries: Iterable[Tuple[str, Any, str]],
                 read: Callable[[Any], bytes]) -> None:
        self.path = path
        self.kind = kind
        self.problems: List[Problem] = []
        self._read = read
        # In the order of the archive: a tar is read fast in this order alone.
        self._entries: Dict[str, Any] = {}
        for raw, entry, flaw in entries:
            name = posixpath.normpath(raw)
            flaw, mend = (flaw, PLAIN) if flaw else _flaw_of(raw)
            if flaw:
                self.problems.append(Problem(raw, flaw, mend))
            elif name in self._entries:
                self.problems.append(Problem(name, 'the archive has this file twice',
                                             'keep one of them'))
            else:
                self._entries[name] = entry
        self.names = sorted(self._entries)

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            ArchiveError: It is damaged.
            KeyError: There is none.
        """
        entry = self._entries[name]
        try:
            return self._read(entry)
        except DAMAGE as error:
            raise ArchiveError(Problem(name, f'cannot be read: {error}',
                                       'pack it again')) from error

    def items(self, names: Iterable[str]) -> Iterator[Tuple[str, bytes]]:
        """Yield name and content of files, in the order of the archive.

        Files that are damaged are left out, and added to ``problems``.
        """
        wanted = set(names)
        for name in self._entries:
            if name in wanted:
                try:
                    yield name, self.read(name)
                except ArchiveError as error:
                    self.problems.append(error.problem)


@contextmanager
def open_archive(path: PathLike) -> Iterator[Archive]:
    """Open a zip, a tar or a folder; its content decides which.

    Raises:
        ArchiveError: It is absent, damaged, or something else.
    """
    path = Path(path)
    with ExitStack() as stack:
        yield _opened(path, stack)


def check_archive(path: PathLike, kind: str,
                  check: Callable[[Archive], Iterable[Problem]]) -> List[Problem]:
    """Return the problems of an archive: its own, and those that ``check`` finds.

    Args:
        path: An archive, or a folder of the same tree.
        kind: What the server takes, 'zip' or 'tgz'.
        check: Looks at the files.

    Returns:
        list[Problem]: Sorted by file.
    """
    problems: List[Problem] = []
    try:
        with open_archive(path) as archive:
            problems.extend(_kind_problems(archive, kind))
            problems.extend(archive.problems)
            for one in check(archive):
                problems.append(one)
            problems.extend(archive.problems)
    except ArchiveError as error:
        problems.append(error.problem)
    return listed(problems)


def check_suffix(out: PathLike, kind: str, server: str) -> None:
    """Raise unless the name of an archive says what the server takes.

    Args:
        out: The archive.
        kind: 'zip' or 'tgz'.
        server: Its name, for the message.

    Raises:
        SubmissionError: Another end of the name.
    """
    ends = SUFFIXES[kind]
    if not str(out).endswith(ends):
        raise SubmissionError(f'{out} does not end in {" or ".join(ends)}, which '
                              f'{server} takes.')


def check_place(out: PathLike) -> None:
    """Raise unless a file of this name can be written: asked before hours of work.

    Raises:
        SubmissionError: It is a folder, or cannot be written; says why.
    """
    out = Path(out)
    if os.path.isdir(out):
        raise SubmissionError(f'{out} is a folder. Remove it, or give the archive '
                              'another name (--out).')
    probe = part_of(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
    except OSError as error:
        raise SubmissionError(f'{out} cannot be written: {reason(error)}. Mend that, or '
                              'give another name (--out).') from error
    finally:
        discard(probe)


def write_archive(out: PathLike, files: Mapping[str, Any]) -> None:
    """Write a zip or .tgz; no half archive ever lies under its name.

    What killed runs left of the same archive is removed.

    Args:
        out: Its end decides what is written.
        files: {name in the archive: path of the file, or its content as bytes}.

    Raises:
        SubmissionError: Another end of the name, or a disk that is full or cannot be
            written; says at which file.
    """
    out = Path(out)
    writer = {'zip': _write_zip, 'tgz': _write_tgz}[_kind_of_name(out)]
    part = part_of(out)
    place = ['the start']

    def told() -> Iterator[Tuple[str, Any]]:
        for number, name in enumerate(sorted(files), 1):
            place[0] = f'{name} (file {number} of {len(files)})'
            yield name, files[name]
        place[0] = 'the end'

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_parts(out.parent, of=out.name)
        with open(part, 'wb') as file:
            writer(file, told())
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, out)
    except OSError as error:
        raise SubmissionError(
            f'{out} cannot be written, stopped at {place[0]}: {reason(error)}. No half '
            'archive is left. Images that are finished are kept: run the same command '
            'again to go on.') from error
    finally:
        discard(part)


def _flaw_of(raw: str) -> Tuple[str, str]:
    """Return why a name is not taken and how to mend it; '' where it is."""
    if raw.startswith('/') or '..' in raw.split('/') or re.match(r'[A-Za-z]:', raw):
        return 'the name leads out of the archive', PLAIN
    if '\\' in raw:
        return ('the name has \\ between folders, where archives have /',
                'write / into the names')
    return '', ''


def _opened(path: Path, stack: ExitStack) -> Archive:
    if os.path.isdir(path):
        files = [Path(root, name) for root, _, names in os.walk(path) for name in names]
        return Archive(path, 'folder', (
            (one.relative_to(path).as_posix(), one,
             '' if one.is_file() else 'is a broken link or a device')
            for one in sorted(files)), Path.read_bytes)
    if os.path.exists(path) and not os.path.isfile(path):  # to read a pipe is to wait
        raise ArchiveError(Problem(path.name, 'is no file',
                                   'give an archive, or a folder of its tree'))
    try:
        with open(path, 'rb') as file:
            head = file.read(512)
        if head[:2] == b'PK':
            packed = stack.enter_context(zipfile.ZipFile(path))
            return Archive(path, 'zip', _zip_entries(packed), packed.read)
        stream: Any = None
        if head[:2] == b'\x1f\x8b':
            stream = stack.enter_context(gzip.open(path))
        elif head[257:262] == b'ustar':
            stream = stack.enter_context(open(path, 'rb'))
        if stream is not None:
            return _opened_tar(path, stream, stack)
    except DAMAGE as error:
        flaw = f'is damaged, or only the half of an archive: {error}', 'pack it again'
        if isinstance(error, FileNotFoundError):
            flaw = 'does not exist', 'give the archive, or a folder of its tree'
        elif getattr(error, 'errno', None):
            flaw = f'cannot be read: {reason(error)}', 'see to the file'
        raise ArchiveError(Problem(path.name, *flaw)) from error
    kind = next((what for start, what in OTHERS.items() if head.startswith(start)),
                'no archive' if head else 'empty')
    raise ArchiveError(Problem(path.name, f'is {kind}',
                               'give a .zip or .tgz, or a folder of its tree'))


def _opened_tar(path: Path, stream: IO[bytes], stack: ExitStack) -> Archive:
    tar = stack.enter_context(tarfile.open(fileobj=stream))
    members = tar.getmembers()
    while stream.read(1 << 20):  # to the end, where gzip compares its checksum
        pass
    entries = ((one.name, one, '' if one.isfile() else 'is a link or a device')
               for one in members if not one.isdir())
    kind = 'tgz' if isinstance(stream, gzip.GzipFile) else 'tar'
    return Archive(path, kind, entries, lambda one: tar.extractfile(one).read())


def _zip_entries(packed: zipfile.ZipFile) -> Iterator[Tuple[str, Any, str]]:
    for one in packed.infolist():
        flaw = ''
        if stat.S_ISLNK(one.external_attr >> 16):
            flaw = 'is a link'
        elif one.flag_bits & 1:
            flaw = 'is encrypted'
        if not one.is_dir():
            yield one.filename, one, flaw


def _kind_problems(archive: Archive, kind: str) -> Iterator[Problem]:
    """Yield what is wrong with the archive's kind and name."""
    if archive.kind == 'folder':
        return
    ends = SUFFIXES[kind]
    if archive.kind != kind:
        yield Problem(archive.path.name, f'is a {archive.kind}; the server takes a '
                      f'{ends[0]}', f'pack the same files as a {ends[0]}')
    elif not archive.path.name.endswith(ends):
        yield Problem(archive.path.name, f'the name does not end in {" or ".join(ends)}',
                      'rename it')


def _kind_of_name(out: Path) -> str:
    for kind, ends in SUFFIXES.items():
        if out.name.endswith(ends):
            return kind
    every = ', '.join(end for ends in SUFFIXES.values() for end in ends)
    raise SubmissionError(f'{out} is no name of an archive: it must end in one of '
                          f'{every}.')


def _size(content: Any) -> int:
    return len(content) if isinstance(content, bytes) else os.path.getsize(content)


def _stream(content: Any) -> IO[bytes]:
    return BytesIO(content) if isinstance(content, bytes) else open(content, 'rb')


def _write_zip(file: IO[bytes], files: Iterable[Tuple[str, Any]]) -> None:
    with zipfile.ZipFile(file, 'w') as packed:
        for name, content in files:
            info = zipfile.ZipInfo(name)  # its time is 1980
            info.external_attr = 0o644 << 16
            info.create_system = 3
            info.file_size = _size(content)
            # A PNG is compressed already.
            info.compress_type = (zipfile.ZIP_STORED if name.endswith('.png') else
                                  zipfile.ZIP_DEFLATED)
            with _stream(content) as source, packed.open(info, 'w') as target:
                shutil.copyfileobj(source, target)


def _write_tgz(file: IO[bytes], files: Iterable[Tuple[str, Any]]) -> None:
    with gzip.GzipFile('', 'wb', 6, file, mtime=0) as stream, \
            tarfile.open(fileobj=stream, mode='w', format=tarfile.PAX_FORMAT) as packed:
        for name, content in files:
            info = tarfile.TarInfo(name)  # its time is 1970
            info.size = _size(content)
            with _stream(content) as source:
                packed.addfile(info, source)
