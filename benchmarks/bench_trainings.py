"""Tables whose rows are trainings: the command line, and what is done row by row.

A finished row is not trained again, an interrupted one goes on from its last
checkpoint, and the table is written anew after every row.
"""

import argparse
import shlex
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Type

from bench_report import RESULTS, ROOT, command_line, today, write_text
from camvid_job import Job, RowError, train
from camvid_rows import Row


class Table(NamedTuple):
    """A table of trainings.

    Attributes:
        name: Of its program, its page and its work dirs.
        about: What the program does, one line.
        rows: All rows.
        make_page: From results, (row, why) of the others, command, date, and
            (iterations, seed) of the peers that are not finished, to the page.
        job: How a row is trained.
    """
    name: str
    about: str
    rows: Sequence[Row]
    make_page: Callable[..., str]
    job: Type[Job] = Job


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


def make_parser(table: Table) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = argparse.ArgumentParser(prog=f'{table.name}.py', description=table.about)
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
                   default=ROOT / 'work_dirs' / table.name,
                   help='parent of the work dirs (default: '
                   f'work_dirs/{table.name})')
    p.add_argument('--out', type=Path, metavar='FILE',
                   help='where the table goes (default: benchmarks/results/, '
                   'but nowhere with --cfg-options)')
    p.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                   help='further options for every row, for a trial; give '
                   'another --work-dir too')
    return p


def write_page(table: Table, jobs: Sequence[Job], failures: Dict[str, str], command: str,
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
    text = table.make_page(results, missing, command, today(), waiting)
    if out is None:
        print('\n' + text)
    else:
        write_text(out, text)
        print(f'written: {out}')


def run_table(table: Table, argv: Optional[Sequence[str]] = None) -> int:
    """Train and collect; return the exit code: 0, 1 where a row failed."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = make_parser(table)
    args = parser.parse_args(argv)
    # Commands are printed, and run, as seen from the project's folder.
    parent = args.work_dir.resolve()
    if ROOT in parent.parents:
        parent = parent.relative_to(ROOT)
    try:
        wanted = {row.name for row in select(table.rows, args.only)}
    except ValueError as error:
        parser.error(str(error))
    jobs = [table.job(row, seed, args.cfg_options, parent)
            for seed in args.seeds for row in table.rows]
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
        out = RESULTS / f'{table.name}_{today()}.md'
    return work(table, jobs, [] if args.collect else todo, args.threads, out,
                command_line(f'benchmarks/{table.name}.py', argv))


def work(table: Table, jobs: Sequence[Job], todo: Sequence[Job],
         threads: Optional[int], out: Optional[Path], command: str) -> int:
    """Train ``todo``, with a new table after every row; return the exit code."""
    failures: Dict[str, str] = {}
    for k, job in enumerate(todo, 1):
        print(f'[{k}/{len(todo)}] {job.name}: {job.state()}', flush=True)
        try:
            if job.result() is None:
                done = train(job, threads)
                print(f'  {job.headline(done)}', flush=True)
        except RowError as error:
            failures[job.name] = str(error)
            print(f'  {error}', file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print('\ninterrupted; the same command goes on from the last '
                  'checkpoint', file=sys.stderr)
            return 130
        if out is not None and k < len(todo):
            write_page(table, jobs, failures, command, out)
    write_page(table, jobs, failures, command, out)
    return int(bool(failures))
