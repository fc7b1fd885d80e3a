"""Cityscapes, instance-level semantic labelling: a zip of text files and masks.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding" (CVPR
2016). ``IMAGE_pred.txt`` has a line for every instance: the file of its mask, its label
id, its confidence in [0, 1], with one blank between. A mask is a PNG of the image's size,
255 inside and 0 outside (the evaluator takes any value but 0). Masks may overlap; an
image may be without instances, its text file is empty.
"""

import posixpath
import re
from functools import partial
from pathlib import Path
from typing import Collection, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from .archive import LITTER, Archive, check_archive, check_suffix, write_archive
from .cityscapes_pixel import FORMAT as PIXEL
from .images import TestImage
from .instances import server_instances
from .label_image import encode_labels, is_whole, read_labels
from .predictions import Instances, class_ids
from .problem import Problem, SubmissionError
from .target import PathLike, Target, require_done, stage_file

SERVER = 'Cityscapes (instance level)'
#: The classes that have instances and are evaluated.
IDS = {name: PIXEL.ids[name] for name in (
    'person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')}
ids_of = partial(class_ids, known=IDS, server=SERVER)
TRAIN_IDS = range(11, 19)
INSIDE = 255
#: The evaluator takes any text file whose name begins with that of the image.
TEXT = re.compile(r'(?P<name>[A-Za-z-]+_\d{6}_\d{6}).*\.txt')
MASK_MEND = ('write masks as grey PNGs of 8 bits and of the size of the image: 255 '
             'inside, 0 outside')


def write(folder: PathLike, image: TestImage, prediction: Instances,
          classes: Sequence[str]) -> None:
    """Write masks, then the text file of an image; see ``Target.write``.

    Raises:
        TypeError, SubmissionError: Unknown classes, masks of another size, scores
            outside [0, 1], a full disk.
    """
    from pycocotools import mask as coco
    found = server_instances(prediction, image, ids_of(classes))
    wrong = [one.score for one in found if not 0 <= one.score <= 1]
    if wrong:
        raise SubmissionError(f'the prediction of {image.name} has the score {wrong[0]}; '
                              'confidences must be in [0, 1].')
    folder = Path(folder)
    _forget(folder, image)
    lines = []
    for number, one in enumerate(found):
        name = f'{image.name}_{number:03}.png'
        stage_file(folder / name, encode_labels(coco.decode(one.mask) * INSIDE), image)
        lines.append(f'{name} {one.category} {one.score!r}\n')
    stage_file(_staged(folder, image), ''.join(lines).encode('ascii'), image)


def is_done(folder: PathLike, image: TestImage) -> bool:
    """Return whether the text file and the masks that it names are there and whole."""
    masks = _staged_masks(folder, image)
    return masks is not None and all(
        is_whole(Path(folder) / name, image.height, image.width) for name in masks)


def pack(folder: PathLike, images: Sequence[TestImage], out: PathLike,
         name: str = '') -> None:
    """Write the archive; see ``Target.pack``. The name of the submission is not used.

    Raises:
        SubmissionError: An image that is missing, another end of the name, a full disk.
    """
    check(out)
    require_done(folder, images, is_done)
    names = [one for image in images
             for one in (_staged(folder, image).name, *_staged_masks(folder, image))]
    write_archive(out, {one: Path(folder) / one for one in names})


def check(out: PathLike, name: str = '') -> None:
    """Refuse another end of the archive's name; see ``Target.check``.

    Raises:
        SubmissionError: Says which end the server takes.
    """
    check_suffix(out, 'zip', SERVER)


def validate(path: PathLike,
             images: Optional[Sequence[TestImage]] = None) -> List[Problem]:
    """Return what is wrong with an archive; see ``Target.validate``."""
    return check_archive(path, 'zip', partial(_check, images))


def _staged(folder: PathLike, image: TestImage) -> Path:
    return Path(folder) / f'{image.name}_pred.txt'


def _staged_masks(folder: PathLike, image: TestImage) -> Optional[List[str]]:
    """Return the masks that the text file of an image names, None without the file."""
    try:
        lines = _staged(folder, image).read_text(encoding='ascii').splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return [line.split(' ')[0] for line in lines]


def _forget(folder: Path, image: TestImage) -> None:
    """Remove what an earlier run wrote for an image, first what says that it is done."""
    _staged(folder, image).unlink(missing_ok=True)
    for path in folder.glob(f'{image.name}_[0-9][0-9][0-9]*.png'):
        path.unlink(missing_ok=True)  # other processes may do the same


