"""The images of a test set: their names, sizes and files.

A test set is a folder of images; a list of image names beside such a folder (VOC's
``test.txt``); or COCO's image information (``image_info_test-dev2017.json``). Sizes come
from the headers of the images, or from COCO's file; no image is decoded.

A *pattern* is a regular expression that the names of a test set's images match wholly.
Its group ``name`` is what the server calls the image, ``id`` COCO's number of it.
"""

import json
import os
import re
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence

from PIL import Image

from ..engine.near import did_you_mean, near_names
from ..utils.files import PathLike, write_atomic
from .problem import SubmissionError


class TestImage(NamedTuple):
    """An image that the server has the ground truth of.

    Attributes:
        name: What the server calls it, without suffix: 'berlin_000000_000019'.
        height, width: In pixels.
        path: The file, '' where it is unknown.
        image_id: COCO's number of it, or None.
    """

    __test__ = False  # pytest takes the name for a class of tests

    name: str
    height: int
    width: int
    path: str = ''
    image_id: Optional[int] = None


def find_images(path: PathLike, pattern: str, files: bool = False) -> List[TestImage]:
    """Return the images that a user's path means, sorted by name.

    Args:
        path: A folder, a list of names (.txt), COCO's image information (.json), or what
            :func:`save_images` wrote (.jsonl).
        pattern: Of the target.
        files: The images themselves are wanted too, not only their names and sizes.

    Raises:
        SubmissionError: As the reader that fits the path.
    """
    path = Path(path).expanduser()
    if path.suffix == '.jsonl':
        return load_images(path)
    if path.suffix == '.json':
        found = images_of_coco_json(path)
        return with_files(path, found) if files else found
    if path.suffix == '.txt':
        return images_of_list(path, _folder_of_list(path), pattern)
    return images_of_folder(path, pattern)


def images_of_folder(folder: PathLike, pattern: str) -> List[TestImage]:
    """Return the images in a folder and the folders in it; other files are left out.

    Raises:
        SubmissionError: No folder, no image in it, a name that occurs twice, or an image
            whose header cannot be read.
    """
    folder = Path(folder)
    found = [image_of(one, pattern) for one in _paths(folder, pattern)]
    return sorted_images(found, folder)


def _paths(folder: Path, pattern: str) -> List[Path]:
    """Return the files in a folder that are named as images of the test set."""
    if not folder.is_dir():
        what = ('is no folder, list (.txt) or image information of COCO (.json)'
                if folder.exists() else 'does not exist')
        raise SubmissionError(f'the folder of test images {folder} {what}. Give the '
                              'folder of the downloaded test set (--images).')
    paths = _walk(folder)
    found = [one for one in paths if re.fullmatch(pattern, one.name)]
    if not found:
        raise SubmissionError(
            f'{folder} has {len(paths)} files, and none is an image of this test set: '
            f'their names match {_shown(pattern)}. Give the folder of the downloaded '
            'test set.')
    return found


def _walk(folder: Path) -> List[Path]:
    """Return all files in a folder, those of linked folders too, each folder once."""
    found, seen = [], {folder.resolve()}
    for root, folders, names in os.walk(folder, followlinks=True):
        found += [Path(root, name) for name in names]
        real = {name: Path(root, name).resolve() for name in folders}
        folders[:] = [name for name in folders if real[name] not in seen]
        seen.update(real.values())
    return sorted(found)


def image_of(path: PathLike, pattern: str, number: Optional[int] = None) -> TestImage:
    """Return an image of the test set.

    Args:
        path: The file; its header is read.
        pattern: Of the target.
        number: COCO's number of it, where that is known and not in the name.

    Raises:
        SubmissionError: Another name, or a header that cannot be read.
    """
    match = re.fullmatch(pattern, Path(path).name)
    if not match:
        raise SubmissionError(f'{path} is no image of this test set: the names of its '
                              f'images match {_shown(pattern)}.')
    try:
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SubmissionError(f'the image {path} cannot be read: {error}. Download it '
                              'again.') from error
    groups = match.groupdict()
    if number is None and groups.get('id') is not None:
        number = int(groups['id'])
    return TestImage(groups['name'], height, width, str(path), number)


def image_name(path: PathLike, pattern: str) -> str:
    """Return what the server calls the image of a file."""
    match = re.fullmatch(pattern, Path(path).name)
    return match['name'] if match else Path(path).stem


