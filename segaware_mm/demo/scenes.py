"""The scenes of the demo: made where they are absent, used where they are."""

from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

from ..datasets.scenes import manifest
from ..datasets.scenes.generate import generate_scenes
from ..datasets.scenes.workers import available_cores
from ..engine.errors import DataError

LAYOUT = 'mmseg'
#: Of a new set.
DEFAULTS = dict(train=400, val=100, height=128, width=160, seed=0)


def ensure_scenes(folder: str, numbers: Optional[Sequence[int]] = None,
                  size: Optional[Sequence[int]] = None,
                  fresh: bool = False) -> Tuple[Dict[str, Any], bool]:
    """Make the scenes, or what is missing of them.

    A finished set of other numbers or another size, made by hand, is used as
    it is; what was begun is gone on with.

    Args:
        folder: Where they lie.
        numbers: (train, val), numbers of scenes of a new set.
        size: (height, width) in pixels, of a new set.
        fresh: Make the set anew; what is None stays as it was.

    Returns:
        The arguments of the set, and whether anything was drawn.

    Raises:
        DataError: The folder cannot be used; says why.
    """
    path = Path(folder)
    try:
        found = manifest.load(path) if path.is_dir() else None
        arguments = dict(DEFAULTS, layout=LAYOUT) if found is None \
            else dict(found['arguments'])
        if found is None or fresh:
            arguments.update(zip(('train', 'val'), numbers or ()))
            arguments.update(zip(('height', 'width'), size or ()))
        if arguments['layout'] != LAYOUT or not arguments['val']:
            raise DataError(
                f'{folder} holds scenes in the layout {arguments["layout"]} with '
                f'{arguments["val"]} for validation; the demo wants the layout '
                f'{LAYOUT} with some for both. Name another folder: --data DIR')
        done = found is not None and found['complete'] and not fresh
        generate_scenes(
            path, layout=LAYOUT, train=arguments['train'], val=arguments['val'],
            size=(arguments['height'], arguments['width']),
            seed=arguments['seed'], workers=available_cores(), overwrite=fresh,
            progress=not done)
    except (manifest.ScenesError, OSError, ValueError) as error:
        raise DataError(f'scenes in {folder}: {error}') from error
    return dict(arguments), not done
