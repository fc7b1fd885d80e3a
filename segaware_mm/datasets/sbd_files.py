"""Files of instance masks: SBD's ``.mat``, VOC's object maps, lists of images.

Hariharan, Arbelaez, Bourdev, Maji, Malik, "Semantic Contours from Inverse Detectors"
(ICCV 2011) publish, for every image, ``inst/ID.mat`` with a struct GTinst
(Segmentation: H x W, 0 and the numbers of instances; Categories: their classes) and
``cls/ID.mat`` with GTcls (Segmentation: classes). VOC has the same as indexed PNG,
``SegmentationObject`` and ``SegmentationClass``. In all of them 255 is void.
"""

import io
import os.path as osp
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np
from PIL import Image

from ..engine.errors import DataError

VOID = 255
#: More is no number of an instance, but a colour or damage.
LARGEST = 65535
#: Path -> content.
Reader = Callable[[str], bytes]


def read_bytes(path: str) -> bytes:
    """Read a local file."""
    return Path(path).read_bytes()


class Entry(NamedTuple):
    """An image of a list, and where its annotation is.

    Attributes:
        img_id: Name without folder and suffix.
        img_path, inst_path, cls_path: Files; the last is read where it is needed.
        line: Number of its line in the list.
    """

    img_id: str
    img_path: str
    inst_path: str
    cls_path: str
    line: int


class Layout(NamedTuple):
    """Where the files of an image id are.

    Attributes:
        root: What paths in a list are relative to.
        img_path, inst_path, cls_path: Folders.
        img_suffix, ann_suffix: Ends of the names.
    """

    root: str
    img_path: str
    inst_path: str
    cls_path: str
    img_suffix: str
    ann_suffix: str


def parse_list(text: str, layout: Layout, name: str) -> List[Entry]:
    """Return the images of a list.

    A line is an image id, or the paths of an image and of its instances.

    Args:
        text: Content of the list.
        layout: Where files are.
        name: Path of the list, for messages.

    Raises:
        DataError: An empty list, or a line of another form.
    """
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if len(words) == 1:
            img_id = words[0]
            entries.append(Entry(
                img_id, osp.join(layout.img_path, img_id + layout.img_suffix),
                osp.join(layout.inst_path, img_id + layout.ann_suffix),
                osp.join(layout.cls_path, img_id + layout.ann_suffix), number))
        elif len(words) == 2 and osp.splitext(words[1])[1]:
            img, inst = (_below(layout.root, word) for word in words)
            stem, suffix = osp.splitext(osp.basename(inst))
            entries.append(Entry(
                osp.splitext(osp.basename(img))[0], img, inst,
                osp.join(layout.cls_path, stem + suffix), number))
        elif words:
            hint = (' (this looks like a list of VOC\'s ImageSets/Main for one class; '
                    'the lists without a class are wanted)'
                    if words[-1] in ('1', '0', '-1') else '')
            raise DataError(
                f'{name}, line {number}: {line.strip()!r} is neither an image id nor the '
                f'paths of an image and of its instances{hint}.')
    if not entries:
        raise DataError(f'the list of images {name} is empty.')
    return entries


def _below(root: str, path: str) -> str:
    """Join a path with the root; lists of others begin theirs with a slash."""
    return path if osp.isabs(path) and osp.exists(path) else \
        osp.join(root, path.lstrip('/'))


def read_instances(inst_path: str, cls_path: str, read: Reader = read_bytes
                   ) -> Tuple[np.ndarray, Dict[int, int]]:
    """Read the instances of an image.

    Args:
        inst_path: ``.mat`` with GTinst, else an indexed image of object numbers.
        cls_path: The like with classes. Read for images, and where GTinst has no
            Categories; every object has the class of most of its pixels there.
        read: Reads a file.

    Returns:
        (H, W) int32 numbers of instances, 0 where there is none; and the class 1..20 of
        every number that has a pixel (not yet checked for its range).

    Raises:
        DataError: A file that is no such map, or an instance without a class.
    """
    if not inst_path.endswith('.mat'):
        return _with_classes(read_map(inst_path, read), inst_path, cls_path, read)
    struct = read_struct(inst_path, 'GTinst', read)
    objects = as_map(struct['Segmentation'], inst_path)
    if 'Categories' not in struct:
        return _with_classes(objects, inst_path, cls_path, read)
    objects[objects == VOID] = 0
    classes = np.asarray(struct['Categories']).reshape(-1)
    numbers = _numbers(objects)
    if numbers and numbers[-1] > len(classes):
        raise DataError(f'{inst_path} has an instance {numbers[-1]}, but Categories of '
                        f'{len(classes)} alone. Copy the file again.')
    return objects, {number: int(classes[number - 1]) for number in numbers}