def images_of_list(file: PathLike, folder: PathLike, pattern: str) -> List[TestImage]:
    """Return the images that a list names, one in a line, of a folder.

    Args:
        file: The list; what follows a blank in a line is left out.
        folder: Where the images are.
        pattern: Of the target.

    Raises:
        SubmissionError: A list that is absent, empty or names an image that is not in
            the folder; otherwise as :func:`images_of_folder`.
    """
    try:
        lines = Path(file).read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SubmissionError(f'the list of images {file} cannot be read: {error}. Give '
                              'a text file with one name in a line.') from error
    names = [line.split()[0] for line in lines if line.strip()]
    if not names:
        raise SubmissionError(f'the list of images {file} is empty.')
    # Others of the folder are not opened: VOC's has those of all its challenges.
    there: Dict[str, List[Path]] = {}
    for path in _paths(Path(folder), pattern):
        there.setdefault(image_name(path, pattern), []).append(path)
    absent = [name for name in names if name not in there]
    if absent:
        raise SubmissionError(
            f'{file} names {absent[0]!r}, and {len(absent)} of its {len(names)} images '
            f'are not in {folder}.{did_you_mean(near_names(absent[0], there))}')
    return sorted_images((image_of(path, pattern) for name in names
                          for path in there[name]), file)


def images_of_coco_json(file: PathLike) -> List[TestImage]:
    """Return the images of COCO's image information (or of annotations).

    Raises:
        SubmissionError: No such file, another form, or a name or id that occurs twice.
    """
    form = ('The form is {"images": [{"file_name": ..., "id": ..., "height": ..., '
            '"width": ...}, ...]}, as in image_info_test-dev2017.json.')
    try:
        content = json.loads(Path(file).read_text(encoding='utf-8'))
        found = [TestImage(Path(one['file_name']).stem, int(one['height']),
                           int(one['width']), '', int(one['id']))
                 for one in content['images']]
    except OSError as error:
        raise SubmissionError(f'the image information {file} cannot be read: {error}. '
                              f'{form}') from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SubmissionError(f'{file} is no image information of COCO '
                              f'({type(error).__name__}: {error}). {form}') from error
    ids = [one.image_id for one in found]
    if not ids or len(set(ids)) < len(ids):
        what = 'names an image id twice' if ids else 'has no image'
        raise SubmissionError(f'{file} {what}. {form}')
    return sorted_images(found, file)


def with_files(file: PathLike, images: Sequence[TestImage]) -> List[TestImage]:
    """Return the images of COCO's image information with their files.

    They lie beside the information, in a folder beside it, or beside the folder
    ``annotations`` that it is in, as COCO's own are packed.

    Raises:
        SubmissionError: Images that are not there.
    """
    here = Path(file).resolve().parent
    roots = [here, *_folders(here), here.parent, *_folders(here.parent)]
    place = next((one for one in roots if _file_in(one, images[0])), here)
    found = [one._replace(path=_file_in(place, one)) for one in images]
    absent = [one.name for one in found if not one.path]
    if absent:
        raise SubmissionError(
            f'{len(absent)} of {len(images)} images of {file} are not in {place}, the '
            f'first is {absent[0]}. Lay the images where COCO has them: in a folder '
            'beside the folder "annotations" of this file.')
    return found


def save_images(path: PathLike, images: Iterable[TestImage]) -> None:
    """Write images into a file that :func:`load_images` reads, one in a line."""
    lines = ''.join(f'{json.dumps(one)}\n' for one in images)
    write_atomic(path, lines.encode('utf-8'))


def load_images(path: PathLike) -> List[TestImage]:
    """Return the images of a file of :func:`save_images`.

    Raises:
        SubmissionError: No such file.
    """
    try:
        with Path(path).open(encoding='utf-8') as lines:
            return [TestImage(*json.loads(line)) for line in lines]
    except (OSError, TypeError, ValueError) as error:
        raise SubmissionError(f'{path} is no list of images of this tool: '
                              f'{error}') from error


def _folders(folder: Path) -> List[Path]:
    return sorted(one for one in folder.iterdir() if one.is_dir())


def _file_in(folder: Path, image: TestImage) -> str:
    """Return the file of an image in a folder, '' where it is not there."""
    return next((str(folder / name) for name in (f'{image.name}.jpg', f'{image.name}.png')
                 if (folder / name).is_file()), '')


def _shown(pattern: str) -> str:
    return re.sub(r'\?P<\w+>', '', pattern)


def _folder_of_list(file: Path) -> Path:
    """Return VOC's ``JPEGImages`` for a list in ``ImageSets/*``, else its own folder."""
    folder = file.resolve().parent
    images = folder.parent.parent / 'JPEGImages'
    return images if images.is_dir() else folder


def sorted_images(images: Iterable[TestImage], where: PathLike) -> List[TestImage]:
    """Return the images by name; raise where two have the same."""
    known: Dict[str, TestImage] = {}
    for image in images:
        if image.name in known:
            paths = known[image.name].path, image.path
            both = f' ({paths[0]} and {paths[1]})' if paths[0] != paths[1] else ''
            raise SubmissionError(f'{where} has the image {image.name} twice{both}. Give '
                                  'the images of the test set alone, each once.')
        known[image.name] = image
    return [known[name] for name in sorted(known)]
