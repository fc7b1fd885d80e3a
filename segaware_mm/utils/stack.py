"""Which of the two stacks is installed, and the repairs that it needs.

``mm`` are the original OpenMMLab packages, ``onedl`` their maintained forks
under other distribution names and the same import names. Versions are read
from the installed distributions: the forks have no ``version_info``, and
nothing heavy is imported to ask.
"""

from importlib import metadata
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .checkpoint import allow_checkpoint_globals
from .config_packages import map_config_packages

#: Import name -> distribution that provides it, per stack.
DISTRIBUTIONS: Dict[str, Dict[str, str]] = {
    'mm': {
        'mmcv': 'mmcv',
        'mmengine': 'mmengine',
        'mmseg': 'mmsegmentation',
        'mmdet': 'mmdet',
    },
    'onedl': {
        'mmcv': 'onedl-mmcv',
        'mmengine': 'onedl-mmengine',
        'mmseg': 'onedl-mmsegmentation',
        'mmdet': 'onedl-mmdetection',
    },
}

#: Versions the tests run with (those of constraints.txt). Others may work.
TESTED: Dict[str, str] = {
    'torch': '2.13.0',
    'numpy': '2.3.5',
    'numba': '0.68.1',
    'scipy': '1.17.1',
    'opencv-python-headless': '4.13.0.92',
    'mmcv': '2.1.0',
    'mmengine': '0.10.7',
    'mmsegmentation': '1.2.2',
    'mmdet': '3.3.0',
    'onedl-mmcv': '2.3.6',
    'onedl-mmengine': '0.10.12',
    'onedl-mmsegmentation': '1.4.2',
    'onedl-mmdetection': '3.5.1',
}


class Stack(NamedTuple):
    """What is installed.

    Attributes:
        name (str): 'mm', 'onedl', 'mixed' (parts of both) or 'none'.
        versions (dict): Import name -> (distribution, version) for the
            toolboxes found.
        clashes (tuple[str]): Import names that distributions of both stacks
            provide, so that the files of one lie over those of the other.
    """

    name: str
    versions: Dict[str, Tuple[str, str]]
    clashes: Tuple[str, ...]


def version_of(distribution: str) -> Optional[str]:
    """Return the version of an installed distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def detect_stack() -> Stack:
    """Look at the installed distributions; import nothing."""
    versions: Dict[str, Tuple[str, str]] = {}
    clashes: List[str] = []
    found = set()
    for stack, names in DISTRIBUTIONS.items():
        for module, distribution in names.items():
            version = version_of(distribution)
            if version is None:
                continue
            found.add(stack)
            if module in versions:
                clashes.append(module)
            versions[module] = (distribution, version)
    name = 'mixed' if len(found) > 1 else (found or {'none'}).pop()
    return Stack(name, versions, tuple(clashes))


def is_tested(distribution: str, version: str) -> bool:
    """Whether the tests run with this version (a local part is ignored)."""
    wanted = TESTED.get(distribution)
    return wanted is None or version.split('+')[0] == wanted


def prepare_stack() -> Stack:
    """Apply every repair of the installed stack; return what is installed.

    ``import segaware_mm`` calls it, so that it holds for upstream's own tools
    too. Repairs for packages that are missing are left out. May be called
    again at any time.
    """
    allow_checkpoint_globals()
    map_config_packages()
    return detect_stack()


def skips_by_itself(loop: Any) -> bool:
    """Whether a resumed loop goes on without loading what was trained on.

    The forks' loops do where they are told to.
    """
    return bool(getattr(loop, 'fast_forward_on_resume', False))


class ForwardedIterator:
    """A data iterator that stands behind the batches a resumed loop skips.

    The original loop skips by taking batches, the forks' by ``skip_iter``.

    Args:
        iterator (Iterator): Gives the first batch after those.
        to_skip (int): How many batches the loop is going to skip.
    """

    def __init__(self, iterator: Iterator, to_skip: int) -> None:
        self.iterator = iterator
        self.to_skip = to_skip

    def skip_iter(self, num_iters: int) -> None:
        """Skip at once."""
        self.to_skip -= num_iters

    def __next__(self) -> Any:
        """Return the next batch; nothing while the loop skips."""
        if self.to_skip > 0:
            self.to_skip -= 1
            return None
        return next(self.iterator)