def _check(images: Optional[Sequence[TestImage]], archive: Archive) -> Iterator[Problem]:
    known = None if images is None else {one.name: one for one in images}
    texts: Dict[str, str] = {}
    strangers = []
    for name in archive.names:
        match = TEXT.fullmatch(posixpath.basename(name))
        image = match['name'] if match and not LITTER.fullmatch(name) else None
        if image is None:
            strangers.append(name)
        elif image not in known if known is not None else not re.fullmatch(
                PIXEL.official, image):
            yield Problem(name, f'{image} is no image of the test set',
                          'delete it, or name it as the image is named')
        elif texts.setdefault(image, name) != name:
            yield Problem(name, f'is a second text file of the image {image}, beside '
                          f'{texts[image]}; the evaluator stops there',
                          'keep one of them')
    yield from _absent(archive, texts, known)
    there, owners = set(archive.names), {}
    images_of = {text: image for image, text in texts.items()}
    for text, content in archive.items(images_of):
        yield from _check_text(text, content, there, owners)
    for name in strangers:
        if name not in owners:
            yield Problem(name, 'is named by no text file' if name.endswith('.png') else
                          'is no part of a submission', 'delete it')
    for name, content in archive.items(owners):
        image = images_of[owners[name]]
        size = PIXEL.size if known is None else (known[image].height, known[image].width)
        yield from _check_mask(name, content, size)


def _absent(archive: Archive, texts: Dict[str, str],
            known: Optional[Dict[str, TestImage]]) -> Iterator[Problem]:
    """Yield a problem for every image without a text file, or for a wrong number."""
    if known is not None:
        for image in sorted(set(known) - set(texts)):
            yield Problem(f'{image}_pred.txt', 'is missing', 'predict this image and '
                          'pack again; the file is empty where there is no instance')
    elif len(texts) != PIXEL.count:
        yield Problem(archive.path.name, f'has {len(texts)} text files, the test set has '
                      f'{PIXEL.count} images',
                      'predict the whole test set and nothing else')


def _check_text(name: str, content: bytes, there: Collection[str],
                owners: Dict[str, str]) -> Iterator[Problem]:
    """Look at the lines of a text file; add the masks that it names to their owners."""
    form = 'a line is MASK LABELID CONFIDENCE, with one blank between'
    try:
        lines = content.decode('ascii').splitlines()
    except UnicodeDecodeError as error:
        yield Problem(name, f'is no plain text: {error}', form)
        return
    seen = set()
    for number, line in enumerate(lines, 1):
        where = f'line {number} '
        fields = line.split(' ')
        if len(fields) != 3:
            yield Problem(name, f'{where}has {len(fields)} fields: {line[:60]!r}', form)
            continue
        for flaw in _number_flaws(*fields[1:]):
            yield Problem(name, where + flaw[0], flaw[1])
        mask = posixpath.normpath(posixpath.join(posixpath.dirname(name), fields[0]))
        where += f'names {fields[0]!r}'
        if fields[0].startswith('/') or '..' in fields[0].split('/'):
            yield Problem(name, f'{where}, which leads out of the archive',
                          'name masks relative to the text file')
        elif mask not in there:
            yield Problem(name, f'{where}, which is not in the archive',
                          'pack the mask, or leave the line out')
        elif mask in seen:
            yield Problem(name, f'{where} again; the evaluator takes the last line of a '
                          'mask', 'give every instance its own mask')
        elif owners.setdefault(mask, name) != name:
            yield Problem(name, f'{where}, which is a mask of {owners[mask]} too',
                          'give every instance its own mask')
        seen.add(mask)


def _number_flaws(label: str, score: str) -> Iterator[Tuple[str, str]]:
    """Yield what is wrong with the numbers of a line, and how to mend it."""
    classes = ', '.join(f'{name} {number}' for name, number in IDS.items())
    try:
        value = float(label)
    except ValueError:
        yield f'has the label id {label!r}, which is no number', f'ids are {classes}'
    else:
        if value not in IDS.values():
            train = ' (a train id?)' if value in TRAIN_IDS else ''
            yield (f'has the label id {label}{train}, which is no class with instances',
                   f'ids are {classes}')
    try:
        value = float(score)
    except ValueError:
        yield (f'has the confidence {score!r}, which is no number', 'write a number in '
               '[0, 1]')
    else:
        if not 0 <= value <= 1:
            yield f'has the confidence {score}, not in [0, 1]', 'write a number in [0, 1]'


def _check_mask(name: str, content: bytes,
                size: Optional[Tuple[int, int]]) -> Iterator[Problem]:
    values, problems = read_labels(name, content, None, size, bits=(1, 8))
    yield from (one._replace(mend=MASK_MEND) for one in problems)
    if values is None:
        return
    inside = np.unique(values[values != 0])
    if not inside.size:
        yield Problem(name, 'is an empty mask', 'leave instances without pixels out')
    elif inside.size > 1:
        yield Problem(name, f'holds the values {inside[0]}, {inside[1]}'
                      f'{", ..." if inside.size > 2 else ""}; every pixel that is not 0 '
                      'counts as inside', MASK_MEND)


TARGET = Target('cityscapes-instance', 'instance', '.zip', PIXEL.count, PIXEL.pattern,
                write, is_done, pack, validate, check, ids_of)
