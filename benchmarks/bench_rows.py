"""What programs share that measure every row in a process of its own."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from bench_report import (
    RESULTS,
    command_line,
    cpu_name,
    slug,
    today,
    versions,
    versions_line,
    write_text,
)

#: Load above which times are not to be trusted.
BUSY = 0.5


def rows_parser(program: str, doc: str, budget: float, threads: int = 2,
                repeats: int = 7,
                unsaved_with: str = '--quick') -> argparse.ArgumentParser:
    """Return a parser with the options that every such program has.

    Args:
        program: Name of the program's file.
        doc: Its docstring, of which the first line describes it.
        budget: Default seconds for the timed runs of a row.
        threads: Default number of threads.
        repeats: Default number of timed runs of a row, at most.
        unsaved_with: The options with which no table is saved.
    """
    p = argparse.ArgumentParser(prog=program, description=doc.split('\n')[0])
    p.add_argument('--threads', type=int, default=threads,
                   help='default: %(default)s')
    p.add_argument('--repeats', type=int, default=repeats,
                   help='timed runs of a row, at most (default: %(default)s)')
    p.add_argument('--budget', type=float, default=budget, metavar='S',
                   help='seconds for the timed runs of a row (default: %(default)g)')
    p.add_argument('--quick', action='store_true',
                   help='a trial at small sizes, whatever others are asked for; the '
                   'numbers mean nothing')
    p.add_argument('--out', type=Path, metavar='FILE',
                   help='where the page goes (default: benchmarks/results/, but '
                   f'nowhere with {unsaved_with})')
    return p


def run_row(command: Sequence[str], row: Dict[str, Any],
            limit: Optional[float] = None) -> Dict[str, Any]:
    """Measure one row in a fresh process.

    Args:
        command: Program and options, which the row follows as JSON.
        row: With ``threads``, their number.
        limit: Seconds after which it is given up; None: never.

    Returns:
        The dict, in JSON, of the last line that the process prints; ``{'error': why}``
        where it died or took too long.
    """
    threads = str(row['threads'])
    env = dict(os.environ, OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads,
               PYTHONWARNINGS='ignore')
    try:
        done = subprocess.run([sys.executable, *command, json.dumps(row)], env=env,
                              capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {'error': f'given up after {limit:g} s'}
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        found = None
    if done.returncode == 0 and isinstance(found, dict):
        return found
    lines = done.stderr.strip().splitlines()
    why = f'killed by signal {-done.returncode}' if done.returncode < 0 \
        else f'exit code {done.returncode}'
    return {'error': why + (f': {lines[-1]}' if lines else '')}


def machine(program: str, threads: int, argv: Sequence[str]) -> List[str]:
    """Return the facts at the head of a page; warn on a busy machine."""
    load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else 0.
    if load > BUSY:
        print(f'warning: the machine is busy (load {load:.1f}): times will be too '
              'long; measure again when it rests', file=sys.stderr)
    return [
        f'device: {cpu_name()}, {os.cpu_count()} cores; {threads} threads',
        f'versions: {versions_line(versions())}',
        f'date: {today()}; load before the run: {load:.2f}',
        f'command: `{command_line(f"benchmarks/{program}", argv)}`',
    ]


def runs_text(result: Dict[str, Any]) -> str:
    """Return how many runs were timed."""
    count = result['runs']
    return '1 run' if count == 1 else f'{count} runs'


def title(text: str, quick: bool) -> str:
    """Return the title of a page, which says where it is a trial."""
    return f'# {text}' + (' (a trial, the numbers mean nothing)' if quick else '')


def place(stem: str, out: Optional[Path], save: bool) -> Optional[Path]:
    """Return where a page goes; to be asked before the rows, whose date it has.

    Args:
        stem: The first part of its name in ``benchmarks/results/``.
        out: The file asked for.
        save: Whether it is to be saved where no file was asked for.
    """
    if out is None and save:
        return RESULTS / f'{stem}_{slug(cpu_name())}_{today()}.md'
    return out


def finish(text: str, out: Optional[Path]) -> None:
    """Write a page to ``out``; where that is None, print it."""
    if out is None:
        print('\n' + text)
    else:
        write_text(out, text)
        print(f'written: {out}')
