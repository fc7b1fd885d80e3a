"""From a config and a checkpoint to an archive that was proved: ``tools/submit.py``.

The model runs in mmengine's Runner with the config's own test pipeline; the metric
(:mod:`segaware_mm.submission.metric`) writes the images, packs and proves. A run that was
killed goes on: finished images are not predicted again, and where all are finished they
are only packed.
"""

import argparse
import os.path as osp
from typing import Any, List, Optional

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from ..engine.checkpoint_fit import CheckpointFitHook
from ..engine.config_file import merge_options, read_config
from ..engine.errors import UserError, message_of
from ..engine.prepare import prepare_test
from ..engine.progress import QuietRunner
from ..engine.report import ReportHook
from ..engine.scope import check_scope
from ..utils.progress import progress_bar
from ..utils.stack import prepare_stack
from .archive import check_place
from .images import TestImage, find_images
from .metric import SubmissionMetric
from .problem import Problem, SubmissionError
from .proof import count_of, official_count, pack_and_prove
from .settings import Settings, fit_config, read_settings, test_images
from .target import Target, reason
from .targets import get_target
from .work_folder import WorkFolder, file_hash, settings_hash


class ProgressHook(Hook):
    """Show a bar, and know how far a test came.

    Args:
        title: What stands before the bar.
        total: Images of the test set.
        finished: Those that an earlier run has finished.
    """

    priority = 'VERY_LOW'

    def __init__(self, title: str, total: int, finished: int) -> None:
        self.total = total
        self.finished = finished
        self._bar = progress_bar(total=total, initial=finished, unit='image', desc=title)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                        outputs: Any = None) -> None:
        """Advance; the metric has written the image."""
        self.finished += 1
        self._bar.update()

    def close(self) -> None:
        """Close the bar."""
        self._bar.close()

    def place(self) -> str:
        """Say where the run is."""
        if self.finished == self.total:
            return (f'Finished images: {self.total}, all; the same command packs them '
                    'again.')
        return (f'Stopped at image {self.finished + 1} of {self.total}; finished and '
                f'kept: {self.finished}. The same command goes on from there.')


def submit(args: argparse.Namespace) -> None:
    """Predict, pack and prove, as the command line says.

    Args:
        args: As from :func:`segaware_mm.submission.cli.build_parser`.

    Raises:
        UserError: What can be mended; says where the run stopped.
    """
    prepare_stack()
    target = get_target(args.target)
    args.out, args.checkpoint = map(osp.expanduser, (args.out, args.checkpoint))
    target.check(args.out, args.name)
    check_place(args.out)
    cfg = read_config(args.config)
    notes = merge_options(cfg, args.cfg_options)
    check_scope(cfg)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    settings = read_settings(cfg, args.checkpoint, args.tta, target)
    images = test_images(cfg, target, args.images)
    folder = WorkFolder(osp.expanduser(args.work_dir or f'{args.out}.work'))
    with folder.hold():
        _fill(args, cfg, notes, target, settings, images, folder)
    number = count_of(images, 'image')
    print(f'{args.out}: {number}, no problem found. Finished images stay in '
          f'{folder.path}', flush=True)


def _fill(args: argparse.Namespace, cfg: Config, notes: List[str], target: Target,
          settings: Settings, images: List[TestImage], folder: WorkFolder) -> None:
    """Predict what the folder lacks, and pack."""
    folder.claim(dict(
        target=target.name, config=args.config, checkpoint=args.checkpoint,
        checkpoint_hash=file_hash(args.checkpoint),
        settings=settings_hash(settings.model, settings.pipeline,
                                settings.loop),
        classes=settings.classes))
    todo = folder.left(images, target.is_done)
    folder.note(images, todo, settings.classes)
    finished = len(images) - len(todo)
    remark = official_count(target, images)
    for line in (f'{target.name}: {len(images)} images, finished before: {finished}',
                 *([f'note: {remark}'] if remark else ())):
        print(line, flush=True)
    if todo:
        args.work_dir, args.launcher = str(folder.path), 'none'
        fit_config(cfg, settings, folder, dict(
            type=f'mmengine.{SubmissionMetric.__name__}', target=target.name,
            out=args.out, name=args.name, work_dir=str(folder.path),
            images=str(folder.images), claimed=True))
        notes += prepare_test(cfg, args)
        predict(cfg, args.checkpoint, notes,
                ProgressHook(target.name, len(images), finished))
    else:
        pack_and_prove(target, folder.tree, images, args.out, args.name)


def predict(cfg: Config, checkpoint: str, notes: List[str],
            progress: ProgressHook) -> None:
    """Test the images that are to be done.

    Raises:
        UserError: Anything that the user can mend, and where it was met.
    """
    cudnn = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        runner = QuietRunner.from_cfg(cfg)
        for hook in (CheckpointFitHook('test', checkpoint), progress,
                     ReportHook(cfg, notes)):
            runner.register_hook(hook)
        runner.test()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(progress.place()) from None
    except UserError as error:
        raise _with_place(error, progress) from error
    except OSError as error:
        raise SubmissionError(f'{error.filename or "a file"} cannot be written or read: '
                              f'{reason(error)}. {progress.place()}') from error
    except Exception:
        progress.close()
        print(progress.place(), flush=True)
        raise
    finally:
        progress.close()
        torch.backends.cudnn.deterministic = cudnn


def _with_place(error: UserError, progress: ProgressHook) -> UserError:
    return SubmissionError(f'{message_of(error)}\n{progress.place()}')


def validate(args: argparse.Namespace) -> List[Problem]:
    """Return what is wrong with an archive, as the command line says."""
    target = get_target(args.target)
    images: Optional[List[TestImage]] = None
    if args.images is not None:
        images = find_images(args.images, target.pattern)
    return target.validate(osp.expanduser(args.file), images)
