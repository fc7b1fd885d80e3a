"""Command line of ``tools/demo.py``: three steps, each done once."""

import argparse
import os.path as osp
import sys
import warnings
from typing import Any, Dict, List, Optional, Sequence

from ..engine.cli import KeyValueAction, run_tool
from .pictures import write_pictures
from .record import Record
from .scenes import ensure_scenes
from .training import ensure_trained

RANET = 'ranet/ranet_r18s-d8_1xb8-demo_scenes-128x160.py'
FCN = 'peers/fcn_r18s-d8_1xb8-demo_scenes-128x160.py'
NOTES = """\
The second run takes scenes and weights of the first. After Ctrl-C, or a kill,
the same command goes on where it was.
"""


def _positive(text: str) -> float:
    """Parse a number > 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f'must be more than 0, got {text}')
    return value


def _count(text: str) -> int:
    """Parse an integer >= 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {text}')
    return value


def build_parser(configs: str) -> argparse.ArgumentParser:
    """Return the parser.

    Args:
        configs: Folder of the project's configs.
    """
    parser = argparse.ArgumentParser(
        prog='demo.py', epilog=NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Make scenes, train RANet on them for a few minutes, and '
        'draw what it learnt')
    parser.add_argument('--with-fcn', action='store_true',
                        help='train an FCN as well, and compare')
    parser.add_argument('--fresh', action='store_true',
                        help='make scenes and weights anew; the scenes as '
                        'before where --scenes and --size are not given')
    parser.add_argument('--max-seconds', type=_positive, default=300,
                        metavar='S', help='a training ends after this time '
                        '(default: 300)')
    parser.add_argument('--pictures', type=_count, default=4, metavar='N',
                        help='number of scenes to draw (default: 4)')
    parser.add_argument('--data', default='data/scenes', metavar='DIR',
                        help='folder of the scenes (default: data/scenes)')
    parser.add_argument('--scenes', type=_count, nargs=2,
                        metavar=('TRAIN', 'VAL'),
                        help='numbers of a new set (default: 400 100)')
    parser.add_argument('--size', type=_count, nargs=2,
                        metavar=('H', 'W'),
                        help='pixels of a new set (default: 128 160)')
    parser.add_argument('--work-dir', default='work_dirs/demo', metavar='DIR',
                        help='for logs and weights (default: work_dirs/demo)')
    parser.add_argument('--out', default='outputs/demo', metavar='DIR',
                        help='for the pictures (default: outputs/demo)')
    parser.add_argument('--config', default=osp.join(configs, RANET),
                        help='config of the RANet')
    parser.add_argument('--fcn-config', default=osp.join(configs, FCN),
                        help='config of the FCN')
    parser.add_argument(
        '--cfg-options', nargs='+', action=KeyValueAction, metavar='KEY=VALUE',
        help='change settings of the configs')
    parser.set_defaults(local_rank=0)
    return parser


def say(text: str = '') -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def _result(title: str, record: Record, remark: str, val: int) -> List[str]:
    """Return the lines on one trained model."""
    lines = [f'{title:6} mIoU {record.miou:5.2f} % on {val} scenes it was not '
             f'trained on ({record.iterations} iterations, '
             f'{record.seconds:.0f} s{"; " + remark if remark else ""})']
    if record.cut_short:
        lines.append(
            f'       The time was up after {record.iterations} of the '
            f'{record.planned} iterations, so this is less than the config can '
            'do. More time: --max-seconds S')
    return lines


def demo(args: argparse.Namespace) -> None:
    """Run the three steps."""
    say(f'[1/3] scenes in {args.data}')
    scenes, drawn = ensure_scenes(args.data, args.scenes, args.size, args.fresh)
    say(f'      {scenes["train"]} for training, {scenes["val"]} for validation, '
        f'{scenes["width"]} x {scenes["height"]} pixels'
        + ('' if drawn else '; made before'))

    options: Dict[str, Any] = dict(args.cfg_options or {}, data_root=args.data)
    models = [('RANet', args.config)]
    models += [('FCN', args.fcn_config)] if args.with_fcn else []
    say(f'[2/3] training, at most {args.max_seconds:g} seconds'
        + (' each' if args.with_fcn else ''))
    lines: List[str] = []
    trained: Dict[str, Record] = {}
    for title, config in models:
        folder = osp.join(args.work_dir, osp.splitext(osp.basename(config))[0])
        trained[title], remark = ensure_trained(
            title, config, options, scenes, folder, args.max_seconds, args.fresh)
        lines = _result(title, trained[title], remark, scenes['val'])
        say('\n'.join('      ' + line for line in lines))

    say(f'[3/3] pictures in {args.out}')
    best = trained['RANet']
    files = write_pictures(
        args.config, best.checkpoint, options, args.data, args.out, args.pictures,
        f'RANet after {best.iterations} iterations, mIoU {best.miou:.1f} %')
    say('\n'.join(f'      {path}' for path in files))


def work(args: argparse.Namespace) -> None:
    """Run the demo; say how to go on after Ctrl-C."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # upstream's, on things of its own
        try:
            demo(args)
        except KeyboardInterrupt:
            print('\nstopped; the same command goes on from here', file=sys.stderr)
            raise SystemExit(130) from None


def main(configs: str, argv: Optional[Sequence[str]] = None) -> int:
    """Run ``tools/demo.py``; return its exit code.

    Args:
        configs: Folder of the project's configs.
        argv: Arguments; those of the process where None.
    """
    return run_tool(work, build_parser(configs).parse_args(argv))
