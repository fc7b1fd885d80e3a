"""Classes of different data sets, matched by name.

Data sets number their classes differently and spell some differently: COCO's couch is
VOC's sofa. Names are compared in lower case, ``_`` and ``-`` as blanks, and through
:data:`ALIASES`.
"""

import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..engine.near import did_you_mean, near_names

#: Other spelling -> the spelling of VOC (as mmseg's ``PascalVOCDataset`` has it).
ALIASES = {
    'airplane': 'aeroplane',
    'couch': 'sofa',
    'dining table': 'diningtable',
    'motorcycle': 'motorbike',
    'potted plant': 'pottedplant',
    'tv': 'tvmonitor',
    'tv monitor': 'tvmonitor',
}
BACKGROUND = 'background'


class ClassList(NamedTuple):
    """The classes of a data set.

    Attributes:
        names: By id.
        palette: RGB of every class, or None.
    """

    names: Tuple[str, ...]
    palette: Optional[List[List[int]]]


def canonical(name: str) -> str:
    """Return the form in which names are compared."""
    plain = ' '.join(re.split(r'[\s_-]+', name.strip().lower()))
    return ALIASES.get(plain, plain)


def class_list(value: Union[str, Sequence[str]], name: str = 'classes') -> ClassList:
    """Return classes given by themselves or by a data set class that has them.

    Args:
        value: Names by id, or the registered name of a data set class with
            ``METAINFO['classes']``: ``'PascalVOCDataset'``.
        name: What it is, for messages.

    Raises:
        TypeError, ValueError: Neither of both, or a name that occurs twice.
    """
    palette = None
    if isinstance(value, str):
        from mmseg.registry import DATASETS
        kind = DATASETS.get(value)
        meta = getattr(kind, 'METAINFO', {})
        if 'classes' not in meta:
            what = 'no data set' if kind is None else 'a data set without fixed classes'
            raise ValueError(
                f'{name}={value!r} is {what}. Give a list of class names, or the name '
                "of a data set class that has them, such as 'PascalVOCDataset'.")
        value, palette = meta['classes'], meta.get('palette')
    names = tuple(value)
    if not names or not all(isinstance(one, str) for one in names):
        raise TypeError(f'{name} must be names of classes, got {value!r}.')
    ids_by_name(names, name)
    return ClassList(names, palette)


def ids_by_name(names: Sequence[str], what: str = 'classes') -> Dict[str, int]:
    """Return ``{canonical name: id}``.

    Raises:
        ValueError: Two of the names are the same class.
    """
    ids: Dict[str, int] = {}
    for number, name in enumerate(names):
        first = ids.setdefault(canonical(name), number)
        if first != number:
            raise ValueError(f'{what} has {names[first]!r} and {name!r}, which are the '
                             'same class.')
    return ids


def joint_classes(value: Union[str, Sequence[str]]) -> ClassList:
    """Return the class list of both domains, whose first is the background.

    Raises:
        TypeError, ValueError: As :func:`class_list`, or another first class.
    """
    classes = class_list(value)
    if canonical(classes.names[0]) != BACKGROUND:
        raise ValueError(
            f"classes must begin with 'background' (id 0), got {classes.names[0]!r}: "
            'what belongs to no label is background.')
    return classes


def find_ids(wanted: Sequence[str], names: Sequence[str], what: str,
             where: str = 'classes') -> List[int]:
    """Return the ids of names.

    Args:
        wanted: Names that are looked for.
        names: Names by id.
        what: What ``wanted`` is, for the message.
        where: What ``names`` is, for the message.

    Raises:
        ValueError: A name that is not there; near names are told.
    """
    ids = ids_by_name(names, where)
    for name in wanted:
        if canonical(name) not in ids:
            raise ValueError(f'{what} has the class {name!r}, which {where} has not.'
                             f'{hint(name, names)}')
    return [ids[canonical(name)] for name in wanted]


def hint(name: Any, names: Sequence[str]) -> str:
    """Return near names to append to a message, or the first of all names."""
    near = did_you_mean(near_names(str(name), names))
    if near:
        return near
    shown = ', '.join(names[:8])
    return f' There are {shown}{", ..." if len(names) > 8 else ""}.'
