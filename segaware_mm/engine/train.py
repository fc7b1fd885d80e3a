"""Train: upstream's Runner behind upstream's arguments, with checks before it.

The order: read the config, fit it to the machine, look for what is absent
(toolbox, dataset, weights, checkpoint), and only then build and start.
Nothing is written before the checks have passed.
"""

import argparse
from typing import Optional, Sequence

from mmengine.config import Config
from mmengine.runner import Runner

from ..utils.files import remove_parts
from ..utils.stack import prepare_stack
from .atomic import use_atomic_writes
from .checkpoint_fit import CheckpointFitHook
from .checkpoints import check_file, latest_checkpoint
from .cli import run_tool, train_parser
from .config_file import merge_options, read_config
from .distributed import cpu_group
from .label_check import LabelCheckHook
from .preflight import check_inputs
from .prepare import prepare_train
from .pretrained import check_start, named_downloads
from .report import ReportHook
from .runner import build_runner
from .scope import check_scope


def set_start(cfg: Config, resume: Optional[str]) -> str:
    """Say where the training starts; return a remark, or ''.

    Args:
        cfg (Config): ``resume`` and ``load_from`` are set.
        resume (str, optional): 'auto', a checkpoint, or None.
    """
    if resume is None and cfg.get('resume') and not cfg.get('load_from'):
        resume = 'auto'  # the config asks for it
    if resume is None:
        return ''
    if resume == 'auto':
        resume = latest_checkpoint(cfg.work_dir)
        if resume is None:
            cfg.resume = False
            return (f'resume: no checkpoint in {cfg.work_dir}; starting anew'
                    + (f' from load_from={cfg.load_from}' if cfg.get('load_from')
                       else ''))
    cfg.load_from, cfg.resume = resume, True
    return f'resuming from {resume}'


def add_hooks(runner: Runner, cfg: Config) -> None:
    """Register the checks that look at the running training."""
    if cfg.get('load_from'):
        purpose = 'resume' if cfg.get('resume') else 'load'
        runner.register_hook(CheckpointFitHook(purpose, cfg.load_from))
    has_check = any(isinstance(hook, LabelCheckHook) for hook in runner.hooks)
    if cfg.label_check.num_batches > 0 and not has_check:
        runner.register_hook(LabelCheckHook(**cfg.label_check))


def train(args: argparse.Namespace) -> None:
    """Train as the command line says.

    Args:
        args (Namespace): As from :func:`segaware_mm.engine.cli.train_parser`.
    """
    prepare_stack()
    cfg = read_config(args.config)
    notes = merge_options(cfg, args.cfg_options)
    notes += prepare_train(cfg, args)
    start = set_start(cfg, args.resume)
    notes += [start] if start else []
    check_scope(cfg)
    if cfg.get('load_from'):
        check_file(cfg.load_from)
    check_inputs(cfg, ('train', 'val'), weights=True)
    remove_parts(cfg.work_dir)
    use_atomic_writes()
    with cpu_group(cfg), named_downloads(cfg):
        runner = build_runner(cfg)
        check_start(runner.model)
        add_hooks(runner, cfg)
        runner.register_hook(ReportHook(cfg, notes))
        try:
            runner.train()
        except KeyboardInterrupt:
            last = latest_checkpoint(cfg.work_dir)
            raise KeyboardInterrupt(
                f'`--resume` goes on from {last}' if last else
                'no checkpoint was written yet') from None
        del runner  # before the group that it holds


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``tools/train.py``; return its exit code."""
    return run_tool(train, train_parser().parse_args(argv))
