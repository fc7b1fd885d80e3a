"""mmengine's Runner with errors that name the file, and exact resume."""

from typing import Dict, Optional, Union

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from .data_errors import check_not_empty, find_empty, name_files
from .errors import CheckpointError
from .reproducible import IterationSeedHook, with_seeded_batches
from .sampler_check import check_sampler, tell_batch_size


@RUNNERS.register_module()
class CheckedRunner(Runner):
    """:class:`mmengine.runner.Runner`; the same arguments.

    What it adds: errors of a data pipeline name the file, an empty split is
    said so, as is a checkpoint of another optimizer, and with
    ``exact_resume=True`` in the config a resumed training has the losses of an
    uninterrupted one.
    """

    def build_dataloader(self, dataloader: Union[DataLoader, Dict],
                         seed: Optional[int] = None,
                         diff_rank_seed: bool = False) -> DataLoader:
        """Build a dataloader; see the class."""
        key = self._split_of(dataloader)
        dataloader = tell_batch_size(dataloader)
        try:
            loader = super().build_dataloader(dataloader, seed, diff_rank_seed)
        except ValueError as error:
            # mmengine's datasets pack their list and cannot pack an empty one.
            if 'need at least one array' in str(error):
                find_empty(dataloader['dataset'], key)
            raise
        check_not_empty(loader.dataset, key)
        name_files(loader.dataset)
        check_sampler(loader, self.optim_wrapper)
        return loader

    def _split_of(self, dataloader: Union[DataLoader, Dict]) -> str:
        """Return the config key of a dataloader's dataset.

        What arrives here may be a copy, so the datasets are compared.
        """
        for split in ('train', 'val', 'test'):
            own = getattr(self, f'_{split}_dataloader')
            if isinstance(own, dict) and isinstance(dataloader, dict) and \
                    own.get('dataset') == dataloader.get('dataset'):
                return f'{split}_dataloader.dataset'
        return 'dataset'

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Resume from a checkpoint; see the class."""
        try:
            super().resume(filename, *args, **kwargs)
        except ValueError as error:
            if 'parameter group' not in str(error):
                raise
            raise CheckpointError(
                f'{filename}: the state of its optimizer is of other groups of '
                f'parameters than those of the config ({error}). Set '
                'optim_wrapper as it was (paramwise_cfg, frozen parts), or start a '
                f'new training from the weights: --cfg-options load_from={filename}'
            ) from error

    def build_train_loop(self, loop: Union[BaseLoop, Dict]) -> BaseLoop:
        """Build the training loop; see the class."""
        if isinstance(loop, dict) and self.cfg.get('exact_resume') and \
                isinstance(self._train_dataloader, dict):
            self._train_dataloader = with_seeded_batches(
                self._train_dataloader, self.seed)
            self.register_hook(IterationSeedHook())
        return super().build_train_loop(loop)


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config.

    Args:
        cfg (Config): A fitted config. A ``runner_type`` of its own is
            honoured, as upstream does, and goes without the additions.

    Returns:
        Runner: Not started.
    """
    if 'runner_type' in cfg:
        print_log(f'runner_type={cfg.runner_type!r}: data errors may not name '
                  'the file, and a resumed run may differ', logger='current')
        return RUNNERS.build(cfg)
    return CheckedRunner.from_cfg(cfg)
