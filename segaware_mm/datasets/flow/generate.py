"""Write a set of procedural pairs to disk, in pieces that survive a kill.

The files of a pair are written one by one under temporary names and renamed. A
pair whose four files are there is finished; ``flow.json`` says what the folder
holds and whether it is complete.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from ...utils.files import remove_parts, write_atomic
from ...utils.progress import progress_bar
from ..scenes import storage
from ..scenes.encoding import png_gray, png_rgb
from ..scenes.manifest import ScenesError, check_same
from ..scenes.workers import run_tasks
from .files import encode_flo
from .render import GENERATOR_VERSION, MIN_SIDE, SPLITS, render_pair

MANIFEST = 'flow.json'
SUFFIXES = ('_img1.png', '_img2.png', '_layers.png', '_flow.flo')
_GENERATOR = 'segaware_mm procedural flow'
_MAX_INDEX = 10**6 - 1  # six digits in the file names
Key = Tuple[str, int]  # split, index


class FlowSetError(ScenesError):
    """Something about the output folder that the user can mend."""


def generate_flow(out: Union[str, Path], train: int = 2000, val: int = 100,
                  size: Sequence[int] = (80, 96), seed: int = 0, workers: int = 1,
                  overwrite: bool = False, progress: bool = True) -> Path:
    """Write a data set of procedural pairs.

    The same arguments give the same bytes, whatever the number of workers and
    however often the run was killed and begun again.

    Args:
        out: Output folder: new, empty, or of an earlier run.
        train: Number of training pairs, >= 0.
        val: Number of validation pairs, >= 0.
        size: Height and width in pixels, each >= 32.
        seed: Seed, >= 0.
        workers: Number of processes, >= 1.
        overwrite: Replace the pairs of an earlier run with other arguments.
        progress: Show a progress bar.

    Returns:
        The output folder: ``{train,val}/NNNNNN_{img1.png,img2.png,flow.flo,
        layers.png}``.

    Raises:
        ValueError: If an argument is out of range.
        ScenesError: If the folder cannot be used as asked.
    """
    arguments = _arguments(train, val, size, seed, workers)
    folder = Path(out)
    storage.make_folder(folder)
    with storage.only_writer(folder):
        remove_parts(folder, deep=True)
        found = _load(folder)
        if found is not None and overwrite:
            _remove(folder, found['arguments'])
            found = None
        if found is not None:
            check_same(folder, found, arguments, GENERATOR_VERSION, 'pairs')
        pending = [key for key in _keys(arguments)
                   if not all(path.exists() for path in _paths(folder, key))]
        if pending or found is None or not found['complete']:
            _write_manifest(folder, arguments, complete=False)
            _draw_all(folder, arguments, pending, workers, progress)
            _write_manifest(folder, arguments, complete=True)
    return folder


def _draw_all(folder: Path, arguments: Dict[str, Any], pending: List[Key],
              workers: int, progress: bool) -> None:
    total = arguments['train'] + arguments['val']
    bar = progress_bar(total=total, initial=total - len(pending), desc='flow pairs',
               unit='pair', disable=not progress)
    with bar:
        for _ in run_tasks(partial(_draw, folder, arguments), pending, workers):
            bar.update()


def _draw(folder: Path, arguments: Dict[str, Any], key: Key) -> None:
    """Draw a pair and write its files."""
    size = (arguments['height'], arguments['width'])
    pair = render_pair(arguments['seed'], key[1], size, key[0])
    contents = (png_rgb(pair.first), png_rgb(pair.second), png_gray(pair.layers),
                encode_flo(pair.flow))
    for path, content in zip(_paths(folder, key), contents):
        write_atomic(path, content)


def _paths(folder: Path, key: Key) -> List[Path]:
    return [folder / key[0] / f'{key[1]:06d}{suffix}' for suffix in SUFFIXES]


def _keys(arguments: Dict[str, Any]) -> List[Key]:
    return [(split, index) for split in SPLITS if arguments.get(split)
            for index in range(arguments[split])]


def _arguments(train: int, val: int, size: Sequence[int], seed: int,
               workers: int) -> Dict[str, Any]:
    """Check the arguments; return those that decide the content."""
    for name, value in (('train', train), ('val', val)):
        if not 0 <= value <= _MAX_INDEX:
            raise ValueError(f'{name} must be a number of pairs from 0 to '
                             f'{_MAX_INDEX}, got {value}')
    if train + val == 0:
        raise ValueError('train and val are both 0: nothing to write')
    if len(size) != 2 or min(size) < MIN_SIDE:
        raise ValueError(f'size must be height and width, each at least '
                         f'{MIN_SIDE} pixels, got {tuple(size)}')
    if seed < 0:
        raise ValueError(f'seed must be 0 or more, got {seed}')
    if workers < 1:
        raise ValueError(f'workers must be 1 or more, got {workers}')
    return dict(train=train, val=val, height=size[0], width=size[1], seed=seed)


def _load(folder: Path) -> Optional[Dict[str, Any]]:
    """Return the manifest, None if the folder is empty."""
    path = folder / MANIFEST
    if not path.exists():
        if any(folder.iterdir()):
            raise FlowSetError(
                f'{folder} is not empty and holds no {MANIFEST}, so it was not made '
                'by this program. Choose another --out, or an empty folder.')
        return None
    try:
        content = json.loads(path.read_text())
        known = (content['generator'] == _GENERATOR
                 and isinstance(content['complete'], bool)
                 and isinstance(content['generator_version'], int)
                 and all(isinstance(content['arguments'][key], int)
                         for key in ('train', 'val')))
    except (ValueError, KeyError, TypeError, OSError):
        known = False
    if not known:
        raise FlowSetError(f'{path} cannot be read as the manifest of a set of flow '
                           'pairs. Delete the folder by hand, or choose another --out.')
    return content


def _write_manifest(folder: Path, arguments: Dict[str, Any], complete: bool) -> None:
    content = dict(generator=_GENERATOR, generator_version=GENERATOR_VERSION,
                   arguments=arguments, complete=complete)
    write_atomic(folder / MANIFEST,
                 (json.dumps(content, indent=2, sort_keys=True) + '\n').encode())


def _remove(folder: Path, arguments: Dict[str, Any]) -> None:
    """Remove the files of an earlier run, and no others."""
    names = [str(path.relative_to(folder)) for key in _keys(arguments)
             for path in _paths(folder, key)]
    # last: while it stands, a killed removal can be done again
    storage.remove_files(folder, names + [MANIFEST])
