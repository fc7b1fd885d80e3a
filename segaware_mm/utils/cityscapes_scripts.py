"""The evaluators of cityscapesscripts, so that they run here and disturb nobody.

Their modules hold global arguments, write files where they lie, print, leave the process
by ``sys.exit`` on bad input, and call ``numpy.in1d``, which numpy 2.4 has no more. What
is loaded here is a copy of a module that no one else imports: arguments set on it are
not those of the toolboxes, and only it sees a numpy with ``in1d``. numpy itself and the
package's own modules stay as they are.
"""

import importlib.util
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from io import StringIO
from types import ModuleType
from typing import Any, Iterator

import numpy as np

PIXEL = 'evalPixelLevelSemanticLabeling'
INSTANCE = 'evalInstanceLevelSemanticLabeling'


class _NumpyWithIn1d(ModuleType):
    """numpy, and the function that numpy 2.0 deprecated for ``isin``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def in1d(ar1: Any, ar2: Any, assume_unique: bool = False,
             invert: bool = False) -> np.ndarray:
        return np.isin(np.ravel(ar1), ar2, assume_unique=assume_unique, invert=invert)


@lru_cache(maxsize=None)
def load_evaluator(name: str) -> ModuleType:
    """Return a copy of an evaluator that is ours alone.

    Args:
        name (str): :data:`PIXEL` or :data:`INSTANCE`.

    Raises:
        ImportError: cityscapesscripts is not installed.
    """
    try:
        spec = importlib.util.find_spec(f'cityscapesscripts.evaluation.{name}')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError as error:
        raise ImportError(
            'the official scores of Cityscapes need the package cityscapesscripts: '
            f'pip install cityscapesscripts ({error})', name=error.name) from error
    module.np = _NumpyWithIn1d('numpy')
    return module


@contextmanager
def official() -> Iterator[None]:
    """Run an evaluator in silence; what it cannot read is an error, no exit.

    Raises:
        ValueError: With what the evaluator said before it left.
    """
    said = StringIO()
    try:
        with redirect_stdout(said):
            yield
    except SystemExit as error:
        last = said.getvalue().strip().rpartition('ERROR: ')[2]
        raise ValueError(f'cityscapesscripts: {last}') from error
