"""Targets whose archive has one label image for every image: what they share.

A target's staging tree is the tree of its archive.
"""

import posixpath
import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np

from .archive import (
    LITTER,
    SUFFIXES,
    Archive,
    check_archive,
    check_suffix,
    write_archive,
)
from .images import TestImage
from .label_image import encode_labels, is_whole, read_labels
from .predictions import class_ids, server_map
from .problem import Problem
from .target import PathLike, Target, require_done, stage_file

#: What is wrong with the ids of an image, and how to mend it.
Finding = Tuple[str, str]


class LabelFormat(NamedTuple):
    """What a server of label images takes.

    Attributes:
        name: Of the target.
        server: Its name, for messages.
        kind: Of the archive, 'zip' or 'tgz'.
        folder: Where the label images lie in the archive, '' for the top.
        anywhere: The server finds them in any folder.
        pattern: Names of the test set's images (:mod:`segaware_mm.submission.images`).
        file_pattern: What file names match; its group ``name`` is the image.
        official: What the image names of the official test set match; '' for any.
        ids: {class name: id}.
        none: Id of pixels without a class, None where there is none.
        count: Images of the official test set, or None.
        size: (H, W) of all of them, or None.
        palette: RGB of 256 ids where the PNGs are indexed, None where they are grey.
        find: ``{id: pixels} -> findings`` about the ids of an image.
    """

    name: str
    server: str
    kind: str
    folder: str
    anywhere: bool
    pattern: str
    file_pattern: str
    official: str
    ids: Mapping[str, int]
    none: Optional[int]
    count: Optional[int]
    size: Optional[Tuple[int, int]]
    palette: Optional[bytes]
    find: Callable[[Mapping[int, int]], Iterable[Finding]]


def label_target(form: LabelFormat) -> Target:
    """Return the target of a format."""
    return Target(form.name, 'semantic', SUFFIXES[form.kind][0], form.count, form.pattern,
                  *(partial(one, form)
                    for one in (write, is_done, pack, validate, check, ids_of)))


def write(form: LabelFormat, folder: PathLike, image: TestImage, prediction: np.ndarray,
          classes: Sequence[str]) -> None:
    """Write the label image of a prediction; see ``Target.write``.

    Raises:
        SubmissionError: Unknown classes, another size, a full disk.
    """
    labels = server_map(prediction, image, ids_of(form, classes), form.none)
    stage_file(_staged(form, folder, image), encode_labels(labels, form.palette), image)


def is_done(form: LabelFormat, folder: PathLike, image: TestImage) -> bool:
    """Return whether the label image is there, whole and of the right size."""
    return is_whole(_staged(form, folder, image), image.height, image.width)


def pack(form: LabelFormat, folder: PathLike, images: Sequence[TestImage], out: PathLike,
         name: str = '') -> None:
    """Write the archive; see ``Target.pack``. The name of the submission is not used.

    Raises:
        SubmissionError: An image that is missing, another end of the name, a full disk.
    """
    check(form, out)
    require_done(folder, images, partial(is_done, form))
    write_archive(out, {posixpath.join(form.folder, f'{one.name}.png'):
                        _staged(form, folder, one) for one in images})


def check(form: LabelFormat, out: PathLike, name: str = '') -> None:
    """Refuse another end of the archive's name; see ``Target.check``.

    Raises:
        SubmissionError: Says which ends the server takes.
    """
    check_suffix(out, form.kind, form.server)


def ids_of(form: LabelFormat, classes: Sequence[str]) -> List[int]:
    """Return the server's ids of classes; see ``Target.class_ids``.

    Raises:
        SubmissionError: Classes that the server does not know.
    """
    return class_ids(classes, form.ids, form.server)


def validate(form: LabelFormat, path: PathLike,
             images: Optional[Sequence[TestImage]] = None) -> List[Problem]:
    """Return what is wrong with an archive; see ``Target.validate``."""
    return check_archive(path, form.kind, partial(_check, form, images))


def _staged(form: LabelFormat, folder: PathLike, image: TestImage) -> Path:
    return Path(folder, form.folder, f'{image.name}.png')


def _check(form: LabelFormat, images: Optional[Sequence[TestImage]],
           archive: Archive) -> Iterator[Problem]:
    known = None if images is None else {one.name: one for one in images}
    files = {name: _image_of(form, name) for name in archive.names}
    owners: Dict[str, str] = {}
    for name, image in files.items():
        if image is None or not (_official(form, image) if known is None else
                                 image in known):
            yield _stranger(form, name, image)
        elif owners.setdefault(image, name) != name:
            yield Problem(name, f'is a second file of the image {image}, beside '
                          f'{owners[image]}', 'keep one of them')
    if not form.anywhere:
        yield from _misplaced(form, archive, owners.values())
    yield from _absent(form, archive, owners, known)
    for name, content in archive.items(owners.values()):
        image = None if known is None else known[str(files[name])]
        size = form.size if image is None else (image.height, image.width)
        labels, problems = read_labels(name, content, form.palette, size)
        yield from problems
        if labels is not None and labels.size:
            pixels = np.bincount(labels.ravel(), minlength=256)
            there = {int(one): int(pixels[one]) for one in np.flatnonzero(pixels)}
            yield from (Problem(name, *one) for one in form.find(there))


def _image_of(form: LabelFormat, name: str) -> Optional[str]:
    match = re.fullmatch(form.file_pattern, posixpath.basename(name))
    return match['name'] if match and not LITTER.fullmatch(name) else None


def _official(form: LabelFormat, image: str) -> bool:
    return not form.official or re.fullmatch(form.official, image) is not None


def _stranger(form: LabelFormat, name: str, image: Optional[str]) -> Problem:
    """Return the problem of a file that is no label image of the test set."""
    if LITTER.fullmatch(name):
        return Problem(name, 'is no part of a submission', 'delete it')
    if image is None:
        return Problem(name, f'is no name of a label image of {form.server}',
                       'name it as its image is named, with .png, or delete it')
    return Problem(name, f'{image} is no image of the test set',
                   'delete it, or name it as the image is named')


def _misplaced(form: LabelFormat, archive: Archive,
               names: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for every folder but the right one that has label images."""
    folders = Counter(map(posixpath.dirname, names))
    wanted = f'in the folder {form.folder}' if form.folder else 'at the top'
    for folder, count in folders.items():
        if folder != form.folder:
            where = f'{folder}/' if folder else archive.path.name
            yield Problem(where, f'{count} label images lie here, those of {form.server} '
                          f'belong {wanted}', f'pack them {wanted} of the archive')


def _absent(form: LabelFormat, archive: Archive, there: Mapping[str, str],
            known: Optional[Mapping[str, TestImage]]) -> Iterator[Problem]:
    """Yield a problem for every image that has no file, or one for a wrong number."""
    if known is not None:
        for image in sorted(set(known) - set(there)):
            yield Problem(posixpath.join(form.folder, f'{image}.png'), 'is missing',
                          'predict this image and pack again')
    elif form.count is not None and len(there) != form.count:
        yield Problem(archive.path.name, f'has {len(there)} label images, the test set '
                      f'of {form.server} has {form.count} images',
                      'predict the whole test set and nothing else')
    elif not there:
        yield Problem(archive.path.name, 'has no label image',
                      'predict the test set and pack again')


def describe(ids: Mapping[int, int]) -> str:
    """Return ids and their pixels for a finding: 'the id 40 (12 pixels)'."""
    first = next(iter(ids))
    more = f' and {len(ids) - 1} ids more' if len(ids) > 1 else ''
    return f'the id {first} ({ids[first]} pixels){more}'
