"""Fit a config to the command line and to the machine.

Every adjustment is made on the config itself, so that the copy in the work
dir says what was run, and is remarked upon in the log.
"""

import argparse
import os
import os.path as osp
from typing import Any, List

from mmengine.config import Config
from mmengine.device import get_device

from .amp import CpuAmpOptimWrapper
from .config_nodes import type_name
from .errors import ConfigError

SYNC_NORMS = ('SyncBN', 'MMSyncBN', 'SyncBatchNorm')


def set_work_dir(cfg: Config, args: argparse.Namespace) -> None:
    """Set the work dir: command line, else config, else ./work_dirs/STEM.

    Raises:
        ConfigError: Where no folder can be made there, or nothing written.
    """
    if args.work_dir:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        stem = osp.splitext(osp.basename(args.config))[0]
        cfg.work_dir = osp.join('./work_dirs', stem)
    place = osp.abspath(cfg.work_dir)
    while not osp.exists(place):
        place = osp.dirname(place)
    if not osp.isdir(place) or not os.access(place, os.W_OK | os.X_OK):
        what = 'cannot be written to' if osp.isdir(place) else 'is a file'
        raise ConfigError(f'the work dir {cfg.work_dir} cannot be used: {place} '
                          f'{what}. Name another folder with --work-dir.')


def check_launcher(launcher: str, script: str) -> None:
    """Check that the launcher that is named has started this process.

    Args:
        launcher (str): As of ``--launcher``.
        script (str): The shell script that starts the processes.

    Raises:
        ConfigError: Where torchrun has not.
    """
    if launcher == 'pytorch' and 'RANK' not in os.environ:
        raise ConfigError(
            '--launcher pytorch is for processes that torchrun starts (RANK is not '
            f'set). Start them with: bash tools/{script} ...; or leave --launcher '
            'out for one process.')


def use_plain_batchnorm(cfg: Config) -> List[str]:
    """Replace SyncBN by BN where it cannot run; return remarks.

    torch's SyncBatchNorm works on CUDA, in a process group. Without a group,
    or where the group runs on the CPU, it is BN over the batch of a process.
    """
    on_cpu = get_device() == 'cpu'
    if cfg.get('launcher', 'none') != 'none' and not on_cpu:
        return []
    count = _replace_sync(cfg.get('model'))
    if on_cpu and cfg.get('sync_bn'):
        cfg.sync_bn = None
        count += 1
    if not count:
        return []
    why = 'SyncBN runs on CUDA alone' if on_cpu else 'there is one process'
    return [f'SyncBN became BN in {count} place(s) of the model: {why}']


def _replace_sync(node: Any) -> int:
    """Replace the sync norms below ``node``; return how many there were."""
    if isinstance(node, dict):
        count = 0
        if type_name(node) in SYNC_NORMS:
            node['type'] = 'BN'
            count = 1
        return count + sum(_replace_sync(node[key]) for key in node)
    if isinstance(node, (list, tuple)):
        return sum(_replace_sync(part) for part in node)
    return 0


def use_cpu_group(cfg: Config) -> List[str]:
    """Let several processes work without a GPU; return remarks."""
    if cfg.get('launcher', 'none') == 'none' or get_device() != 'cpu':
        return []
    if cfg.launcher != 'pytorch':
        raise ConfigError(
            f'--launcher {cfg.launcher} needs GPUs. On the CPU start the '
            'processes with tools/dist_train.sh (--launcher pytorch).')
    cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
    wrapper.setdefault('device_ids', None)
    cfg.model_wrapper_cfg = wrapper
    return ['no GPU: the processes talk over gloo and train on the CPU']


