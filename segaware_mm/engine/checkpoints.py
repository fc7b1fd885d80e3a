"""Checkpoints: which is the last whole one, and does it fit the model."""

import glob
import os.path as osp
import re
import zipfile
from typing import List, Mapping, Optional

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

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

    It is the one that ``last_checkpoint`` names (also after the work dir was
    moved). Where a kill left that file empty, or the checkpoint is gone or
    cut short, it is the newest whole ``iter_*.pth`` or ``epoch_*.pth``.

    Args:
        work_dir (str): A work dir; it may be absent.
    """
    pointer = osp.join(work_dir, 'last_checkpoint')
    if osp.isfile(pointer):
        with open(pointer) as file:
            named = file.read().strip()
        for path in (named, osp.join(work_dir, osp.basename(named))):
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


class CheckpointFitHook(Hook):
    """Compare a loaded checkpoint with the model before it is used.

    mmengine loads what matches and warns about the rest, so that a
    checkpoint of another model trains or tests random weights.

    Args:
        purpose (str): 'resume' wants every weight and the state of the
            training; 'test' at least half of the weights, with a warning
            where some are absent; 'load' (``load_from``) at least one.
        path (str): The file, for the messages.
    """

    priority = 'VERY_HIGH'

    #: Least share of the model's weights that a checkpoint must hold.
    LEAST = {'resume': 1.0, 'test': 0.5, 'load': 1e-9}

    def __init__(self, purpose: str, path: str) -> None:
        self.purpose = purpose
        self.path = path

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Check the checkpoint, as read from the disk.

        Raises:
            CheckpointError: Where it is one of another model, or weights
                alone where a state is wanted.
        """
        if self.purpose == 'resume':
            self._check_state(checkpoint)
        self._check_fit(runner, checkpoint.get('state_dict', checkpoint))

    def _check_state(self, checkpoint: Mapping) -> None:
        """Check that the state of a training is in the checkpoint."""
        absent = [key for key in ('meta', 'state_dict', 'optimizer',
                                  'message_hub') if key not in checkpoint]
        if absent:
            raise CheckpointError(
                f'{self.path} holds no {", ".join(absent)}: weights alone, '
                'from which a training cannot go on. To start a new training '
                f'from them: --cfg-options load_from={self.path}')

    def _check_fit(self, runner, weights: Mapping) -> None:
        """Check how many of the model's weights the checkpoint holds."""
        model = bare_model(runner.model)
        wanted = {k: v for k, v in model.state_dict().items()
                  if not k.endswith('num_batches_tracked')}
        given = {re.sub(r'^module\.', '', k): v for k, v in weights.items()}
        absent = [k for k in wanted if k not in given]
        other = [k for k in wanted if k in given
                 and getattr(given[k], 'shape', None) != wanted[k].shape]
        good = len(wanted) - len(absent) - len(other)
        share = good / max(len(wanted), 1)
        text = (f'{self.path}: {good} of the {len(wanted)} weights of the model '
                f'({100 * share:.0f} %) are in the checkpoint'
                + _examples('absent', absent)
                + _examples('of another shape', [
                    f'{k} {tuple(getattr(given[k], "shape", ()))}, wanted '
                    f'{tuple(wanted[k].shape)}' for k in other])
                + _examples('unknown to the model',
                            [k for k in given if k not in wanted
                             and not k.endswith('num_batches_tracked')]))
        if share < self.LEAST[self.purpose]:
            raise CheckpointError(
                text + '\nThe checkpoint belongs to another model or config.'
                + (' To start a new training from what fits: --cfg-options '
                   f'load_from={self.path}' if self.purpose == 'resume' else ''))
        if good < len(wanted):
            runner.logger.warning(
                text + '\nThe others keep their initial values.')


def bare_model(model: nn.Module) -> nn.Module:
    """Return the model inside wrappers for several processes or test views."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def _examples(title: str, names: List[str]) -> str:
    """Return a line with a count and the first three names, or ''."""
    if not names:
        return ''
    more = ', ...' if len(names) > 3 else ''
    return f'\n  {title}: {len(names)} ({", ".join(names[:3])}{more})'
