"""Command line of ``tools/visualize.py``."""

import argparse
import sys
from textwrap import fill
from typing import Optional, Sequence, Tuple

from mmengine.logging import MMLogger

from ..engine.cli import KeyValueAction, run_tool
from .draw import available_views, visualize
from .registry import known_families

NOTES = """
truth is drawn of an image of the config's datasets where these label every pixel.
The model sees the whole image at once, also where the config tests in windows
(test_cfg.mode='slide').
"""


def _notes() -> str:
    """Return what stands below the options: the views of every head."""
    lines = [f'views of {head}: {", ".join(available_views(family))}'
             for head, family in sorted(known_families().items())]
    return '\n'.join(fill(line, 78) for line in lines) + NOTES


def pixel(text: str) -> Tuple[int, int]:
    """Return (x, y) of 'X,Y'.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        x, y = (int(part) for part in text.split(','))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no pixel; wanted is column,row such as 240,180') from None
    return x, y


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog='visualize.py', epilog=_notes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Draw what a trained model sees in images: one PNG per image')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file of weights')
    parser.add_argument('images', nargs='+', metavar='image', help='image files')
    parser.add_argument('--out', required=True, metavar='DIR',
                        help='folder for the pictures, made where absent')
    parser.add_argument('--views', default='all', metavar='NAME,...',
                        help="views to draw, or 'all' (default)")
    parser.add_argument('--pixels', nargs='+', type=pixel, default=[], metavar='X,Y',
                        help='pixels of the image whose masks the view mask draws')
    parser.add_argument(
        '--cfg-options', nargs='+', action=KeyValueAction, metavar='KEY=VALUE',
        help='change settings of the config; lists as key="[a,b]" or key=a,b')
    parser.set_defaults(local_rank=0)
    return parser


def work(args: argparse.Namespace) -> None:
    """Draw as the command line says."""
    MMLogger.get_current_instance().setLevel('WARNING')
    try:
        for path in visualize(args.config, args.checkpoint, args.images, args.out,
                              args.views, args.cfg_options, args.pixels):
            print(f'wrote {path}', flush=True)
    except KeyboardInterrupt:
        print('\nstopped; the pictures named above are whole', file=sys.stderr)
        raise SystemExit(130) from None


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``tools/visualize.py``; return its exit code."""
    return run_tool(work, build_parser().parse_args(argv))
