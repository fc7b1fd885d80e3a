"""The Python objects that a checkpoint of mmengine holds beside weights.

Since torch 2.6 ``torch.load`` reads weights and plain containers alone, and
mmengine 0.10.7 does not name the rest: a training could not be resumed. A
Runner's checkpoint holds its message hub, that is ``HistoryBuffer`` objects,
which hold numpy arrays and references to their own statistics functions.

Such a reference is pickled as ``getattr(HistoryBuffer, 'mean')``. Allowing
``getattr`` itself would open every attribute of every allowed object to a
hostile file, so the name is answered by a function that hands out these few
references and nothing else.
"""

import importlib
import os
from pickle import UnpicklingError
from typing import Any, Callable, List, Tuple, Union

#: Further names to allow, separated by commas: ``module.Class,other.Class``.
ENVIRONMENT_VARIABLE = 'SEGAWARE_MM_SAFE_GLOBALS'

#: Data types whose arrays and numbers may stand in a checkpoint.
DTYPES = ('bool', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16',
          'uint32', 'uint64', 'float16', 'float32', 'float64')

#: numpy moved its internals from ``core`` to ``_core`` in 2.0.
NUMPY_CORES = ('numpy._core', 'numpy.core')

SafeGlobal = Union[Callable, Tuple[Callable, str]]


def history_statistic(owner: Any, name: str) -> Callable:
    """Stand in for ``getattr`` while a checkpoint is read.

    Args:
        owner (Any): What the file asks an attribute of.
        name (str): The attribute.

    Returns:
        Callable: A statistics function of mmengine's ``HistoryBuffer``.

    Raises:
        UnpicklingError: Where anything else is asked for.
    """
    from mmengine.logging.history_buffer import HistoryBuffer
    known = HistoryBuffer._statistics_methods
    if owner is not HistoryBuffer or name not in known:
        what = getattr(owner, '__name__', type(owner).__name__)
        raise UnpicklingError(
            f'the file asks for the attribute {name!r} of {what}, which no '
            'checkpoint of mmengine needs')
    return known[name]


def numpy_globals() -> List[SafeGlobal]:
    """Return what plain numpy arrays and numbers are rebuilt with."""
    import numpy as np
    try:
        from numpy._core import multiarray
    except ImportError:  # numpy < 1.26
        from numpy.core import multiarray
    known: List[SafeGlobal] = [np.ndarray, np.dtype]
    for core in NUMPY_CORES:
        for name in ('_reconstruct', 'scalar'):
            known.append((getattr(multiarray, name), f'{core}.multiarray.{name}'))
    return known + [type(np.dtype(name)) for name in DTYPES]


def mmengine_globals() -> List[SafeGlobal]:
    """Return what a message hub is rebuilt with; [] without mmengine."""
    try:
        from mmengine.logging.history_buffer import HistoryBuffer
    except ImportError:
        return []
    HistoryBuffer()  # registers its default statistics
    return [HistoryBuffer, (history_statistic, 'builtins.getattr')]


def user_globals() -> List[SafeGlobal]:
    """Return the objects that the environment variable names.

    Raises:
        ValueError: A name cannot be imported, or is a builtin.
    """
    listed = os.environ.get(ENVIRONMENT_VARIABLE, '').replace(' ', '').split(',')
    found: List[SafeGlobal] = []
    for name in filter(None, listed):
        module, _, attribute = name.rpartition('.')
        if module in ('', 'builtins'):
            raise ValueError(
                f'{ENVIRONMENT_VARIABLE} holds {name!r}; wanted are names like '
                'module.Class. Builtins are not allowed.')
        try:
            found.append((getattr(importlib.import_module(module), attribute), name))
        except (ImportError, AttributeError) as error:
            raise ValueError(
                f'{ENVIRONMENT_VARIABLE} holds {name!r}, which cannot be '
                f'imported ({error}). Correct or unset it.') from error
    return found
