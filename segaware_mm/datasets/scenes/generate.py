"""Write a set of scenes to disk, in pieces that survive a kill.

The files of a scene are written one by one under temporary names and renamed;
then its record (what the summary files need of it) is written to a folder of
parts. A scene with a record is finished. After the last one the summaries are
written from the records, the manifest is marked complete, and the parts go.
"""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from ...utils.files import remove_parts, write_atomic
from ...utils.progress import progress_bar
from . import manifest, storage
from .encoding import json_bytes
from .layouts import LAYOUTS, Layout
from .objects import KINDS
from .render import MIN_SIDE, SPLITS, render_scene
from .workers import run_tasks

_PARTS = '.scenes_parts'
_MAX_INDEX = 10**6 - 1  # six digits in the file names
Key = Tuple[str, int]  # split, index


def generate_scenes(out: Union[str, Path], layout: str = 'mmseg',
                    train: int = 400, val: int = 100,
                    size: Sequence[int] = (128, 160), seed: int = 0,
                    workers: int = 1, overwrite: bool = False,
                    progress: bool = True, kinds: Optional[int] = None) -> Path:
    """Write a data set of procedural scenes.

    The same arguments give the same bytes, whatever the number of workers
    and however often the run was killed and begun again.

    Args:
        out: Output folder: new, empty, or of an earlier run.
        layout: 'mmseg', 'cityscapes', 'voc' or 'coco'.
        train: Number of training scenes, >= 0.
        val: Number of validation scenes, >= 0.
        size: Height and width in pixels, each >= 32.
        seed: Seed, >= 0.
        workers: Number of processes, >= 1.
        overwrite: Replace the scenes of an earlier run with other arguments.
        progress: Show a progress bar.
        kinds: Classes of objects in a scene, 0 to 8; None leaves it to chance.

    Returns:
        The output folder.

    Raises:
        ValueError: If an argument is out of range.
        ScenesError: If the folder cannot be used as asked.
    """
    arguments = _arguments(layout, train, val, size, seed, workers, kinds)
    folder = Path(out)
    storage.make_folder(folder)
    with storage.only_writer(folder):
        remove_parts(folder, deep=True)
        found = manifest.load(folder)
        if found is not None and overwrite:
            _remove(folder, found)
            found = None
        if found is not None:
            manifest.check_same(folder, found, arguments)
        else:
            _write_manifest(folder, arguments, complete=False)
        _fill(folder, arguments, found is not None and found['complete'],
              workers, progress)
    return folder


def _fill(folder: Path, arguments: Dict[str, Any], complete: bool,
          workers: int, progress: bool) -> None:
    """Draw what is missing, then write the summaries."""
    layout = LAYOUTS[arguments['layout']]()
    keys = _keys(arguments)
    summaries = layout.summary_paths(_splits(arguments))
    summarise = not complete or not _exist(folder, summaries)
    pending = [
        key for key in keys if not _exist(folder, layout.scene_paths(*key)) or
        (summarise and not _record_path(folder, key).exists())
    ]
    if pending or summarise:
        _write_manifest(folder, arguments, complete=False)
    draw = partial(_draw, folder, layout, arguments)
    bar = progress_bar(
        total=len(keys),
        initial=len(keys) - len(pending),
        desc=f'{arguments["layout"]} scenes',
        unit='scene',
        disable=not progress)
    with bar:
        for _ in run_tasks(draw, pending, workers):
            bar.update()
    if summarise:
        records = {
            split: [
                json.loads(_record_path(folder, key).read_bytes())
                for key in keys if key[0] == split
            ]
            for split in _splits(arguments)
        }
        for name, content in layout.summary_files(records):
            write_atomic(folder / name, content)
    if pending or summarise:
        _write_manifest(folder, arguments, complete=True)
    shutil.rmtree(folder / _PARTS, ignore_errors=True)


def _draw(folder: Path, layout: Layout, arguments: Dict[str, Any],
          key: Key) -> None:
    split, index = key
    size = (arguments['height'], arguments['width'])
    scene = render_scene(arguments['seed'], index, size, split, arguments.get('kinds'))
    for name, content in layout.scene_files(split, index, scene):
        write_atomic(folder / name, content)
    write_atomic(
        _record_path(folder, key),
        json_bytes(layout.record(split, index, scene)))


def _arguments(layout: str, train: int, val: int, size: Sequence[int],
               seed: int, workers: int, kinds: Optional[int]) -> Dict[str, Any]:
    """Check the arguments; return those that decide the content."""
    if layout not in LAYOUTS:
        raise ValueError(
            f'layout must be one of {", ".join(LAYOUTS)}, got {layout!r}')
    for name, value in (('train', train), ('val', val)):
        if not 0 <= value <= _MAX_INDEX:
            raise ValueError(f'{name} must be a number of scenes from 0 to '
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
    if kinds is not None and not 0 <= kinds <= KINDS:
        raise ValueError(f'kinds must be 0 to {KINDS} classes of objects, got {kinds}')
    # Sets of any number of kinds are what they were before there was a choice.
    chosen = {} if kinds is None else dict(kinds=kinds)
    return dict(layout=layout, train=train, val=val, height=size[0],
                width=size[1], seed=seed, **chosen)


def _splits(arguments: Dict[str, Any]) -> List[str]:
    return [s for s in SPLITS if arguments.get(s, 0) > 0]


def _keys(arguments: Dict[str, Any]) -> List[Key]:
    return [(s, i) for s in _splits(arguments) for i in range(arguments[s])]


def _exist(folder: Path, names: Sequence[str]) -> bool:
    return all((folder / name).exists() for name in names)


def _record_path(folder: Path, key: Key) -> Path:
    return folder / _PARTS / f'{key[0]}_{key[1]:06d}.json'


def _write_manifest(folder: Path, arguments: Dict[str, Any],
                    complete: bool) -> None:
    content = manifest.build(arguments, complete)
    write_atomic(folder / manifest.MANIFEST,
                 (json.dumps(content, indent=2, sort_keys=True) +
                  '\n').encode())


def _remove(folder: Path, found: Dict[str, Any]) -> None:
    """Remove the files of an earlier run, and no others."""
    old = found['arguments']
    layout = LAYOUTS[old['layout']]()
    shutil.rmtree(folder / _PARTS, ignore_errors=True)
    names = [n for key in _keys(old) for n in layout.scene_paths(*key)]
    names += layout.summary_paths(_splits(old))
    # last: while it stands, a killed removal can be done again
    storage.remove_files(folder, names + [manifest.MANIFEST])
