"""scenes.json: what an output folder holds, and whether it is finished.

It lets a killed run go on, and keeps a run with other arguments from mixing
two sets in one folder.
"""

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from .classes import CLASS_NAMES
from .layouts import LAYOUTS, Layout
from .render import GENERATOR_VERSION

MANIFEST = 'scenes.json'
_GENERATOR = 'segaware_mm procedural scenes'


class ScenesError(RuntimeError):
    """Something about the output folder that the user can mend."""


def build(arguments: Dict[str, Any], complete: bool) -> Dict[str, Any]:
    """Return the manifest of a set made with ``arguments``."""
    layout = LAYOUTS[arguments['layout']]()
    return dict(
        generator=_GENERATOR,
        generator_version=GENERATOR_VERSION,
        arguments=arguments,
        complete=complete,
        class_ids=_class_ids(layout))


def load(folder: Path) -> Optional[Dict[str, Any]]:
    """Read the manifest of a folder.

    Returns:
        The manifest; None if the folder is new or empty.

    Raises:
        ScenesError: If the folder holds other things, or a manifest that
            cannot be read.
    """
    path = folder / MANIFEST
    if not path.exists():
        if any(folder.iterdir()):
            raise ScenesError(
                f'{folder} is not empty and holds no {MANIFEST}, so it was '
                'not made by this program. Choose another --out, or an empty '
                'folder.')
        return None
    try:
        content = json.loads(path.read_text())
        known = (content['generator'] == _GENERATOR
                 and content['arguments']['layout'] in LAYOUTS
                 and isinstance(content['complete'], bool)
                 and isinstance(content['generator_version'], int)
                 and all(
                     isinstance(content['arguments'][key], int)
                     for key in ('train', 'val')))
    except (ValueError, KeyError, TypeError, OSError):
        known = False
    if not known:
        raise ScenesError(f'{path} cannot be read as the manifest of a set of '
                          'scenes. Delete the folder by hand, or choose '
                          'another --out.')
    return content


def check_same(folder: Path, found: Dict[str, Any], arguments: Dict[str, Any],
               wanted_version: int = GENERATOR_VERSION,
               what: str = 'scenes') -> None:
    """Raise ScenesError, naming each difference, if the arguments differ.

    Args:
        folder: Output folder.
        found: Its manifest.
        arguments: Those asked for now.
        wanted_version: Of the generator.
        what: Is generated; for the message.
    """
    differences: List[str] = []
    for key in {**arguments, **found['arguments']}:
        had, wanted = found['arguments'].get(key), arguments.get(key)
        if had != wanted:
            differences.append(f'{key}: there {had}, asked {wanted}')
    version = found['generator_version']
    if version != wanted_version:
        differences.append(
            f'generator version: there {version}, now {wanted_version}')
    if differences:
        raise ScenesError(
            f'{folder} holds {what} made with other arguments '
            f'({"; ".join(differences)}). Use the same arguments, another '
            '--out, or --overwrite to replace them.')


def _class_ids(layout: Layout) -> Dict[str, int]:
    return {CLASS_NAMES[i]: v for i, v in layout.class_ids.items()}
