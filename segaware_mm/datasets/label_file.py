"""Files of image labels: which classes an image shows, without saying where.

JSON in one of these forms, ``LABELS`` a list of class ids or of class names::

    {"NAME": LABELS, ...}                                  NAME: image without suffix
    {"train": {"NAME": LABELS, ...}, "val": {...}}         key='train'
    {"classes": [...], "labels": {"NAME": LABELS, ...}}    ids are those of "classes"
"""

import json
import os.path as osp
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from ..engine.errors import DataError
from .class_names import canonical, hint, ids_by_name

FORM = ('The form is {"NAME": [ids or class names], ...}, NAME being an image without '
        'its suffix.')


class ImageLabelFile:
    """The labels of images, as ids of ``classes``.

    Args:
        path (str): The JSON file.
        classes (Sequence[str], optional): Names by id, 0 the background. Without it ids
            are taken as they are, and names are an error.
        key (str, optional): The part of the file that has the images.
        file_classes (Sequence[str], optional): Names by id as the file numbers them,
            where that is not ``classes``. A list in the file itself goes first.
        needed (Sequence[int]): Ids that the file must be able to name.

    Labels of classes that ``file_classes`` has and ``classes`` has not are left out, as
    is the background.

    Raises:
        DataError: A file that is absent or of another form, an unknown class.
    """

    def __init__(self,
                 path: str,
                 classes: Optional[Sequence[str]] = None,
                 key: Optional[str] = None,
                 file_classes: Optional[Sequence[str]] = None,
                 needed: Sequence[int] = ()) -> None:
        self.path = path
        content = _read(path)
        if isinstance(content, dict) and isinstance(content.get('classes'), list):
            file_classes = _names_of(content['classes'], path)
            key = key or 'labels'
        labels = _part(content, path, key)
        self.classes = tuple(classes) if classes is not None else None
        self.file_classes = tuple(file_classes) if file_classes is not None else None
        self._table = self._ids_of_file(needed)
        self._names = self._known_names()
        self._labels: Dict[str, Tuple[int, ...]] = {
            name: self._parse(name, values) for name, values in labels.items()}

    def _ids_of_file(self, needed: Sequence[int]) -> Optional[List[Optional[int]]]:
        """Return for every id of the file ours, None where we have not the class."""
        if self.file_classes is None or self.classes is None:
            return None
        ids = ids_by_name(self.classes)
        table = [ids.get(canonical(name)) for name in self.file_classes]
        absent = [self.classes[i] for i in needed if i not in table]
        if absent:
            raise DataError(
                f'{self.path} cannot label the class {absent[0]!r}: its classes are '
                f'others.{hint(absent[0], self.file_classes)} Leave the class out of '
                '`keep`, or take another file.')
        return table

    def _known_names(self) -> Dict[str, Optional[int]]:
        """Return ``{canonical name: our id or None}`` of all names that are known."""
        names: Dict[str, Optional[int]] = {}
        if self._table is not None:
            names.update(zip(map(canonical, self.file_classes or ()), self._table))
        if self.classes is not None:
            names.update(ids_by_name(self.classes))
        return names

    def _parse(self, name: str, values: Any) -> Tuple[int, ...]:
        """Return the ids of one image, sorted."""
        if not isinstance(values, list):
            raise DataError(f'{self.path}: the labels of {name!r} are {values!r}, no '
                            f'list. {FORM}')
        found = {self._id(name, value) for value in values}
        return tuple(sorted(label for label in found if label))

    def _id(self, name: str, value: Any) -> Optional[int]:
        if isinstance(value, str):
            if canonical(value) in self._names:
                return self._names[canonical(value)]
            known = [*(self.classes or ()), *(self.file_classes or ())]
            more = hint(value, known) if known else \
                ' Give `classes`, the names by id.'
            raise DataError(f'{self.path}: {name!r} has the unknown class {value!r}.'
                            f'{more}')
        if isinstance(value, bool) or not isinstance(value, int):
            raise DataError(f'{self.path}: {name!r} has the label {value!r}; a class id '
                            f'or name is wanted. {FORM}')
        names = self.file_classes or self.classes
        if value < 0 or names is not None and value >= len(names):
            top = 'any number' if names is None else f'{len(names) - 1}'
            raise DataError(f'{self.path}: {name!r} has the class id {value}; ids are 0 '
                            f'to {top}.')
        return value if self._table is None else self._table[value]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._labels)

    def __call__(self, img_path: str) -> np.ndarray:
        """Return the sorted ids of an image, (L,) int64.

        Args:
            img_path (str): The image; folder and suffix do not count.

        Raises:
            DataError: The file has no such image.
        """
        name = osp.basename(img_path)
        for key in (osp.splitext(name)[0], name):
            if key in self._labels:
                return np.array(self._labels[key], np.int64)
        stem = osp.splitext(name)[0]
        raise DataError(
            f'{self.path} has no labels of {stem!r} ({img_path}).'
            f'{hint(stem, list(self._labels))} An image that shows no class has an '
            'empty list.')


def _read(path: str) -> Any:
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except FileNotFoundError as error:
        raise DataError(f'the file of image labels {path} does not exist.') from error
    except OSError as error:
        raise DataError(f'the file of image labels {path} cannot be read '
                        f'({error.strerror}).') from error
    except (UnicodeDecodeError, ValueError) as error:
        raise DataError(f'{path} is no JSON: {error}. {FORM}') from error


def _names_of(classes: List[Any], path: str) -> List[str]:
    """Return the file's own classes, checked."""
    wrong = [one for one in classes if not isinstance(one, str)]
    if wrong or not classes:
        found = repr(wrong[0]) if wrong else 'none'
        raise DataError(f'{path}: "classes" must be the names of classes by id, got '
                        f'{found}.')
    return classes


def _part(content: Any, path: str, key: Optional[str]) -> Dict[str, Any]:
    """Return the part of a file that has the images."""
    if isinstance(content, dict) and key is not None:
        if key not in content:
            raise DataError(f'{path} has no part {key!r}.{hint(key, list(content))}')
        content = content[key]
    if not isinstance(content, dict):
        raise DataError(f'{path} holds a {type(content).__name__}. {FORM}')
    parts = [name for name, value in content.items() if isinstance(value, dict)]
    if parts:
        raise DataError(f'{path} has the parts {", ".join(parts[:4])}; say which one is '
                        f'meant (key={parts[0]!r}).')
    return content
