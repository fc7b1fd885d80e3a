"""One row of a table of trainings: train it, go on with it, keep its result.

As it stands it is a row of the CamVid table; others derive from :class:`Job`.

In the row's work dir stand, beside what mmengine writes: ``row.json`` (the
settings, and the environment of every start), ``console.log`` (all output)
and, once it is finished, ``result.json``.
"""

import json
import os
import re
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import camvid_log
from bench_report import (
    ROOT,
    command_line,
    cpu_name,
    today,
    versions,
    versions_line,
    write_text,
)
from camvid_config import config_facts
from camvid_rows import Row

#: What of a training's output is worth a line on the screen.
SHOWN = re.compile(
    r'(Iter\(|note: |resuming from|Saving checkpoint|^error: |^[\w.]*Error: ).*')


class RowError(Exception):
    """A row gave no result; the message says why."""


class Job:
    """One row with one seed and its work dir.

    Args:
        row: The row.
        seed: ``randomness.seed``.
        extra: Further ``--cfg-options``, of a trial.
        work_dir: Parent of the row's work dir, as commands name it: absolute,
            or as seen from the project's folder.

    Attributes:
        name: Of the row, with the seed where that is not 0.
        work_dir: As commands name it; ``folder`` is its absolute path.
        keys: Scores of a validation; the first is shown.
    """

    keys: Sequence[str] = camvid_log.SCORES

    def __init__(self, row: Row, seed: int, extra: Sequence[str],
                 work_dir: Path) -> None:
        self.row = row
        self.seed = seed
        self.name = row.name if seed == 0 else f'{row.name}-seed{seed}'
        self.work_dir = work_dir / self.name
        self.folder = ROOT / self.work_dir
        self.options = [f'{k}={v}' for k, v in row.options]
        self.options += [f'randomness.seed={seed}', *extra]

    @property
    def train(self) -> List[str]:
        """The training's arguments, without the interpreter."""
        return ['tools/train.py', self.row.config, '--work-dir',
                str(self.work_dir), '--resume', '--cfg-options', *self.options]

    def test(self, checkpoint: Path) -> List[str]:
        """The arguments that score a checkpoint on the validation images."""
        return ['tools/test.py', self.row.config, str(checkpoint), '--work-dir',
                str(self.work_dir / 'test'), '--cfg-options', *self.options]

    @property
    def definition(self) -> Dict[str, Any]:
        """What makes a result this row's."""
        return dict(config=self.row.config, options=sorted(self.options))

    def facts(self) -> Dict[str, Any]:
        """Return ``iterations`` and ``config_hash`` of the config as it is now.

        Raises:
            RowError: It cannot be read.
        """
        try:
            return config_facts(str(ROOT / self.row.config), self.options)
        except Exception as error:  # a config is a program
            raise RowError(f'{self.row.config} cannot be read: {error}') from error

    @property
    def iterations(self) -> int:
        """Iterations that the row trains for; 0 where the config cannot be read."""
        try:
            return self.facts()['iterations']
        except RowError:
            return 0

    def saved(self) -> Dict[str, Any]:
        """Return what ``row.json`` holds, nothing where it is absent."""
        path = self.folder / 'row.json'
        return json.loads(path.read_text()) if path.is_file() else {}

    def begin(self, environment: str) -> List[str]:
        """Write ``row.json`` for a start; return the environments of all starts.

        They stand in the order in which they were first met.
        """
        # Row files of the first versions held no environments.
        earlier = ['unknown'] if camvid_log.iterations_done(self.folder) else []
        places = self.saved().get('environments', earlier)
        places = list(dict.fromkeys([*places, environment]))
        write_text(self.folder / 'row.json', json.dumps(dict(
            self.definition, config_hash=self.facts()['config_hash'],
            environments=places), indent=1))
        return places

    def check_definition(self) -> None:
        """See that the work dir is not that of other settings.

        Raises:
            RowError: It is; names the folder and the differences.
        """
        found = self.saved()
        if not found:
            return
        if {key: found.get(key) for key in self.definition} == self.definition:
            # Row files of the first versions held no hash.
            known = found.get('config_hash')
            if known not in (None, self.facts()['config_hash']):
                raise RowError(
                    f'{self.row.config}, or a config that it is built on, has '
                    f'changed since {self.work_dir} was trained; move that away '
                    'or give another --work-dir')
            return
        pair = [{f'config={d["config"]}', *d['options']}
                for d in (found, self.definition)]
        raise RowError(
            f'{self.work_dir} was trained with other settings '
            f'({", ".join(sorted(pair[0] - pair[1])) or "none"} instead of '
            f'{", ".join(sorted(pair[1] - pair[0])) or "none"}); move it away '
            'or give another --work-dir')

    def result(self) -> Optional[Dict[str, Any]]:
        """Return the saved result, None where there is none.

        The label is today's; the settings must be those of the row.
        """
        path = self.folder / 'result.json'
        if not path.is_file():
            return None
        self.check_definition()
        return {**json.loads(path.read_text()), 'label': self.row.label}

    def state(self) -> str:
        """Return a word or two on how far the row is."""
        try:
            done = self.result()
        except RowError as error:
            return str(error)
        if done:
            return f'done, {self.headline(done)}'
        count = camvid_log.iterations_done(self.folder)
        return f'interrupted at iteration {count}' if count else 'not trained'

    def headline(self, result: Dict[str, Any]) -> str:
        """Return the score of a result for the screen."""
        return f'{self.keys[0]} {result["scores"][self.keys[0]]:.2f}'

    def check_inputs(self) -> None:
        """See that what the row needs beside its training is there.

        Raises:
            RowError: It is not.
        """

    def details(self, test: Callable[[Sequence[str]], None],
                iteration: int) -> Dict[str, Any]:
        """Return what stands in a result beside the scores.

        Args:
            test: Runs a tool with these arguments; its output is kept.
            iteration: The last one of the training.
        """
        return dict(classes=camvid_log.last_class_scores(self.folder))


