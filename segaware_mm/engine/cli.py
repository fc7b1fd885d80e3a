"""The command lines of the tools: upstream's own arguments, and the ending.

The arguments are those of mmsegmentation's and mmdetection's own scripts, so
that a command written for them works here.
"""

import argparse
import os
import sys
from typing import Any, Callable, Optional

from mmengine.config import DictAction
from mmengine.dist import get_dist_info

from .errors import message_of
from .explain import explain

TRAIN_NOTES = """\
beyond upstream's script:
  label_check.num_batches=20   the labels of the first batches are checked on
                               the CPU; 0 turns the check off
  exact_resume=True            (default where randomness.seed is set) a resumed
                               run has the losses of an uninterrupted one
  data_root=DIR                is handed down to the datasets
Set SEGAWARE_MM_TRACEBACK=1 to see the traceback behind a message.
"""


class KeyValueAction(DictAction):
    """mmengine's ``DictAction`` that names an option without '='."""

    def __call__(self, parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace, values: Any,
                 option_string: Optional[str] = None) -> None:
        """Add the options to the namespace."""
        for value in values or ():
            if '=' not in value:
                parser.error(f'{option_string} wants KEY=VALUE, got {value!r}')
        super().__call__(parser, namespace, values, option_string)


def _shared(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training and testing share."""
    parser.add_argument(
        '--work-dir',
        help='folder for logs and weights (default: ./work_dirs/CONFIG_STEM)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=KeyValueAction, metavar='KEY=VALUE',
        help='change settings of the config; lists as key="[a,b]" or key=a,b')
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none', help='how the processes were started')
    # torchrun passes --local-rank, older launchers --local_rank.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def _checkpoint(path: str) -> str:
    """Refuse a config where ``--resume`` takes a checkpoint."""
    if path.endswith('.py'):
        raise argparse.ArgumentTypeError(
            f'{path} is a config, which comes first: train.py {path} --resume')
    return path


def train_parser() -> argparse.ArgumentParser:
    """Return the parser of ``tools/train.py``."""
    parser = argparse.ArgumentParser(
        prog='train.py',
        description='Train a model of an mmsegmentation or mmdetection config',
        epilog=TRAIN_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume', nargs='?', type=_checkpoint, const='auto', metavar='CKPT',
        help='go on from this checkpoint; without a path, from the last one '
        'in the work dir')
    parser.add_argument(
        '--amp', action='store_true',
        help='mixed precision (bfloat16 autocast on the CPU)')
    parser.add_argument(
        '--auto-scale-lr', action='store_true',
        help='scale the learning rate with the batch size')
    _shared(parser)
    return parser


def test_parser() -> argparse.ArgumentParser:
    """Return the parser of ``tools/test.py``."""
    parser = argparse.ArgumentParser(
        prog='test.py',
        description='Test a model of an mmsegmentation or mmdetection config')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file of weights')
    parser.add_argument(
        '--out',
        help='where predictions go: a folder of label images (mmseg), or a '
        '.pkl file')
    parser.add_argument(
        '--show', action='store_true', help='show predictions on screen')
    parser.add_argument('--show-dir', help='folder for painted predictions')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds per shown image')
    parser.add_argument(
        '--tta', action='store_true', help='test time augmentation')
    _shared(parser)
    return parser


def run_tool(work: Callable[[argparse.Namespace], None],
             args: argparse.Namespace) -> int:
    """Run ``work(args)``; turn what the user can mend into one message.

    Args:
        work (callable): The tool's work.
        args (Namespace): Parsed arguments.

    Returns:
        int: Exit code: 0 done, 2 something to mend, 130 interrupted.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    try:
        work(args)
    except KeyboardInterrupt as interrupt:
        print('\ninterrupted' + ''.join(f'; {text}' for text in interrupt.args),
              file=sys.stderr)
        return 130
    except Exception as error:
        message = message_of(error) or explain(error)
        if message is None or os.environ.get('SEGAWARE_MM_TRACEBACK'):
            raise
        # Before the processes know each other all of them find the same
        # mistake; one of them says so.
        _, world_size = get_dist_info()
        if world_size > 1 or os.environ.get('RANK', '0') == '0':
            print(f'error: {message}', file=sys.stderr, flush=True)
        return 2
    return 0
