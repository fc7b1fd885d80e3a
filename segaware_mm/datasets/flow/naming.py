"""Which two images belong to a file of flow: the namings of known data sets.

==================================  =======================================
flow                                images
==================================  =======================================
``00001_flow.flo`` (FlyingChairs,   ``00001_img1``, ``00001_img2``
and ``tools/make_flow.py``)
``flow10.flo`` (Middlebury)         ``frame10``, ``frame11``
``frame_0014.flo`` (Sintel)         ``frame_0014``, ``frame_0015``
``flow_gt.png`` (a pair of KITTI)   ``frame1``, ``frame2``
==================================  =======================================

Images end in .png, .ppm or .jpg. Sintel and KITTI as they are distributed keep
flow and images in different folders; list them in a file instead.
"""

import re
from pathlib import Path
from typing import Iterator, NamedTuple, Optional, Tuple

from ...engine.errors import DataError

IMAGE_SUFFIXES = ('.png', '.ppm', '.jpg')
LAYERS = '_layers.png'

_CHAIRS = re.compile(r'(.+)_flow\.flo')
_MIDDLEBURY = re.compile(r'flow(\d+)\.flo')
_SINTEL = re.compile(r'(.*\D)?(\d+)\.flo')
_KITTI = 'flow_gt.png'


class PairFiles(NamedTuple):
    """The files of one pair; ``layers`` is a map of layers, None without one."""
    first: Path
    second: Path
    flow: Path
    layers: Optional[Path] = None


def image_names(flow: str) -> Optional[Tuple[str, str]]:
    """Return the images' names without suffix, None if no naming fits."""
    if flow == _KITTI:
        return 'frame1', 'frame2'
    found = _CHAIRS.fullmatch(flow)
    if found:
        return f'{found[1]}_img1', f'{found[1]}_img2'
    found = _MIDDLEBURY.fullmatch(flow)
    stem = 'frame' if found else None
    if not found:
        found = _SINTEL.fullmatch(flow)
        stem = (found[1] or '') if found else None
    if not found:
        return None
    number = found[found.lastindex]
    return stem + number, f'{stem}{int(number) + 1:0{len(number)}d}'


def find_pairs(folder: Path) -> Iterator[PairFiles]:
    """Yield the pairs below a folder, sorted by path.

    Raises:
        DataError: A flow without its images, or of an unknown naming.
    """
    flows = [p for p in folder.rglob('*')
             if (p.suffix == '.flo' or p.name == _KITTI) and p.name[0] != '.']
    for flow in sorted(flows):
        names = image_names(flow.name)
        if names is None:
            raise DataError(
                f'the flow {flow} has a name of no known data set, so its images '
                'cannot be told. Rename it to NAME_flow.flo beside NAME_img1.png and '
                'NAME_img2.png, or list the pairs in a file (ann_file).')
        first, second = (_image(flow, name) for name in names)
        layers = flow.with_name(flow.name.replace('_flow.flo', LAYERS))
        yield PairFiles(first, second, flow,
                        layers if layers != flow and layers.is_file() else None)


def _image(flow: Path, name: str) -> Path:
    """Return the image ``name`` beside the flow."""
    for suffix in IMAGE_SUFFIXES:
        path = flow.with_name(name + suffix)
        if path.is_file():
            return path
    raise DataError(f'the flow {flow} has no image {name} ({", ".join(IMAGE_SUFFIXES)}) '
                    'beside it.')
