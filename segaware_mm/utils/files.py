"""Files appear whole or not at all: a name beside the target first."""

import errno
import glob
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import List, Union

PathLike = Union[str, Path]


def part_of(path: PathLike) -> Path:
    """Return the name that ``path`` has while it is written."""
    path = Path(path)
    return path.parent / f'.{path.name}.{os.getpid()}.part'


def write_atomic(path: PathLike, content: bytes) -> None:
    """Write a file so that it never lies half under its name.

    Args:
        path (str or Path): Where; folders are made as needed.
        content (bytes): What to write.
    """
    part = part_of(path)
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        discard(part)


def discard(path: PathLike) -> None:
    """Remove a file where it is there; for ``finally``: an error of its own is hidden.

    Where a file could not be written its removal fails too, and would hide why.
    """
    with suppress(OSError):
        os.unlink(path)


def replace_across(source: PathLike, path: PathLike) -> None:
    """Move a file so that it never lies half under its name, from another disk too."""
    part = part_of(path)
    try:
        os.replace(source, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        try:
            shutil.copyfile(source, part)
            os.replace(part, path)
        finally:
            discard(part)
        os.unlink(source)


def remove_parts(folder: PathLike, deep: bool = False,
                 of: str = '') -> List[Path]:
    """Remove what killed runs left of their writes.

    Args:
        folder (str or Path): It may be absent.
        deep (bool): Whether the folders in it are looked through too.
        of (str): Name of the file that was written; without it all files count.

    Returns:
        list[Path]: The paths removed.
    """
    pattern = f'.{glob.escape(of)}.*.part' if of else '.*.part'
    parts = list(Path(folder).glob(f'**/{pattern}' if deep else pattern))
    for part in parts:
        part.unlink(missing_ok=True)  # several processes clean up
    return parts
