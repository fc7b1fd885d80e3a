"""Files appear whole or not at all.

mmengine writes a checkpoint straight to its final name; a kill in between
leaves a half file there. The backend below takes the place of mmengine's
local one while a tool runs: it writes beside the target and renames.
``last_checkpoint`` is written after the checkpoint and so never points to a
half one; see :func:`segaware_mm.engine.checkpoints.latest_checkpoint` for a
kill between the two.
"""

import glob
import os
import os.path as osp
from contextlib import suppress
from pathlib import Path
from typing import List, Union

from mmengine.fileio import LocalBackend, register_backend


class AtomicLocalBackend(LocalBackend):
    """The local file backend, with writes that a kill cannot halve."""

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        """Write bytes: to ``.NAME.PID.part`` first, then under the name.

        Args:
            obj (bytes): What to write.
            filepath (str or Path): Where; folders are made as needed.
        """
        # The target of a link is written, not the link replaced.
        target = osp.realpath(filepath)
        if osp.exists(target) and not osp.isfile(target):
            super().put(obj, filepath)  # a device or a pipe
            return
        folder, name = osp.split(target)
        part = osp.join(folder, f'.{name}.{os.getpid()}.part')
        try:
            super().put(obj, part)
            os.replace(part, target)
        finally:
            if osp.exists(part):
                os.remove(part)

    def put_text(self, obj: str, filepath: Union[str, Path],
                 encoding: str = 'utf-8') -> None:
        """Write text, as :meth:`put` does."""
        self.put(obj.encode(encoding), filepath)


def use_atomic_writes() -> None:
    """Let mmengine write local files with :class:`AtomicLocalBackend`."""
    register_backend('local', AtomicLocalBackend, force=True, prefixes='')


def remove_parts(folder: str) -> List[str]:
    """Remove what killed runs left of their writes in ``folder``.

    Args:
        folder (str): A work dir; it may be absent.

    Returns:
        list[str]: The paths removed.
    """
    parts = glob.glob(osp.join(glob.escape(folder), '.*.part'))
    for part in parts:
        with suppress(FileNotFoundError):  # several processes clean up
            os.remove(part)
    return parts
