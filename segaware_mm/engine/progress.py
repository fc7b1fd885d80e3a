"""A training in one line of the console, with the time that is left.

Everything else mmengine says goes to the log file of the work dir.
"""

import logging
from typing import Any, Dict, Optional

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from tqdm import tqdm

from ..utils.progress import progress_bar
from .runner import CheckedRunner


class QuietRunner(CheckedRunner):
    """A runner whose console shows errors alone; the log file shows all."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build mmengine's logger and quieten its console."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.ERROR)
        return logger


class ProgressHook(Hook):
    """Show one bar for the training, one for every validation.

    Args:
        title (str): What stands before the bar: the model.

    Attributes:
        scores (dict): Those of the last validation.
    """

    priority = 'VERY_LOW'

    def __init__(self, title: str) -> None:
        self.title = title
        self.scores: Dict[str, float] = {}
        self._train: Optional[tqdm] = None
        self._val: Optional[tqdm] = None

    def before_train(self, runner: Runner) -> None:
        """Open the bar where the training starts."""
        self._train = progress_bar(
            total=runner.max_iters, initial=runner.iter, unit='it',
            desc=f'{self.title}: training')

    def after_train_iter(self, runner: Runner, batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Advance; tell the loss now and then."""
        if outputs and 'loss' in outputs and batch_idx % 10 == 0:
            self._train.set_postfix_str(
                f'loss {float(outputs["loss"]):.2f}', refresh=False)
        self._train.update()
        if runner.iter + 1 >= runner.max_iters or runner.train_loop.stop_training:
            self._train.close()

    def before_val(self, runner: Runner) -> None:
        """Open the bar of a validation."""
        self._val = progress_bar(total=len(runner.val_dataloader), unit='image',
                                 desc=f'{self.title}: validation', leave=False)

    def after_val_iter(self, runner: Runner, batch_idx: int,
                       data_batch: Any = None, outputs: Any = None) -> None:
        """Advance."""
        self._val.update()

    def after_val_epoch(self, runner: Runner,
                        metrics: Optional[Dict[str, float]] = None) -> None:
        """Keep the scores."""
        self._val.close()
        self.scores = dict(metrics or {})

    def close(self) -> None:
        """Close the bars, also after an error."""
        for bar in (self._train, self._val):
            if bar is not None:
                bar.close()
