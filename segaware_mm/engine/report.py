"""One line at the start, one at the end: what ran, on what, and where it is."""

import os.path as osp
from typing import Any, List

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook

from ..utils.stack import detect_stack


def stack_line() -> str:
    """Return names and versions of the installed stack."""
    found = [('torch', torch.__version__), *detect_stack().versions.values()]
    return ', '.join(f'{name} {version}' for name, version in found)


def device_line(world_size: int) -> str:
    """Return the device and the number of processes on such devices."""
    device = get_device()
    name = torch.cuda.get_device_name() if device == 'cuda' else device
    threads = f' ({torch.get_num_threads()} threads)' if device == 'cpu' else ''
    return f'{world_size} x {name}{threads}'


def _size(loop: Any) -> str:
    """Return the number of images of a built loop, '-' for none."""
    dataset = getattr(getattr(loop, 'dataloader', None), 'dataset', None)
    return str(len(dataset)) if hasattr(dataset, '__len__') else '-'


class ReportHook(Hook):
    """Say what runs at the start, and where the results are at the end.

    Args:
        cfg (Config): The config of the run.
        notes (list[str]): Remarks on adjustments of the config.
    """

    priority = 'VERY_LOW'

    def __init__(self, cfg: Config, notes: List[str]) -> None:
        self.cfg = cfg
        self.notes = notes

    def before_run(self, runner) -> None:
        """Log the start line and the remarks."""
        sizes = ', '.join(
            f'{split} {_size(getattr(runner, f"_{split}_loop"))}'
            for split in ('train', 'val', 'test')
            if getattr(runner, f'_{split}_loop') is not None
            and not isinstance(getattr(runner, f'_{split}_loop'), dict))
        runner.logger.info(
            f'{self.cfg.filename} | scope {self.cfg.get("default_scope")} | '
            f'{device_line(runner.world_size)} | {stack_line()} | '
            f'images: {sizes} | seed {runner.seed}')
        for note in self.notes:
            runner.logger.info(f'note: {note}')

    def after_run(self, runner) -> None:
        """Log where the results are."""
        lines = [f'work dir: {runner.work_dir}']
        info = runner.message_hub.runtime_info
        for title, key in (('last checkpoint', 'last_ckpt'),
                           ('best checkpoint', 'best_ckpt')):
            path = info.get(key)
            if isinstance(path, str) and osp.isfile(path):
                lines.append(f'{title}: {path}')
        runner.logger.info('done | ' + ' | '.join(lines))