def _numbers(objects: np.ndarray) -> List[int]:
    """Return the numbers of instances in a map, rising."""
    return [number for number in np.flatnonzero(np.bincount(objects.ravel())).tolist()
            if number]


def _with_classes(objects: np.ndarray, inst_path: str, cls_path: str, read: Reader
                  ) -> Tuple[np.ndarray, Dict[int, int]]:
    """Give every object the class of most of its pixels."""
    try:
        classes = (as_map(read_struct(cls_path, 'GTcls', read)['Segmentation'], cls_path)
                   if cls_path.endswith('.mat') else read_map(cls_path, read))
    except FileNotFoundError as error:
        raise DataError(
            f'{inst_path} does not say of which class its objects are, and there is no '
            f'file of classes {cls_path}. Set data_prefix["cls_path"] to the folder '
            'SegmentationClass of VOC, or cls of SBD.') from error
    if classes.shape != objects.shape:
        raise DataError(
            f'objects and classes of one image differ in size: {inst_path} has '
            f'{_size(objects)}, {cls_path} {_size(classes)} (width x height).')
    objects[objects == VOID] = 0
    owners = {}
    for number in _numbers(objects):
        inside = classes[objects == number]
        counts = np.bincount(inside[(inside != 0) & (inside != VOID)])
        if not len(counts):
            raise DataError(f'the object {number} of {inst_path} has no class in '
                            f'{cls_path}: background and void alone.')
        owners[number] = int(counts.argmax())
    return objects, owners


def _size(array: np.ndarray) -> str:
    return f'{array.shape[1]} x {array.shape[0]}'


def as_map(values: Any, path: str) -> np.ndarray:
    """Return an integer map (H, W), a copy, or raise with the file's name."""
    values = np.asarray(values)
    got = f'{values.dtype} of shape {values.shape}'
    if values.ndim == 2 and values.dtype.kind in 'biuf' and values.size:
        low, high = values.min(), values.max()
        got += f', {low:g} to {high:g}'
        if 0 <= low and high <= LARGEST:  # not so for NaN
            whole = values.astype(np.int32)
            if values.dtype.kind != 'f' or (whole == values).all():
                return whole
    raise DataError(f'{path}: a map (H, W) of whole numbers from 0 to {LARGEST} is '
                    f'wanted, got {got}.')


def read_map(path: str, read: Reader = read_bytes) -> np.ndarray:
    """Read an indexed or grey image of numbers.

    Raises:
        FileNotFoundError: No such file.
        DataError: Not readable, or an image of colours.
    """
    content = io.BytesIO(read(path))
    try:
        with Image.open(content) as picture:
            mode, values = picture.mode, np.array(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f'{path} is not readable as an image: {error}. Copy it '
                        'again.') from error
    if mode not in ('P', 'L', 'I', 'I;16', '1'):
        raise DataError(f'{path} holds colours (mode {mode}); an indexed or grey image '
                        'of numbers is wanted, as VOC publishes it.')
    return as_map(values, path)


def read_struct(path: str, name: str, read: Reader = read_bytes) -> Dict[str, Any]:
    """Read a struct of a ``.mat`` file.

    Args:
        path: The file.
        name: GTinst or GTcls.
        read: Reads a file.

    Returns:
        dict: Its fields.

    Raises:
        FileNotFoundError: No such file.
        DataError: Not readable, or without that struct or its Segmentation.
    """
    from scipy.io import loadmat, whosmat
    file = read(path)
    try:
        content = loadmat(io.BytesIO(file), variable_names=[name])
        there = [] if name in content else [one[0] for one in whosmat(io.BytesIO(file))]
    except NotImplementedError as error:
        raise DataError(f'{path} is a .mat of version 7.3; save it again with '
                        "MATLAB's save(..., '-v7').") from error
    except Exception as error:
        raise DataError(f'{path} is not readable as a .mat file: {error}. Copy it '
                        'again.') from error
    if name not in content:
        raise DataError(
            f'{path} holds no {name}, but {", ".join(there) or "nothing"}. Files of the '
            'folder inst hold GTinst, those of cls GTcls: is '
            f'data_prefix["{"inst_path" if name == "GTinst" else "cls_path"}"] right?')
    struct = content[name]
    fields = struct.dtype.names or ()
    if struct.size != 1 or 'Segmentation' not in fields:
        raise DataError(f'{path}: {name} must be one struct with a field Segmentation, '
                        f'got {struct.size} with the fields {list(fields)}.')
    return {field: struct[field].reshape(-1)[0] for field in fields}