def enable_amp(cfg: Config, wanted: bool) -> List[str]:
    """Turn mixed precision on, in the form that the machine has.

    Args:
        cfg (Config): A config.
        wanted (bool): Whether ``--amp`` was given. A config that asks for it
            by itself is fitted to the machine as well.

    Returns:
        list[str]: Remarks.

    Raises:
        ConfigError: Where the optimizer wrapper has no mixed form.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    kind = type_name(wrapper) or 'OptimWrapper'
    on_cpu = CpuAmpOptimWrapper.__name__
    if not wanted and kind not in ('AmpOptimWrapper', on_cpu):
        return []
    if kind not in ('OptimWrapper', 'AmpOptimWrapper', on_cpu):
        raise ConfigError(
            '--amp works with optim_wrapper.type=\'OptimWrapper\'; the config '
            f'has {kind!r}. Leave --amp out, or set the type.')
    if get_device() == 'cpu':
        wrapper['type'] = on_cpu
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)
        import_package(cfg)
        return ['mixed precision on the CPU: autocast to bfloat16, no loss scale']
    if kind == 'AmpOptimWrapper':
        return ['mixed precision is on in the config already'] if wanted else []
    wrapper['type'] = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')
    # The config of a work dir whose training ran on the CPU.
    return ['mixed precision of the CPU became that of the GPU'
            ] if kind == on_cpu else []


def import_package(cfg: Config) -> None:
    """Let the config import segaware_mm, so that its copy loads elsewhere."""
    imports = cfg.get('custom_imports') or dict(
        imports=[], allow_failed_imports=False)
    names = imports['imports']
    names = [names] if isinstance(names, str) else list(names)
    if not any(name.split('.')[0] == 'segaware_mm' for name in names):
        imports['imports'] = names + ['segaware_mm']
        cfg.custom_imports = imports


def enable_auto_scale_lr(cfg: Config) -> None:
    """Turn on the scaling of the learning rate with the batch size."""
    scale = cfg.get('auto_scale_lr')
    if not scale or 'base_batch_size' not in scale:
        raise ConfigError(
            '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=N) in '
            'the config: the batch size that its learning rate is meant for. '
            'Add --cfg-options auto_scale_lr.base_batch_size=N.')
    scale['enable'] = True


def keep_two_checkpoints(cfg: Config) -> List[str]:
    """Keep two checkpoints where the config keeps one; return remarks.

    mmengine deletes the old checkpoint before it has written the new one. A
    kill in between leaves nothing to resume from.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if hook.get('max_keep_ckpts') != 1:
        return []
    hook['max_keep_ckpts'] = 2
    return ['two checkpoints are kept instead of one: a kill while the second '
            'is written leaves the first']


def prepare_train(cfg: Config, args: argparse.Namespace) -> List[str]:
    """Fit a config for training.

    Args:
        cfg (Config): The config with ``--cfg-options`` merged; changed.
        args (Namespace): As from :func:`segaware_mm.engine.cli.train_parser`.

    Returns:
        list[str]: Remarks for the log.
    """
    cfg.launcher = args.launcher
    check_launcher(cfg.launcher, 'dist_train.sh')
    set_work_dir(cfg, args)
    absent = [key for key in ('train_dataloader', 'train_cfg', 'optim_wrapper')
              if cfg.get(key) is None]
    if absent:
        raise ConfigError(f'training needs {", ".join(absent)} in the config.')
    notes = use_plain_batchnorm(cfg) + use_cpu_group(cfg)
    notes += enable_amp(cfg, args.amp) + keep_two_checkpoints(cfg)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    cfg.label_check = {'num_batches': 20, **(cfg.get('label_check') or {})}
    seeded = (cfg.get('randomness') or {}).get('seed') is not None
    if cfg.get('exact_resume') is None:
        cfg.exact_resume = seeded
    elif cfg.exact_resume and not seeded:
        raise ConfigError(
            'exact_resume=True needs a seed in the config: add --cfg-options '
            'randomness.seed=0, or leave exact_resume out.')
    return notes


def prepare_test(cfg: Config, args: argparse.Namespace) -> List[str]:
    """Fit a config for testing.

    Args:
        cfg (Config): The config with ``--cfg-options`` merged; changed.
        args (Namespace): As from :func:`segaware_mm.engine.cli.test_parser`.

    Returns:
        list[str]: Remarks for the log.
    """
    cfg.launcher = args.launcher
    check_launcher(cfg.launcher, 'dist_test.sh')
    set_work_dir(cfg, args)
    absent = [key for key in ('test_dataloader', 'test_cfg', 'test_evaluator')
              if cfg.get(key) is None]
    if absent:
        raise ConfigError(f'testing needs {", ".join(absent)} in the config.')
    cfg.load_from = args.checkpoint
    cfg.resume = False
    return use_plain_batchnorm(cfg) + use_cpu_group(cfg)
