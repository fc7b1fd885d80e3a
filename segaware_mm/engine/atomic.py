"""mmengine writes files whole or not at all.

mmengine writes a checkpoint straight to its final name; a kill in between
leaves a half file there. The backend below takes the place of mmengine's
local one while a tool runs: it writes beside the target and renames.
``last_checkpoint`` is written after the checkpoint and so never points to a
half one; see :func:`segaware_mm.engine.checkpoints.latest_checkpoint` for a
kill between the two.
"""

import os.path as osp
from pathlib import Path
from typing import Union

from mmengine.fileio import LocalBackend, register_backend

from ..utils.files import write_atomic


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
        write_atomic(target, obj)

    def put_text(self, obj: str, filepath: Union[str, Path],
                 encoding: str = 'utf-8') -> None:
        """Write text, as :meth:`put` does."""
        self.put(obj.encode(encoding), filepath)


def use_atomic_writes() -> None:
    """Let mmengine write local files with :class:`AtomicLocalBackend`."""
    register_backend('local', AtomicLocalBackend, force=True, prefixes='')
