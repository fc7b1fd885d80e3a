"""The folder of the scenes: can it be written, by one writer at a time."""

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

try:
    import fcntl
except ImportError:  # not on Windows: there two runs must not share a folder
    fcntl = None

from ...utils.files import part_of
from .manifest import ScenesError

#: Seconds to wait for a folder in which another process writes.
LOCK_WAIT = 10.0


def remove_files(folder: Path, relative_paths: Iterator[str]) -> None:
    """Remove files, then the folders that are empty without them."""
    parents = set()
    for name in relative_paths:
        path = folder / name
        path.unlink(missing_ok=True)
        parents.update(p for p in path.parents if folder in p.parents)
    for parent in sorted(parents, key=lambda p: len(p.parts), reverse=True):
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def make_folder(folder: Path) -> None:
    """Make the output folder and try to write there.

    Raises:
        ScenesError: If that is not possible, with the reason.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = part_of(folder / 'probe')
        probe.write_bytes(b'')
        probe.unlink()
    except OSError as error:
        raise ScenesError(
            f'cannot write into {folder}: {error.strerror or error}. Choose '
            'another --out, or change its permissions.') from error


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder.

    Forked workers share it, and the system frees it when the last process
    that holds it has ended. So a rerun after a kill waits for workers that
    are still at their last scene.

    Raises:
        ScenesError: If other processes hold it for longer than LOCK_WAIT.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    deadline = time.monotonic() + LOCK_WAIT
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ScenesError(
                        f'another run is writing into {folder} just now. '
                        'Wait for it, or choose another --out.') from None
                time.sleep(0.05)
                continue
            except OSError:  # some network file systems have no locks
                pass
            break
        yield
    finally:
        os.close(descriptor)
