"""Commands in the docs that tests/test_docs.py leaves out are understood."""

import importlib
import re
import shlex
import sys
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

pytest.importorskip('mmseg')

from segaware_mm.demo.cli import build_parser as demo_parser  # noqa: E402
from segaware_mm.submission.cli import build_parser as submit_parser  # noqa: E402
from segaware_mm.submission.targets import TARGETS  # noqa: E402
from segaware_mm.visualization.cli import build_parser as picture_parser  # noqa: E402
from segaware_mm.visualization.region_table import (  # noqa: E402
    build_parser as region_parser,
)

REPO = Path(__file__).resolve().parents[2]
BENCHMARKS = str(REPO / 'benchmarks')
sys.path.insert(0, BENCHMARKS)
try:
    bench_trainings = importlib.import_module('bench_trainings')
    camvid = importlib.import_module('camvid')
    flow = importlib.import_module('flow')
    local_attention = importlib.import_module('local_attention')
    mnc = importlib.import_module('mnc')
    mnc_steps = importlib.import_module('mnc_steps')
    refinement = importlib.import_module('refinement')
    region_ops = importlib.import_module('region_ops')
    region_plan = importlib.import_module('region_plan')
    test_time = importlib.import_module('test_time')
    transfer = importlib.import_module('transfer')
finally:
    sys.path.remove(BENCHMARKS)

PARSERS = {
    'benchmarks/camvid.py': camvid.parser,
    'benchmarks/flow.py': flow.parser,
    'benchmarks/local_attention.py': local_attention.parser,
    'benchmarks/mnc.py': mnc.parser,
    'benchmarks/mnc_steps.py': mnc_steps.parser,
    'benchmarks/refinement.py': refinement.parser,
    'benchmarks/region_ops.py': region_ops.parser,
    'benchmarks/test_time.py': test_time.parser,
    'benchmarks/transfer.py': transfer.parser,
    'tools/demo.py': lambda: demo_parser('configs'),
    'tools/region_stats.py': region_parser,
    'tools/submit.py': submit_parser,
    'tools/visualize.py': picture_parser,
}
TABLES = {'benchmarks/camvid.py': camvid.TABLE, 'benchmarks/flow.py': flow.TABLE,
          'benchmarks/mnc.py': mnc.TABLE, 'benchmarks/transfer.py': transfer.TABLE}
#: Program -> its section in benchmarks/README.md.
SECTIONS = {'camvid.py': 'CamVid', 'flow.py': 'Flow',
            'local_attention.py': 'Local attention', 'mnc_steps.py': 'MNC',
            'refinement.py': 'Refinement', 'region_ops.py': 'Regions and heads',
            'test_time.py': 'Settings of a test'}
PAGES = (REPO / 'README.md', REPO / 'benchmarks' / 'README.md',
         *sorted((REPO / 'docs').glob('*.md')))


def commands() -> Iterator[Tuple[str, List[str]]]:
    """Every command of the programs above in a code block: program, arguments."""
    for page in PAGES:
        for block in re.findall(r'^```\w*\n(.*?)^```$', page.read_text(), re.M | re.S):
            for line in block.replace('\\\n', ' ').splitlines():
                if not line.startswith(('python ', 'make ')):
                    continue
                words = shlex.split(line, comments=True)
                if words[1] in PARSERS:
                    yield words[1], words[2:]
                elif words[:2] == ['make', 'demo']:
                    given = dict(word.split('=', 1) for word in words[2:])
                    yield 'tools/demo.py', shlex.split(given.get('ARGS', ''))


def test_every_program_stands_in_the_docs():
    assert {program for program, _ in commands()} == set(PARSERS)


@pytest.mark.parametrize('program, arguments', list(commands()))
def test_commands_are_understood(program, arguments, capsys):
    args = PARSERS[program]().parse_args(arguments)
    if program in TABLES:
        assert bench_trainings.select(TABLES[program].rows, args.only)
    elif program == 'benchmarks/region_ops.py':
        rows = region_plan.plan(args.channels, args.quick, args.slow)
        assert region_plan.select(rows, args.only)
    elif program == 'benchmarks/refinement.py':
        assert set(args.rows) <= set(refinement.ROWS)
    elif program == 'tools/submit.py':
        assert args.target in TARGETS
    elif program == 'benchmarks/test_time.py':
        assert (REPO / args.config).is_file() and set(args.only) <= set(test_time.ROWS)
    elif program == 'tools/region_stats.py':
        assert args.images
    elif program not in ('benchmarks/local_attention.py', 'benchmarks/mnc_steps.py'):
        assert args.out


@pytest.mark.parametrize('program', sorted(SECTIONS))
def test_options_in_the_text_exist(program):
    """`--slow --limit 1800` and the like, between the code blocks."""
    text = (REPO / 'benchmarks' / 'README.md').read_text()
    section = text.split(f'\n## {SECTIONS[program]}\n')[1].split('\n## ')[0]
    known = PARSERS[f'benchmarks/{program}']().format_help()
    prose = re.sub(r'^```.*?^```$', '', section, flags=re.M | re.S)
    named = set(re.findall(r'`(--[a-z-]+)', prose))
    assert named and all(option in known for option in named), named
