"""End a training before its last iteration, in a state that can be resumed.

Two reasons: a budget of time is used up, or the user pressed Ctrl-C. In both
the iteration is finished and a checkpoint written by mmengine's own hook.
Meant for loops over iterations; one over epochs ends after its epoch.
"""

import signal
import sys
import threading
import time
from typing import Any, Optional

import torch
from mmengine.dist import broadcast, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner


def end_after_iteration(runner: Runner) -> None:
    """Let the running iteration be the last, and write its checkpoint.

    To be called from ``after_train_iter`` of a hook that runs before
    mmengine's CheckpointHook (priority VERY_LOW).
    """
    runner.train_loop.stop_training = True
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook):
            hook.interval = 1


class TimeBudgetHook(Hook):
    """End the training before it lasts longer than a budget.

    A resumed training goes on with what is left. The budget holds for the
    iterations and for validations between them; a last validation after an
    early end comes on top.

    Args:
        seconds (float): The budget, > 0, by the clock.
    """

    priority = 'LOW'
    #: Where the time used is kept in checkpoints.
    KEY = 'time_budget_used'

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise ValueError(f'seconds of TimeBudgetHook must be > 0, got {seconds}')
        self.seconds = float(seconds)
        self.ended = False
        self.used = 0.
        self._last = 0.

    def before_train(self, runner: Runner) -> None:
        """Start the clock at what earlier runs have used."""
        self.ended = False
        self.used = float(runner.message_hub.get_info(self.KEY, 0.))
        self._last = time.monotonic()

    def after_train_iter(self, runner: Runner, batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """End here where another iteration like this would exceed the budget."""
        now = time.monotonic()
        step, self._last = now - self._last, now
        self.used += step
        runner.message_hub.update_info(self.KEY, self.used)
        over = self.used + step > self.seconds
        if get_world_size() > 1:  # all processes end at the same iteration
            flag = torch.tensor([int(over)])
            broadcast(flag)
            over = bool(flag.item())
        if over and runner.iter + 1 < runner.max_iters:
            self.ended = True
            end_after_iteration(runner)
            runner.logger.info(
                f'the budget of {self.seconds:g} seconds is used up: the training '
                f'ends after iteration {runner.iter + 1} of {runner.max_iters}')

    def after_train(self, runner: Runner) -> None:
        """Validate, which the loop does after its last iteration alone."""
        if self.ended and runner.val_loop is not None:
            runner.val_loop.run()


class InterruptHook(Hook):
    """Ctrl-C ends the training after the running iteration.

    The second Ctrl-C ends at once, as without this hook.

    Attributes:
        pressed (bool): Whether Ctrl-C came.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self.pressed = False
        self._before: Any = None

    def before_train(self, runner: Runner) -> None:
        """Take over the signal, in the main thread, and not in a background
        job: its shell has it ignored, so that Ctrl-C is for others."""
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        """Remember the first; leave the second to Python."""
        self.pressed = True
        self.restore()
        print('\nstopping after this step; Ctrl-C again stops at once',
              file=sys.stderr, flush=True)

    def restore(self) -> None:
        """Give the signal back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def after_train_iter(self, runner: Runner, batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """End here where Ctrl-C was pressed."""
        if self.pressed:
            end_after_iteration(runner)

    def after_val_iter(self, runner: Runner, batch_idx: int,
                       data_batch: Any = None, outputs: Any = None) -> None:
        """A validation has nothing to save: end at once."""
        if self.pressed:
            raise KeyboardInterrupt

    def after_train(self, runner: Runner) -> None:
        """Give the signal back."""
        self.restore()
        if self.pressed and runner.iter < runner.max_iters:
            raise KeyboardInterrupt
