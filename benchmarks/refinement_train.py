"""The trainings of the refinement table: done once, gone on with after a kill."""

import os
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import camvid_log
from bench_report import ROOT, command_line, today
from camvid_job import Job, RowError, environment, lock, run
from refinement_plan import NEEDS, Data, training


def as_named(path: Path) -> str:
    """Return a path as seen from the project's folder, else absolute."""
    path = path if path.is_absolute() else Path.cwd() / path
    path = Path(os.path.normpath(path))
    return str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)


def plan(rows: Sequence[str], data: Data, given: Dict[str, str],
         extra: Sequence[str], work_dir: Path) -> List[Job]:
    """Return the trainings that rows need, in their order.

    Args:
        rows: Names of rows.
        data: The dataset.
        given: Checkpoints that are there already, by training.
        extra: Further ``--cfg-options``, of a trial.
        work_dir: Parent of the work dirs.
    """
    weights, jobs = dict(given), []
    wanted = {name for row in rows for name in NEEDS[row]}
    if 'learned' in given:
        wanted.discard('embedding')  # it is inside
    for name in ('fcn', 'embedding', 'learned', 'aware'):
        if name in wanted and name not in weights:
            job = Job(training(name, data, weights), 0, extra, work_dir)
            jobs.append(job)
            weights[name] = as_named(checkpoint_of(job))
    return jobs


def checkpoint_of(job: Job) -> Path:
    """Return where the last checkpoint of a training stands, or will."""
    return job.folder / f'iter_{job.facts()["iterations"]}.pth'


def is_done(job: Job) -> bool:
    """Whether a training is finished; its settings must be those of the job."""
    job.check_definition()
    return camvid_log.whole_checkpoint(
        job.folder, job.facts()['iterations']) is not None


def finish(job: Job, threads: Optional[int]) -> Path:
    """Train what is missing; return the last checkpoint.

    Raises:
        RowError: The training failed, or its folder holds another one.
    """
    if not is_done(job):
        with lock(job.folder) as held:
            job.check_definition()
            job.begin(environment(threads))
            run(job.train, job.folder / 'console.log', threads, held)
    if not is_done(job):
        raise RowError(f'{job.name} left no {checkpoint_of(job)}; does '
                       'default_hooks.checkpoint.interval divide max_iters?')
    return checkpoint_of(job)


def command_of(job: Job) -> str:
    """Return the command of a training, and the day of this table."""
    return f'{command_line(job.train[0], job.train[1:])}  # {today()}'