@contextmanager
def lock(folder: Path) -> Iterator[List[int]]:
    """Hold a folder for this process and those that inherit the descriptor.

    A training that outlives a killed camvid.py still holds its folder.

    Raises:
        RowError: Another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield []
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RowError(f'another process works in {folder}') from None
        yield [file.fileno()]


def run(arguments: Sequence[str], console: Path, threads: Optional[int],
        keep_open: Sequence[int]) -> Optional[float]:
    """Run a tool; its output goes to a file, the progress to the screen too.

    Returns:
        Its peak of resident memory in MB at its last line; None where the system
        does not tell.

    Raises:
        RowError: It ends with another exit code than 0.
    """
    env = dict(os.environ)
    env['PYTHONPATH'] = os.pathsep.join(
        [str(ROOT), *filter(None, [env.get('PYTHONPATH')])])
    if threads:
        env.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    output, peak = [], None
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=env, text=True,
        errors='replace', stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        pass_fds=keep_open)
    try:
        with open(console, 'a', encoding='utf-8') as file:
            for line in process.stdout:
                file.write(line)
                output = output[-50:] + [line]
                peak = peak_memory(process.pid) or peak
                found = SHOWN.search(line.rstrip())
                if found:
                    print('  ' + found.group(0)[:160], flush=True)
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if code:
        raise RowError(f'exit code {code}: '
                       f'{camvid_log.last_error("".join(output))} '
                       f'(all of it in {console})')
    return peak


def peak_memory(pid: int) -> Optional[float]:
    """Return the peak of resident memory of a running process, MB (Linux)."""
    try:
        status = Path(f'/proc/{pid}/status').read_text()
    except OSError:
        return None
    found = re.search(r'VmHWM:\s+(\d+) kB', status)
    return int(found[1]) / 1024 if found else None


def inspect_config(path: Path) -> Dict[str, Any]:
    """Return ``iterations`` and ``params`` (M) of a dumped config."""
    from mmengine.config import Config
    from mmengine.registry import MODELS, DefaultScope
    cfg = Config.fromfile(str(path))
    scope = DefaultScope.overwrite_default_scope(cfg.get('default_scope'))
    with scope, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the training has shown them
        model = MODELS.build(cfg.model)
    return dict(iterations=int(cfg.train_cfg.max_iters),
                params=sum(p.numel() for p in model.parameters()) / 1e6)


def environment(threads: Optional[int]) -> str:
    """Return device and versions on one line."""
    import torch
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    else:
        device = (f'{cpu_name()}, {os.cpu_count()} cores, '
                  f'{threads or torch.get_num_threads()} threads')
    return f'{device}; {versions_line(versions())}'


def train(job: Job, threads: Optional[int]) -> Dict[str, Any]:
    """Train a row to its end and save its result.

    Raises:
        RowError: It gave none.
    """
    folder = job.folder
    job.check_inputs()
    with lock(folder) as held:
        job.check_definition()
        places = job.begin(environment(threads))
        console = folder / 'console.log'
        peak = run(job.train, console, threads, held)
        config = camvid_log.dumped_config(folder)
        if config is None:
            raise RowError(f'the training left no config in {folder}')
        facts = inspect_config(config)
        last = facts['iterations']
        scores = camvid_log.scores_at(folder, last, job.keys)
        checkpoint = camvid_log.whole_checkpoint(folder, last)
        if scores is None and checkpoint is not None:
            # Killed after the last checkpoint, before its validation.
            run(job.test(checkpoint), console, threads, held)
            scores = camvid_log.scores_at(folder, last, job.keys)
        if scores is None:
            raise RowError(f'no validation at iteration {last} in {folder}; '
                           'train_cfg.val_interval must divide max_iters')
        result = dict(
            name=job.name, label=job.row.label, is_peer=job.row.is_peer,
            seed=job.seed, scores=scores,
            **job.details(lambda words: run(words, console, threads, held), last),
            seconds_per_iteration=camvid_log.seconds_per_iteration(folder),
            peak_mb=peak,
            command=command_line(job.train[0], job.train[1:]), date=today(),
            environment='; and then '.join(places), **facts)
        write_text(folder / 'result.json', json.dumps(result, indent=1))
    return result
