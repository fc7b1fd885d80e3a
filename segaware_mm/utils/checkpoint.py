"""Read checkpoints without running code that hides in them.

Nothing here falls back to ``weights_only=False``. The fork of mmengine does,
with a warning; :func:`check_checkpoint` before the Runner ends first.
"""

import os
import os.path as osp
import re
import warnings
import zipfile
from pickle import UnpicklingError
from typing import Any, List, Mapping

from .safe_globals import (
    ENVIRONMENT_VARIABLE,
    mmengine_globals,
    numpy_globals,
    user_globals,
)

#: First bytes of files that are often saved under the name of a checkpoint.
IMPOSTORS = {
    b'<': 'is a web page: the download brought an error or a login form. '
          'Download the file itself.',
    b'version https://git-lfs': 'is a pointer of git-lfs, not the file: run '
                                '"git lfs pull".',
}


#: Modules that no checkpoint has a reason to refer to.
NEVER = ('builtins', 'ctypes', 'importlib', 'nt', 'os', 'pickle', 'posix', 'runpy',
         'shutil', 'socket', 'subprocess', 'sys')


class CheckpointFileError(RuntimeError):
    """A checkpoint that cannot be read; the text says why and what to do."""


def is_remote(path: str) -> bool:
    """Say whether ``path`` has a scheme such as 'https://'."""
    return bool(re.match(r'[\w.+-]{2,}:(\w+:)?//', path))


def restricts_by_default() -> bool:
    """Whether this torch reads only weights unless told otherwise (>= 2.6)."""
    import torch
    major, minor = re.match(r'(\d+)\.(\d+)', torch.__version__).groups()
    return (int(major), int(minor)) >= (2, 6)


def allow_checkpoint_globals() -> None:
    """Let ``torch.load`` read mmengine's own checkpoints, and no others.

    Does nothing without torch, and for torch < 2.6, where mmengine loads
    without any restriction.
    """
    try:
        import torch
    except ImportError:
        return
    if restricts_by_default():
        torch.serialization.add_safe_globals(
            numpy_globals() + mmengine_globals() + user_globals())


def load_checkpoint(path: str) -> Any:
    """Load a local checkpoint to the CPU, weights and known objects only.

    Args:
        path (str): A file that ``torch.save`` wrote. The weights of a zip
            file are mapped, not read.

    Returns:
        Any: Its content, mostly a dict.

    Raises:
        CheckpointFileError: Names the file, what is wrong, and what to do.
    """
    import torch
    if not osp.isfile(path):
        raise CheckpointFileError(
            f'the checkpoint {path} does not exist (looked for '
            f'{osp.abspath(path)}).{_beside(path)}')
    allow_checkpoint_globals()
    if not restricts_by_default():
        warnings.warn(
            f'torch {torch.__version__} cannot tell an honest checkpoint from '
            f'a hostile one; {path} may run code. torch >= 2.6 can.',
            stacklevel=2)
    try:
        return torch.load(
            path,
            map_location='cpu',
            weights_only=restricts_by_default(),
            mmap=zipfile.is_zipfile(path))
    except (UnpicklingError, EOFError, OSError, RuntimeError, ValueError, KeyError,
            AttributeError, TypeError, IndexError, AssertionError) as error:
        raise CheckpointFileError(_explain(path, error)) from error


def check_checkpoint(path: str) -> None:
    """Check that a checkpoint can be read and holds weights.

    Args:
        path (str): A file; an address of a remote one is not checked.

    Raises:
        CheckpointFileError: As :func:`load_checkpoint`, and for a file
            without weights.
    """
    if is_remote(path):
        return
    content = load_checkpoint(path)
    weights = content.get('state_dict', content) if isinstance(
        content, Mapping) else None
    if not isinstance(weights, Mapping) or not any(
            hasattr(value, 'shape') for value in weights.values()):
        held = (f'the keys {", ".join(map(str, list(content)[:6]))}' if isinstance(
            content, Mapping) else f'a {type(content).__name__}')
        raise CheckpointFileError(
            f'{path} holds {held} and no weights. Wanted is a dict of tensors, '
            'or a dict with such a one under "state_dict".')


def unknown_globals(path: str, error: BaseException) -> List[str]:
    """Return the Python objects a file refers to that are not allowed."""
    import torch
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (AttributeError, ValueError, RuntimeError, UnpicklingError, EOFError):
        names = re.findall(r'[Uu]nsupported (?:global: )?GLOBAL (\S+)', str(error))
    return sorted(set(names))


def _explain(path: str, error: BaseException) -> str:
    """Say what is wrong with a file and how to mend it."""
    size = osp.getsize(path)
    with open(path, 'rb') as file:
        head = file.read(64)
    if size == 0:
        return (f'{path} is empty: writing or copying it was interrupted. Copy '
                f'it again, or use another.{_beside(path)}')
    for start, text in IMPOSTORS.items():
        if head.lstrip().startswith(start):
            return f'{path} {text}'
    if head[:2] == b'PK' and not zipfile.is_zipfile(path):
        return (f'{path} is cut short at {size} bytes: writing, copying or '
                'downloading it was interrupted. Get it again, or use '
                f'another.{_beside(path)}')
    names = unknown_globals(path, error)
    refused = [name for name in names if name.partition('.')[0] in NEVER]
    if refused or 'asks for the attribute' in str(error):
        found = re.search(r'the file asks for .*', str(error))
        what = found.group() if found else f'it refers to {", ".join(refused)}'
        return (f'{path} is refused: {what}. No checkpoint needs that; the file '
                'may be made to do harm. Do not load it.')
    if names:
        listed = ','.join(names)
        stem = osp.splitext(path)[0]
        return (
            f'{path} refers to Python objects beside weights: {", ".join(names)}.\n'
            'Through such references a file can run any code, so they are not '
            'followed.\n'
            'Where you trust its source, name them before the command:\n'
            f'  {ENVIRONMENT_VARIABLE}={listed}\n'
            'or save the weights alone, where you trust it:\n'
            f'  python -c "import torch; c = torch.load(\'{path}\', '
            'map_location=\'cpu\', weights_only=False); torch.save('
            "dict(state_dict=c.get('state_dict', c)), "
            f'\'{stem}_weights.pth\')"')
    reason = (str(error).strip() or 'no text').splitlines()[0]
    return (f'{path} ({size} bytes) cannot be read as a checkpoint: it is '
            f'another kind of file, or damaged.{_beside(path)}\n'
            f'  {type(error).__name__}: {reason}')


def _beside(path: str) -> str:
    """Name the checkpoints in the same folder."""
    folder = osp.dirname(path) or '.'
    names = sorted(
        name for name in (os.listdir(folder) if osp.isdir(folder) else ())
        if name.endswith(('.pth', '.pt')) and name != osp.basename(path))
    more = ', ...' if len(names) > 6 else ''
    return f' Beside it lie: {", ".join(names[:6])}{more}.' if names else ''
