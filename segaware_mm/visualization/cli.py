"""Command line of ``tools/visualize.py``."""

import argparse
import sys
from typing import Optional, Sequence

from mmengine.logging import MMLogger

from ..engine.cli import KeyValueAction, run_tool
from .draw import visualize

NOTES = """\
views of RANet: image, truth (of an image of the config's datasets), boundary,
regions, representatives, membership, before, after, change
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog='visualize.py', epilog=NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Draw what a trained model sees in images: one PNG per image')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='file of weights')
    parser.add_argument('images', nargs='+', metavar='image', help='image files')
    parser.add_argument('--out', required=True, metavar='DIR',
                        help='folder for the pictures, made where absent')
    parser.add_argument('--views', default='all', metavar='NAME,...',
                        help="views to draw, or 'all' (default)")
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
                              args.views, args.cfg_options):
            print(f'wrote {path}', flush=True)
    except KeyboardInterrupt:
        print('\nstopped; the pictures named above are whole', file=sys.stderr)
        raise SystemExit(130) from None


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``tools/visualize.py``; return its exit code."""
    return run_tool(work, build_parser().parse_args(argv))
