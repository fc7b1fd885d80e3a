"""Train one model of the demo within its time, or take the trained one."""

import os.path as osp
from typing import Any, Dict, Tuple

from mmengine.runner import Runner

from ..engine.atomic import use_atomic_writes
from ..engine.checkpoints import latest_checkpoint
from ..engine.cli import train_parser
from ..engine.config_file import merge_options, read_config
from ..engine.early_end import InterruptHook, TimeBudgetHook
from ..engine.preflight import check_inputs
from ..engine.prepare import prepare_train
from ..engine.progress import ProgressHook, QuietRunner
from ..engine.scope import check_scope
from ..engine.train import add_hooks, set_start
from ..utils.files import remove_parts
from . import record as records
from .record import Record


def ensure_trained(title: str, config: str, options: Dict[str, Any],
                   scenes: Dict[str, Any], work_dir: str, seconds: float,
                   fresh: bool = False) -> Tuple[Record, str]:
    """Train the model of a config, go on with its training, or find it done.

    Args:
        title: What the progress line calls it.
        config: Config file.
        options: As of ``--cfg-options``.
        scenes: Arguments of the scenes.
        work_dir: For checkpoints, logs and the record.
        seconds: Budget of the training.
        fresh: Forget what is there.

    Returns:
        The record of the training, and a remark on how it came about.

    Raises:
        UserError: Config or folders; says what to mend.
        KeyboardInterrupt: Ctrl-C, with a checkpoint to go on from.
    """
    cfg = read_config(config)
    merge_options(cfg, options)
    settings = records.fingerprint(cfg, scenes)
    found = records.read(work_dir)
    same = found is not None and found.settings == settings
    if same and not fresh and found.finished and osp.isfile(found.checkpoint):
        # More time than then: a training that was cut short goes on.
        if not (found.cut_short and seconds > found.seconds + 1):
            return found, 'trained before; --fresh trains anew'
    if found is not None and not same and not fresh:
        print(f'      {title}: settings changed: training anew', flush=True)
    if fresh or not same:
        records.clear(work_dir)
    records.write(work_dir, Record(settings))

    args = train_parser().parse_args([config, '--work-dir', work_dir])
    prepare_train(cfg, args)
    # A name would make this the visualizer of the last training here, with its
    # folder; without one it is called after the training.
    cfg.get('visualizer', {}).pop('name', None)
    resumes = latest_checkpoint(work_dir) is not None
    set_start(cfg, 'auto' if resumes else None)
    check_scope(cfg)
    check_inputs(cfg, ('train', 'val'), weights=True)
    remove_parts(work_dir)
    use_atomic_writes()
    runner = QuietRunner.from_cfg(cfg)
    add_hooks(runner, cfg)
    record = _train(runner, title, seconds)
    record.settings = settings
    record.checkpoint = latest_checkpoint(work_dir) or ''
    records.write(work_dir, record)
    return record, 'went on with an earlier run' if resumes else ''


def _train(runner: Runner, title: str, seconds: float) -> Record:
    """Run the training and the validation; return what is known then."""
    budget, interrupt = TimeBudgetHook(seconds), InterruptHook()
    progress = ProgressHook(title)
    for hook in (interrupt, budget, progress):
        runner.register_hook(hook)
    try:
        runner.train()
        if not progress.scores:  # it ended after the training last time
            runner.val_loop.run()
    finally:
        interrupt.restore()
        progress.close()
    return Record('', True, '', float(progress.scores['mIoU']), runner.iter,
                  runner.max_iters, round(budget.used, 1))
