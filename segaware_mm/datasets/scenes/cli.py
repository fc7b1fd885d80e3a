"""Command line of the generator."""

import argparse
import sys
from typing import List, Optional

from .generate import generate_scenes
from .layouts import LAYOUTS
from .manifest import ScenesError
from .workers import available_cores


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``tools/make_scenes.py``."""
    parser = argparse.ArgumentParser(
        description='Write procedural scenes to disk as a data set: images '
        'with class masks, instances and image labels. The same arguments '
        'give the same files; a killed run goes on where it stopped.')
    parser.add_argument('--layout', choices=sorted(LAYOUTS), default='mmseg',
                        help='folder layout (default: mmseg)')
    parser.add_argument('--out', required=True, help='output folder')
    parser.add_argument('--train', type=int, default=400,
                        help='number of training scenes (default: 400)')
    parser.add_argument('--val', type=int, default=100,
                        help='number of validation scenes (default: 100)')
    parser.add_argument('--size', type=int, nargs=2, default=(128, 160),
                        metavar=('H', 'W'),
                        help='height and width in pixels (default: 128 160)')
    parser.add_argument('--seed', type=int, default=0,
                        help='seed of the whole set (default: 0)')
    parser.add_argument('--kinds', type=int, metavar='N',
                        help='classes of objects in a scene, 0 to 8, beside sky '
                        'and ground (default: any number, six on average)')
    parser.add_argument('--workers', type=int, default=available_cores(),
                        help='number of processes (default: the cores of '
                        'this machine)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace scenes made with other arguments')
    return parser


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command line.

    Returns:
        0 if the set is complete, 2 on an error (said on stderr), 130 if the
        user stopped it.
    """
    args = build_parser().parse_args(argv)
    try:
        out = generate_scenes(**vars(args))
    except (ScenesError, ValueError) as error:
        print(f'make_scenes: error: {error}', file=sys.stderr)
        return 2
    except (OSError, RuntimeError) as error:
        print(
            f'make_scenes: error: {error}. Finished scenes are kept; the '
            'same command goes on from there.', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('make_scenes: stopped. The same command goes on from here.',
              file=sys.stderr)
        return 130
    print(f'{args.train} + {args.val} scenes, {args.layout} layout: {out}')
    return 0
