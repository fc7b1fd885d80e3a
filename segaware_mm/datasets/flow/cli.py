"""Command line of the generator of flow pairs."""

import argparse
import sys
from typing import List, Optional

from ..scenes.manifest import ScenesError
from ..scenes.workers import available_cores
from .generate import generate_flow


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``tools/make_flow.py``."""
    parser = argparse.ArgumentParser(
        description='Write procedural pairs with exact optical flow to disk: '
        'textured layers that move over each other. The same arguments give the '
        'same files; a killed run goes on where it stopped.')
    parser.add_argument('--out', required=True, help='output folder')
    parser.add_argument('--train', type=int, default=2000,
                        help='number of training pairs (default: 2000)')
    parser.add_argument('--val', type=int, default=100,
                        help='number of validation pairs (default: 100)')
    parser.add_argument('--size', type=int, nargs=2, default=(80, 96),
                        metavar=('H', 'W'),
                        help='height and width in pixels (default: 80 96)')
    parser.add_argument('--seed', type=int, default=0,
                        help='seed of the whole set (default: 0)')
    parser.add_argument('--workers', type=int, default=available_cores(),
                        help='number of processes (default: the cores of '
                        'this machine)')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace pairs made with other arguments')
    return parser


def main(argv: Optional[List[str]] = None) -> int:
    """Run the command line.

    Returns:
        0 if the set is complete, 2 on an error (said on stderr), 130 if the
        user stopped it.
    """
    args = build_parser().parse_args(argv)
    try:
        out = generate_flow(**vars(args))
    except (ScenesError, ValueError) as error:
        print(f'make_flow: error: {error}', file=sys.stderr)
        return 2
    except (OSError, RuntimeError) as error:
        print(f'make_flow: error: {error}. Finished pairs are kept; the same '
              'command goes on from there.', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('make_flow: stopped. The same command goes on from here.',
              file=sys.stderr)
        return 130
    print(f'{args.train} + {args.val} pairs: {out}')
    return 0
