#!/usr/bin/env python
"""Train the rows of camvid_rows.py and write the table of their scores.

A finished row is not trained again, an interrupted one goes on from its last
checkpoint. See benchmarks/README.md.
"""

import argparse
import shlex
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_report import (  # noqa: E402
    RESULTS,
    ROOT,
    command_line,
    today,
    write_text,
)
from camvid_job import Job, RowError, train  # noqa: E402
from camvid_rows import ROWS, Row  # noqa: E402
from camvid_table import make_page  # noqa: E402


def select(rows: Sequence[Row], patterns: Sequence[str]) -> List[Row]:
    """Return the rows of these names (shell patterns), all for none.

    Raises:
        ValueError: A pattern fits no row.
    """
    for pattern in patterns:
        if not any(fnmatchcase(row.name, pattern) for row in rows):
            raise ValueError(f'--only {pattern}: there is no such row; there '
                             f'are {", ".join(row.name for row in rows)}')
    return [row for row in rows if not patterns or any(
        fnmatchcase(row.name, pattern) for pattern in patterns)]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = argparse.ArgumentParser(
        prog='camvid.py', description=__doc__.split('\n')[0])
    p.add_argument('--only', nargs='+', default=[], metavar='NAME',
                   help='train these rows alone; shell patterns will do')
    p.add_argument('--seeds', type=int, nargs='+', default=[0],
                   help='train every row with each of these (default: 0)')
    p.add_argument('--list', action='store_true',
                   help='print the rows and how far they are')
    p.add_argument('--dry-run', action='store_true',
                   help='print the commands and run none')
    p.add_argument('--collect', action='store_true',
                   help='train nothing, write the table of what is finished')
    p.add_argument('--threads', type=int,
                   help='of the trainings (default: as OMP_NUM_THREADS says)')
    p.add_argument('--work-dir', type=Path,
                   default=ROOT / 'work_dirs' / 'camvid',
                   help='parent of the work dirs (default: work_dirs/camvid)')
    p.add_argument('--out', type=Path, metavar='FILE',
                   help='where the table goes (default: benchmarks/results/, '
                   'but nowhere with --cfg-options)')
    p.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                   help='further options for every row, for a trial; give '
                   'another --work-dir too')
    return p


def write_page(jobs: Sequence[Job], failures: Dict[str, str], command: str,
               out: Optional[Path]) -> None:
    """Write, or print, the table of what is finished."""
    results: List[Dict[str, Any]] = []
    missing: List[Tuple[str, str]] = []
    waiting: List[Tuple[int, int]] = []
    for job in jobs:
        why, done = failures.get(job.name), None
        try:
            done = None if why else job.result()
        except RowError as error:
            why = str(error)
        if done:
            results.append(done)
        else:
            missing.append((job.name, why or job.state()))
            if job.row.is_peer:
                waiting.append((job.iterations, job.seed))
    text = make_page(results, missing, command, today(), waiting)
    if out is None:
        print('\n' + text)
    else:
        write_text(out, text)
        print(f'written: {out}')


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Train and collect; return the exit code: 0, 1 where a row failed."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(argv)
    # Commands are printed, and run, as seen from the project's folder.
    parent = args.work_dir.resolve()
    if ROOT in parent.parents:
        parent = parent.relative_to(ROOT)
    try:
        wanted = {row.name for row in select(ROWS, args.only)}
    except ValueError as error:
        parser().error(str(error))
    jobs = [Job(row, seed, args.cfg_options, parent)
            for seed in args.seeds for row in ROWS]
    todo = [job for job in jobs if job.row.name in wanted]
    if args.dry_run:
        for job in todo:
            print(shlex.join(['python', *job.train]))
        return 0
    if args.list:
        for job in todo:
            print(f'{job.name:24} {job.row.label:52} {job.state()}')
        return 0
    out = args.out.resolve() if args.out else None
    if out is None and not args.cfg_options:
        out = RESULTS / f'camvid_{today()}.md'
    return work(jobs, [] if args.collect else todo, args.threads, out,
                command_line('benchmarks/camvid.py', argv))


def work(jobs: Sequence[Job], todo: Sequence[Job], threads: Optional[int],
         out: Optional[Path], command: str) -> int:
    """Train ``todo``, with a new table after every row; return the exit code."""
    failures: Dict[str, str] = {}
    for k, job in enumerate(todo, 1):
        print(f'[{k}/{len(todo)}] {job.name}: {job.state()}', flush=True)
        try:
            if job.result() is None:
                done = train(job, threads)
                print(f'  mIoU {done["scores"]["mIoU"]:.2f}', flush=True)
        except RowError as error:
            failures[job.name] = str(error)
            print(f'  {error}', file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print('\ninterrupted; the same command goes on from the last '
                  'checkpoint', file=sys.stderr)
            return 130
        if out is not None and k < len(todo):
            write_page(jobs, failures, command, out)
    write_page(jobs, failures, command, out)
    return int(bool(failures))


if __name__ == '__main__':
    sys.exit(main())
