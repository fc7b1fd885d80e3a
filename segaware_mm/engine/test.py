"""Test: upstream's Runner behind upstream's arguments, with checks before it."""

import argparse
from copy import deepcopy
from typing import Any, Optional, Sequence

from mmengine.config import Config, ConfigDict
from mmengine.evaluator import DumpResults
from mmengine.runner import Runner

from ..utils.stack import prepare_stack
from .atomic import use_atomic_writes
from .checkpoint_fit import CheckpointFitHook
from .checkpoints import check_file
from .cli import run_tool, test_parser
from .config_file import merge_options, read_config
from .distributed import cpu_group
from .errors import ConfigError
from .preflight import check_inputs
from .prepare import prepare_test
from .report import ReportHook
from .runner import build_runner
from .scope import check_scope

PICKLES = ('.pkl', '.pickle')


def draw_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Turn on the hook that paints predictions, as upstream does."""
    hook = (cfg.get('default_hooks') or {}).get('visualization')
    if hook is None:
        raise ConfigError(
            '--show and --show-dir need the visualization hook of the '
            'toolbox in default_hooks: visualization=dict(type='
            "'SegVisualizationHook') or 'DetVisualizationHook'.")
    if not cfg.get('visualizer'):
        raise ConfigError(
            '--show and --show-dir need the visualizer of the toolbox in the '
            "config: visualizer=dict(type='SegLocalVisualizer', name='visualizer', "
            "vis_backends=[dict(type='LocalVisBackend')]), or 'DetLocalVisualizer'.")
    hook['draw'] = True
    if args.show:
        hook['show'] = True
        hook['wait_time'] = args.wait_time
    if args.show_dir and cfg.get('default_scope') == 'mmdet':
        hook['test_out_dir'] = args.show_dir
    elif args.show_dir:
        cfg.visualizer['save_dir'] = args.show_dir


def use_tta(cfg: Config) -> None:
    """Put the model into test time augmentation, as upstream does.

    mmdet has a default for detection; mmseg wants ``tta_model`` and
    ``tta_pipeline`` in the config.
    """
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    if cfg.get('default_scope') == 'mmdet':
        _set_detection_tta(cfg, dataset)
    absent = [key for key in ('tta_model', 'tta_pipeline') if key not in cfg]
    if absent:
        raise ConfigError(f'--tta needs {" and ".join(absent)} in the config.')
    dataset['pipeline'] = cfg.tta_pipeline
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)


def _set_detection_tta(cfg: Config, dataset: dict) -> None:
    """Fill in mmdet's test views, flipped and not, where the config has none."""
    if 'tta_model' not in cfg:
        cfg.tta_model = dict(
            type='DetTTAModel',
            tta_cfg=dict(
                nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))
    if 'tta_pipeline' not in cfg:
        pack = dict(
            type='PackDetInputs',
            meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                       'scale_factor', 'flip', 'flip_direction'))
        flips = [dict(type='RandomFlip', prob=p) for p in (1., 0.)]
        cfg.tta_pipeline = deepcopy(dataset['pipeline'])
        cfg.tta_pipeline[-1] = dict(
            type='TestTimeAug', transforms=[flips, [pack]])


def keep_predictions(cfg: Config, out: str) -> None:
    """Let the metrics write label images to the folder ``out`` (mmseg).

    A ``.pkl`` is left to :func:`dump_predictions`, which needs the runner.
    """
    if out.endswith(PICKLES):
        return
    if cfg.get('default_scope') == 'mmdet':
        raise ConfigError(f'--out {out}: detections go into a .pkl file.')
    node = cfg.test_evaluator
    for metric in node if isinstance(node, (list, tuple)) else [node]:
        metric['output_dir'] = out
        metric['keep_results'] = True


def dump_predictions(runner: Runner, cfg: Config, out: str) -> None:
    """Add a metric that writes all predictions to a ``.pkl`` file."""
    metric: Any = DumpResults
    if cfg.get('default_scope') == 'mmdet':
        from mmdet.evaluation import DumpDetResults
        metric = DumpDetResults  # masks as run lengths
    runner.test_evaluator.metrics.append(metric(out_file_path=out))


def test(args: argparse.Namespace) -> None:
    """Test as the command line says.

    Args:
        args (Namespace): As from :func:`segaware_mm.engine.cli.test_parser`.
    """
    prepare_stack()
    cfg = read_config(args.config)
    notes = merge_options(cfg, args.cfg_options)
    notes += prepare_test(cfg, args)
    check_scope(cfg)
    check_file(args.checkpoint)
    check_inputs(cfg, ('test', ), weights=False)
    if args.show or args.show_dir:
        draw_predictions(cfg, args)
    if args.tta:
        use_tta(cfg)
    if args.out:
        keep_predictions(cfg, args.out)
    use_atomic_writes()
    with cpu_group(cfg):
        runner = build_runner(cfg)
        runner.register_hook(CheckpointFitHook('test', args.checkpoint))
        runner.register_hook(ReportHook(cfg, notes))
        if args.out and args.out.endswith(PICKLES):
            dump_predictions(runner, cfg, args.out)
        runner.test()
        del runner  # before the group that it holds


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``tools/test.py``; return its exit code."""
    return run_tool(test, test_parser().parse_args(argv))
