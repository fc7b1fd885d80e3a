#!/usr/bin/env python
"""Refine the logits of one trained FCN in several ways; write the table.

What is trained, searched or computed already is not done again; an interrupted
run goes on. See benchmarks/README.md.
"""

import argparse
import shlex
import sys
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
from camvid_job import Job, RowError, environment  # noqa: E402
from refinement_plan import DATA, NEEDS, ROWS, Data  # noqa: E402

GIVEN = ('fcn', 'embedding', 'learned', 'aware')


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = argparse.ArgumentParser(
        prog='refinement.py', description=__doc__.split('\n')[0])
    p.add_argument('--data', choices=list(DATA), default='camvid')
    p.add_argument('--rows', nargs='+', choices=list(ROWS), default=list(ROWS),
                   metavar='ROW', help=f'of the table: {", ".join(ROWS)} '
                   '(default: all)')
    for name in GIVEN:
        p.add_argument(f'--{name}', metavar='FILE',
                       help='checkpoint of this training, which is then not run')
    p.add_argument('--list', action='store_true',
                   help='print the trainings and how far they are')
    p.add_argument('--dry-run', action='store_true',
                   help='print the commands of the trainings and run none')
    p.add_argument('--threads', type=int,
                   help='of trainings and measurements (default: as '
                   'OMP_NUM_THREADS says)')
    p.add_argument('--tune-images', type=int, default=40, metavar='N',
                   help='training images on which parameters are sought (40)')
    p.add_argument('--trials', type=int, default=40, metavar='N',
                   help='parameters that are tried, for each method (40)')
    p.add_argument('--limit', type=int, default=0, metavar='N',
                   help='evaluate so many images alone: a trial')
    p.add_argument('--work-dir', type=Path, metavar='DIR',
                   help='where all is kept (default: work_dirs/refinement/DATA)')
    p.add_argument('--out', type=Path, metavar='FILE',
                   help='where the table goes (default: benchmarks/results/, but '
                   'nowhere with --cfg-options or --limit)')
    p.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                   help='further options of every training, for a trial; give '
                   'another --work-dir too')
    return p


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Train, search, evaluate, write; return 0, 1 where a row failed, 2, 130."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(argv)
    from refinement_train import as_named, is_done, plan
    data = DATA[args.data]
    given = {name: as_named(Path(getattr(args, name))) for name in GIVEN
             if getattr(args, name)}
    for name, path in given.items():
        if not (ROOT / path).is_file():
            parser().error(f'--{name} {path}: there is no such file')
    folder = Path(as_named(
        args.work_dir or ROOT / 'work_dirs' / 'refinement' / data.name))
    rows = [name for name in ROWS if name in args.rows]
    jobs = plan(rows, data, given, args.cfg_options, folder)
    if args.dry_run:
        for job in jobs:
            print(shlex.join(['python', *job.train]))
        return 0
    if args.list:
        for job in jobs:
            print(f'{job.name:12} {"done" if is_done(job) else job.state()}')
        return 0
    if 'densecrf' in rows:
        from refinement_methods import import_crf
        try:
            import_crf()
        except RuntimeError as error:
            print(f'error: {error}', file=sys.stderr)
            return 2
    out = args.out.resolve() if args.out else None
    if out is None and not args.cfg_options and not args.limit:
        out = RESULTS / f'refinement_{data.name}_{today()}.md'
    command = command_line('benchmarks/refinement.py', argv)
    try:
        return work(data, rows, jobs, given, folder, args, command, out)
    except KeyboardInterrupt:
        print('\ninterrupted; the same command goes on from here', file=sys.stderr)
        return 130


def train_all(jobs: Sequence[Job], threads: Optional[int]) -> Dict[str, str]:
    """Train what is missing; return why a training failed, by name."""
    from refinement_train import finish
    failures: Dict[str, str] = {}
    for k, job in enumerate(jobs, 1):
        print(f'[{k}/{len(jobs)}] training {job.name}', flush=True)
        # What fails is named by its own row; what needs it is not tried.
        if job.name == 'learned' and failures.keys() & {'fcn', 'embedding'}:
            failures['learned'] = 'a training before it failed'
            continue
        try:
            finish(job, threads)
        except RowError as error:
            failures[job.name] = str(error)
            print(f'  {error}', file=sys.stderr, flush=True)
    return failures


def facts_of(row: str, jobs: Sequence[Job], threads: Optional[int]) -> Dict[str, Any]:
    """Return environment, commands and date of a row."""
    from refinement_train import command_of

    from segaware_mm.utils.stack import version_of
    place = environment(threads)
    if row == 'densecrf':
        place += f', pydensecrf2 {version_of("pydensecrf2") or "unknown"}'
    return dict(environment=place, date=today(), commands=[
        command_of(job) for job in jobs if job.name in NEEDS[row]])


def work(data: Data, rows: Sequence[str], jobs: Sequence[Job], given: Dict[str, str],
         folder: Path, args: argparse.Namespace, command: str,
         out: Optional[Path]) -> int:
    """Do all that is missing, with a new table after every row."""
    import torch
    from refinement_rows import Bench
    from refinement_train import checkpoint_of
    if args.threads:
        torch.set_num_threads(args.threads)
    failures = train_all(jobs, args.threads)
    weights = {name: str(ROOT / path) for name, path in given.items()}
    weights.update((job.name, str(checkpoint_of(job))) for job in jobs
                   if job.name not in failures)
    bench = Bench(data, weights, ROOT / folder, args.tune_images, args.trials,
                  args.limit)
    results: Dict[str, Dict[str, Any]] = {}
    missing: List[Tuple[str, str]] = []
    for k, row in enumerate(rows, 1):
        print(f'[{k}/{len(rows)}] {row}', flush=True)
        lacking = [name for name in NEEDS[row] if name in failures]
        if lacking:
            missing.append((row, f'{lacking[0]}: {failures[lacking[0]]}'))
            continue
        try:
            results[row] = bench.kept(row) or bench.run(
                row, facts_of(row, jobs, args.threads))
        except RowError as error:
            missing.append((row, str(error)))
            print(f'  {error}', file=sys.stderr, flush=True)
            continue
        print(f'  mIoU {results[row]["scores"]["mIoU"]:.2f}', flush=True)
        if out is not None:
            write_page(data, rows, results, missing, command, out)
    write_page(data, rows, results, missing, command, out)
    return int(bool(missing))


def write_page(data: Data, rows: Sequence[str], results: Dict[str, Dict[str, Any]],
               missing: Sequence[Tuple[str, str]], command: str,
               out: Optional[Path]) -> None:
    """Write, or print, the table of what is finished."""
    from refinement_table import make_page
    waiting = [(row, 'not there yet') for row in rows
               if row not in results and row not in dict(missing)]
    text = make_page(data, results, [*missing, *waiting], command, today())
    if out is None:
        print('\n' + text)
    else:
        write_text(out, text)
        print(f'written: {out}')


if __name__ == '__main__':
    sys.exit(main())
