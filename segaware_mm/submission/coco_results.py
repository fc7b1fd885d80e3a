"""COCO's result files: one list of entries with masks as run lengths, in a zip.

The staging tree has a file for every image; packing joins them to one. What an entry is,
and what can be wrong with it, says :mod:`segaware_mm.submission.coco_entries`.
"""

import json
import os
import re
from functools import partial
from json import JSONDecoder
from pathlib import Path
from typing import Any, Iterator, List, Optional, Sequence

from ..utils.files import discard, part_of, remove_parts
from ..utils.rle import Rle
from .archive import LITTER, Archive, check_archive, check_suffix, write_archive
from .coco_entries import Entries, ResultsFormat
from .images import TestImage
from .problem import Problem, SubmissionError
from .target import PathLike, reason, require_done, stage_file

NAME = r'[A-Za-z0-9][A-Za-z0-9_.-]*'
#: The part of the test set that is packed for, and all that COCO's servers know.
SPLIT, SPLITS = 'test-dev2017', ('test-dev2017', 'test-challenge2017', 'val2017')
SPACE = re.compile(r'[ \t\r\n]*')


def plain_rle(mask: Rle) -> Rle:
    """Return an RLE as JSON has it: counts are text."""
    counts = mask['counts']
    return {'size': [int(n) for n in mask['size']],
            'counts': counts.decode('ascii') if isinstance(counts, bytes) else counts}


def stage_entries(folder: PathLike, image: TestImage, entries: Sequence[dict]) -> None:
    """Write the entries of an image into the staging tree."""
    content = json.dumps(list(entries), separators=(',', ':'), allow_nan=False)
    stage_file(_staged(folder, image), content.encode('ascii'), image)


def is_done(folder: PathLike, image: TestImage) -> bool:
    """Return whether the entries of an image are there; files appear whole."""
    return _staged(folder, image).is_file()


def pack(form: ResultsFormat, folder: PathLike, images: Sequence[TestImage],
         out: PathLike, name: str) -> None:
    """Write the archive; see ``Target.pack``.

    Raises:
        SubmissionError: An image that is missing, a name that the server cannot take,
            another end of the archive's name, a full disk.
    """
    check(form, out, name)
    require_done(folder, images, is_done)
    part = part_of(Path(folder) / form.file.format(name))
    remove_parts(folder, of=form.file.format(name))
    try:
        _join((_staged(folder, image) for image in images), part)
        write_archive(out, {form.file.format(name): part})
    except OSError as error:
        raise SubmissionError(
            f'the entries of all images cannot be joined in {part.parent}: '
            f'{reason(error)}. No archive is written. Images that are finished are kept: '
            'run the same command again to go on.') from error
    finally:
        discard(part)


def check(form: ResultsFormat, out: PathLike, name: str) -> None:
    """Refuse names that the server cannot take; see ``Target.check``.

    Raises:
        SubmissionError: Says which it takes.
    """
    check_suffix(out, 'zip', form.server)
    if not re.fullmatch(NAME, name or ''):
        raise SubmissionError(
            f'the name of the submission is {name!r}; it becomes a part of the name of '
            f'the file ({form.file.format("NAME")}), and must be letters and digits '
            'of ASCII, and, behind the first, "-", "." and "_" (--name).')


def validate(form: ResultsFormat, path: PathLike,
             images: Optional[Sequence[TestImage]] = None) -> List[Problem]:
    """Return what is wrong with an archive; see ``Target.validate``."""
    return check_archive(path, 'zip', partial(_check, form, images))


def _staged(folder: PathLike, image: TestImage) -> Path:
    return Path(folder) / f'{image.name}.json'


def _join(paths: Iterator[Path], out: Path) -> None:
    """Join lists of entries to one, a file at a time."""
    with out.open('wb') as file:
        file.write(b'[')
        first = True
        for path in paths:
            entries = path.read_bytes()[1:-1]
            if entries:
                file.write(entries if first else b',\n' + entries)
                first = False
        file.write(b']\n')
        file.flush()
        os.fsync(file.fileno())


def _check(form: ResultsFormat, images: Optional[Sequence[TestImage]],
           archive: Archive) -> Iterator[Problem]:
    pattern = re.escape(form.file).replace(re.escape('{}'), NAME)
    pattern = pattern.replace(re.escape(SPLIT), f'(?:{"|".join(map(re.escape, SPLITS))})')
    shown = form.file.format('NAME')
    found = [name for name in archive.names
             if name.endswith('.json') and not LITTER.fullmatch(name)]
    for name in archive.names:
        if name not in found:
            yield Problem(name, f'is no part of a submission to {form.server}',
                          'pack the result file alone')
        elif '/' in name:
            yield Problem(name, 'lies in a folder', 'pack the file itself, at the top')
        elif not re.fullmatch(pattern, name):
            yield Problem(name, f'is not named {shown}',
                          'rename it; NAME is that of your submission')
    if len(found) != 1:
        yield Problem(archive.path.name, f'has {len(found)} result files, {form.server} '
                      'takes one', f'pack {shown} alone')
    for name, content in archive.items(found):
        yield from _check_file(form, images, name, content)


def _check_file(form: ResultsFormat, images: Optional[Sequence[TestImage]], name: str,
                content: bytes) -> Iterator[Problem]:
    other = SPLIT not in name
    entries = Entries(form._replace(count=None) if other else form, images)
    try:
        for number, entry in enumerate(read_entries(content.decode('utf-8'))):
            entries.add(number, entry)
    except UnicodeDecodeError as error:
        yield Problem(name, f'is no UTF-8 text: {error}', 'write it as JSON')
    except BrokenList as error:
        yield Problem(name, str(error), 'write one JSON list of entries')
    else:
        yield from (Problem(name, *one) for one in entries.whole_file())
    yield from (Problem(name, *one) for one in entries.problems())


class BrokenList(ValueError):
    """Text that is no JSON list."""


def read_entries(text: str) -> Iterator[Any]:
    """Yield the entries of a JSON list, one at a time.

    Raises:
        BrokenList: It is no list, or ends too early; says where.
    """
    place = SPACE.match(text).end()
    if text[place:place + 1] != '[':
        kind = 'an object' if text[place:place + 1] == '{' else 'no list'
        raise BrokenList(f'is {kind}, not a list of entries' if text.strip() else
                         'is empty')
    decoder = JSONDecoder()
    place = SPACE.match(text, place + 1).end()
    number = 0
    while number or text[place:place + 1] != ']':
        try:
            entry, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            raise BrokenList(f'is no JSON, or only the half of it: entry {number} cannot '
                             f'be read ({error})') from error
        yield entry
        place = SPACE.match(text, place).end()
        if text[place:place + 1] == ']':
            break
        if text[place:place + 1] != ',':
            raise BrokenList('is no JSON, or only the half of it: after entry '
                             f'{number} neither "," nor "]" follows')
        place = SPACE.match(text, place + 1).end()
        number += 1
    if text[place + 1:].strip():
        raise BrokenList('has text after the list')
