"""Checkpoints: which is the last whole one, and can it be read."""

import glob
import os.path as osp
import re
import zipfile
from typing import Optional

from mmengine.logging import print_log

from ..utils.checkpoint import CheckpointFileError, check_checkpoint
from .errors import CheckpointError


def is_whole(path: str) -> bool:
    """Say whether a checkpoint is complete, as far as can be told cheaply.

    ``torch.save`` writes a zip archive, whose table of contents comes last:
    a file cut short has none. Folders and the older format pass.
    """
    if osp.isdir(path):
        return True
    if not osp.isfile(path) or osp.getsize(path) == 0:
        return False
    with open(path, 'rb') as file:
        is_zip = file.read(2) == b'PK'
    return zipfile.is_zipfile(path) if is_zip else True


def latest_checkpoint(work_dir: str) -> Optional[str]:
    """Return the checkpoint to resume from, or None.

    It is the one that ``last_checkpoint`` names, beside it where it lies there
    (the work dir may have been copied or moved). Where a kill left that file
    empty, or the checkpoint is gone or cut short, it is the newest whole
    ``iter_*.pth`` or ``epoch_*.pth``.

    Args:
        work_dir (str): A work dir; it may be absent.
    """
    pointer = osp.join(work_dir, 'last_checkpoint')
    if osp.isfile(pointer):
        with open(pointer) as file:
            named = file.read().strip()
        for path in (osp.join(work_dir, osp.basename(named)), named):
            if named and is_whole(path):
                return path
        print_log(f'{pointer} names {named or "nothing"}, which is not a whole '
                  'checkpoint; the newest whole one is taken', logger='current')

    def number(path: str) -> int:
        return int(re.findall(r'(\d+)\.pth$', path)[0])

    found = [
        path for kind in ('iter', 'epoch')
        for path in glob.glob(osp.join(glob.escape(work_dir), f'{kind}_*.pth'))
        if re.search(r'_\d+\.pth$', path) and is_whole(path)
    ]
    return max(found, key=number) if found else None


def check_file(path: str) -> None:
    """Check that a checkpoint is there, can be read and holds weights.

    Args:
        path (str): Path or URL; a URL is not checked.

    Raises:
        CheckpointError: Says what is wrong with the file.
    """
    try:
        check_checkpoint(osp.expanduser(path))
    except CheckpointFileError as error:
        raise CheckpointError(str(error)) from error
