"""The scenes of the demo: made where they are absent, used where they are."""

import os
from pathlib import Path
from typing import Any, Dict, Tuple

from ..datasets.scenes import manifest
from ..datasets.scenes.generate import generate_scenes
from ..engine.errors import DataError

LAYOUT = 'mmseg'


def _cores() -> int:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def ensure_scenes(folder: str, train: int, val: int, size: Tuple[int, int],
                  fresh: bool = False) -> Tuple[Dict[str, Any], bool]:
    """Make the scenes, or what is missing of them.

    A finished set of other numbers or another size, made by hand, is used as
    it is; what was begun is gone on with.

    Args:
        folder: Where they lie.
        train, val: Numbers of scenes, of a new set.
        size: (height, width) in pixels, of a new set.
        fresh: Make the set anew, with its own arguments.

    Returns:
        The arguments of the set, and whether anything was drawn.

    Raises:
        DataError: The folder cannot be used; says why.
    """
    path = Path(folder)
    try:
        found = manifest.load(path) if path.is_dir() else None
        arguments = dict(layout=LAYOUT, train=train, val=val, height=size[0],
                         width=size[1], seed=0)
        if found is not None:
            arguments = found['arguments']
        if arguments['layout'] != LAYOUT or not arguments['val']:
            raise DataError(
                f'{folder} holds scenes in the layout {arguments["layout"]} with '
                f'{arguments["val"]} for validation; the demo wants the layout '
                f'{LAYOUT} with some for both. Name another folder: --data DIR')
        done = found is not None and found['complete'] and not fresh
        generate_scenes(
            path, layout=LAYOUT, train=arguments['train'], val=arguments['val'],
            size=(arguments['height'], arguments['width']),
            seed=arguments['seed'], workers=_cores(), overwrite=fresh,
            progress=not done)
    except (manifest.ScenesError, OSError) as error:
        raise DataError(f'scenes in {folder}: {error}') from error
    return dict(arguments), not done
