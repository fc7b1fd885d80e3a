"""Run the steps that build an environment, and tell how far they are.

Part of :mod:`make_env`; the standard library alone.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Callable, Mapping, Optional, Sequence, Tuple

from env_plan import python_of

LOG = 'make_env.log'

#: What is found in the output of a step that failed -> what to do.
REMEDIES = (
    (r'No space left on device', 'free some disk space: about 4 GB are needed.'),
    (r'ensurepip is not available|No module named .?(ensurepip|venv)',
     'this Python lacks venv: install it (Debian, Ubuntu: apt install '
     'python3.11-venv) or name another with --python.'),
    (r'Python\.h', 'the headers of Python are missing (Debian, Ubuntu: apt '
     'install python3.11-dev).'),
    (r'Killed|virtual memory exhausted|out of memory',
     'the compiler ran out of memory: set MAX_JOBS=1 in the environment.'),
    (r'(g\+\+|gcc|c\+\+|clang)\S*[\'"]?:? (No such file|(command )?not found)|'
     r'command .*(gcc|g\+\+|c\+\+).* failed: No such file',
     'a C++ compiler is missing (Debian, Ubuntu: apt install g++), or give a '
     'folder with a wheel of mmcv: WHEELS=folder.'),
    (r'name resolution|Connection(Error| refused| reset| broken)|timed out|'
     r'NewConnectionError|SSLError|Network is unreachable|ProxyError',
     'the package index was not reached: check the network and "pip config '
     'list".'),
    (r'No matching distribution|Could not find a version|ResolutionImpossible',
     'the package index has no such version for this Python: Python 3.11 is '
     'wanted (--python), or the index is incomplete ("pip config list").'),
)


class StepFailed(Exception):
    """A step ended with an error; the text is for the user."""


def compiled(output: str) -> Tuple[int, int]:
    """Return ninja's last count in an output: files done and files in all."""
    counts = re.findall(r'^\s*\[(\d+)/(\d+)\] ', output, re.M)
    return (int(counts[-1][0]), int(counts[-1][1])) if counts else (0, 0)


def progress(done: int, total: int, before: int, seconds: float) -> str:
    """Say how far compiling is, with the time left where it can be told.

    Args:
        done (int): Files compiled.
        total (int): Files in all; 0 gives ''.
        before (int): Files that were compiled ``seconds`` ago.
        seconds (float): Time in which the others were.
    """
    if not total:
        return ''
    if done <= before:
        return f'compiled {done} of {total}'
    left = seconds / (done - before) * (total - done)
    return f'compiled {done} of {total}, about {left / 60:.0f} min left'


def remedy(output: str) -> str:
    """Return what to do about the output of a step that failed."""
    for pattern, advice in REMEDIES:
        if re.search(pattern, output):
            return advice
    return 'run the same command again; it goes on where it stopped.'


class Builder:
    """Carries out the steps and tells how far they are."""

    def __init__(self, env: Path, total: int, lock: Optional[IO] = None) -> None:
        self.env, self.total = env, total
        # A child that outlives a killed script goes on holding the lock.
        self.inherited = (lock.fileno(), ) if lock else ()
        self.count = 0
        self.started = self.told = 0.
        self.live = sys.stdout.isatty()
        self.title = ''
        self.first: Optional[Tuple[float, int]] = None
        self.log = open(env / LOG, 'w+b', buffering=0)

    def step(self, title: str, action: Callable[[], Optional[str]]) -> None:
        """Carry out one step under a line of its own."""
        self.count += 1
        self.title = f'[{self.count}/{self.total}] {title}'
        self.started = self.told = time.time()
        self.first = None  # when files were first counted, and how many
        print(self.title, end=' ', flush=True)
        note = action()
        end = ''
        if self.told > self.started:  # the line was left
            end = ('\r\x1b[K' if self.live else '\n') + self.title + ' '
        note = f' ({note})' if note else ''
        print(f'{end}... {time.time() - self.started:.0f} s{note}', flush=True)

    def tick(self, since: int) -> None:
        """Show that a step is alive: every second, in a log every minute."""
        now = time.time()
        if now - self.told < (1 if self.live else 60):
            return
        self.told = now
        size = os.fstat(self.log.fileno()).st_size
        start = max(since, size - (1 << 16))
        output = os.pread(self.log.fileno(), 1 << 16, start).decode('utf-8', 'replace')
        done, total = compiled(output)
        if total and self.first is None:
            self.first = now, done
        when, before = self.first or (now, 0)
        text = f'{now - self.started:.0f} s {progress(done, total, before, now - when)}'
        print(f'\r\x1b[K{self.title} ... {text}' if self.live else f'\n      {text}',
              end='', flush=True)

    def run(self, command: Sequence[str], env: Optional[Mapping[str, str]] = None,
            must: bool = True, cwd: Optional[Path] = None) -> Tuple[int, str]:
        """Run a command into the log; return its exit code and its output.

        Args:
            command (Sequence[str]): Program and arguments.
            env (Mapping, optional): Further environment variables.
            must (bool): Whether an error ends the step.
            cwd (Path, optional): Where to run it; here.

        Raises:
            StepFailed: With the end of the output and what to do.
        """
        variables = {k: v for k, v in os.environ.items()
                     if k not in ('PYTHONPATH', 'PYTHONHOME')}
        variables.update(env or {})
        self.log.write(f'\n== {" ".join(map(str, command))}\n'.encode())
        since = os.fstat(self.log.fileno()).st_size
        process = subprocess.Popen(
            list(map(str, command)), stdout=self.log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env=variables, cwd=cwd,
            start_new_session=True, pass_fds=self.inherited)
        try:
            while True:
                try:
                    code = process.wait(0.5)
                    break
                except subprocess.TimeoutExpired:
                    self.tick(since)
        except BaseException:
            # The whole group: compilers outlive the pip that started them.
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        size = os.fstat(self.log.fileno()).st_size - since
        output = os.pread(self.log.fileno(), size, since).decode('utf-8', 'replace')
        if code and must:
            tail = '\n'.join('  | ' + line for line in output.splitlines()[-15:])
            raise StepFailed(
                f'\nthis step failed:\n{tail}\nall of its output: {self.env / LOG}\n'
                f'What to do: {remedy(output)}')
        return code, output

    def python(self, *arguments: str, **options) -> Tuple[int, str]:
        """Run the environment's Python."""
        return self.run([python_of(self.env), *arguments], **options)

    def pip(self, *arguments: str, **options) -> Tuple[int, str]:
        """Run the environment's pip."""
        return self.python('-m', 'pip', '--disable-pip-version-check', '--no-input',
                           *arguments, **options)
