"""Command line of ``tools/submit.py``."""

import argparse
import sys
from typing import List, Optional, Sequence

from ..engine.cli import KeyValueAction, run_tool
from .problem import Problem
from .proof import count_of
from .targets import TARGETS

NOTES = """\
one command for a target, and one that looks at an archive:
  submit.py TARGET CONFIG CHECKPOINT --out FILE [--images DIR] [--tta]
  submit.py validate FILE --target TARGET [--images DIR]
A killed run goes on with the same command. Exit code: 0 an archive without problems, 1
problems were found (validate), 2 something to mend, 130 interrupted.
"""
IMAGES = ('the test set: a folder, a list of names (.txt), or image information of '
          'COCO (.json)')


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog='submit.py', epilog=NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Turn a config and a checkpoint into the archive that a test server '
        'takes, and prove it before the upload')
    parts = parser.add_subparsers(dest='target', required=True, metavar='TARGET')
    for name, target in TARGETS.items():
        part = parts.add_parser(name, help=f'{target.task}, {target.suffix}',
                                description=f'Predict for {name}')
        _add_job(part, target.suffix)
    part = parts.add_parser('validate', help='list the problems of an archive',
                            description='List what a server would refuse in an archive')
    part.add_argument('file', help='an archive, or a folder of its tree')
    part.add_argument('--target', dest='target', required=True, choices=list(TARGETS),
                      help='where it is to be sent')
    part.add_argument('--images', help=f'{IMAGES}; without it the official number '
                      'of images is wanted')
    part.set_defaults(validate=True)
    parser.set_defaults(local_rank=0, validate=False)
    return parser


def _add_job(part: argparse.ArgumentParser, suffix: str) -> None:
    """Add what a prediction wants."""
    part.add_argument('config', help='config file')
    part.add_argument('checkpoint', help='file of weights')
    part.add_argument('--out', required=True, metavar='FILE',
                      help=f'the archive, *{suffix}')
    part.add_argument('--images', help=f"{IMAGES} (default: the config's test data)")
    part.add_argument('--tta', action='store_true',
                      help='test time augmentation, as the config has it (tta_model, '
                      'tta_pipeline)')
    part.add_argument('--name', default='', help='of the submission; COCO wants one')
    part.add_argument('--work-dir', metavar='DIR',
                      help='folder of finished images and logs (default: FILE.work)')
    part.add_argument(
        '--cfg-options', nargs='+', action=KeyValueAction, metavar='KEY=VALUE',
        help='change settings of the config; lists as key="[a,b]" or key=a,b')


# Imported when they work: the help comes at once.
def _submit(args: argparse.Namespace) -> None:
    from .job import submit
    submit(args)


def _validate(args: argparse.Namespace) -> List[Problem]:
    from .job import validate
    return validate(args)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run ``tools/submit.py``; return its exit code."""
    args = build_parser().parse_args(argv)
    found: List[Problem] = []
    if not args.validate:
        return run_tool(_submit, args)
    code = run_tool(lambda args: found.extend(_validate(args)), args)
    for problem in found:
        print(problem)
    if not code:
        print(f'{args.file}: {count_of(found) if found else "no problem found"}',
              file=sys.stderr if found else sys.stdout)
    return code or int(bool(found))
