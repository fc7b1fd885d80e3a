#!/usr/bin/env python3
"""Build the environment of this checkout: .venv, or .venv-onedl for the forks.

    python3 tools/make_env.py [--stack mm|onedl] [--force]

Runs with any Python >= 3.9 and needs nothing installed; the environment gets
Python 3.11, for which constraints.txt is written. What is done already is not
done again: a finished environment is left within a second, an interrupted run
goes on where it stopped. pip's full output is in make_env.log in the
environment.

WHEELS in the process environment may name a folder with a wheel of mmcv (or
onedl-mmcv); it is added to pip's places, and saves compiling.
"""

import argparse
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, List, Optional, Sequence

from env_plan import (
    NEEDS,
    STACKS,
    STAMP,
    find_wheel,
    fingerprint,
    is_ready,
    mmcv_arguments,
    python_of,
    read_pins,
    read_requirements,
    version_in,
)
from env_runner import Builder, StepFailed

ROOT = Path(__file__).resolve().parent.parent
PYTHON = (3, 11)

CHECK = """
import importlib, warnings
warnings.filterwarnings('ignore')
names = 'torch numpy numba mmcv mmengine mmseg mmdet segaware_mm'.split()
# Tests of what is absent are skipped, so that here nothing may be.
for name in ('cv2 mmcv.ops mmdet.apis mmseg.apis pytest xdist pycocotools.mask '
             'pydensecrf.densecrf cityscapesscripts.helpers.labels scipy.io').split():
    importlib.import_module(name)
found = [(name, importlib.import_module(name).__version__) for name in names]
print('versions: ' + ', '.join(' '.join(pair) for pair in found))
"""


def find_python() -> str:
    """Return an interpreter that can make environments: 3.11 where there is one."""
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = 'python%d.%d' % PYTHON
    for folder in os.get_exec_path():
        path = shutil.which(name, path=folder)
        # A file of this name may be a shim that starts nothing.
        if path and subprocess.run([path, '-c', 'import ensurepip, venv'],
                                   capture_output=True).returncode == 0:
            return path
    print(f'note: {name} is not on PATH; {sys.executable} is taken, for which '
          'some of the pinned versions may not exist')
    return sys.executable


def build(root: Path, env: Path, stack_name: str, base: str, held: IO) -> None:
    """Carry out all steps for an environment.

    Args:
        root (Path): The checkout.
        env (Path): The environment's folder.
        stack_name (str): 'mm' or 'onedl'.
        base (str): The interpreter to make it with.
        held (IO): The lock on the folder.

    Raises:
        StepFailed: With a text for the user.
    """
    stack = STACKS[stack_name]
    constraints = str(root / 'constraints.txt')
    pins = read_pins((root / 'constraints.txt').read_text())
    env.mkdir(parents=True, exist_ok=True)
    with_pins = ('install', '-c', constraints)
    builder = Builder(env, 8, held)

    def venv() -> str:
        code = 1
        if version_in(env) and python_of(env).exists():
            code, _ = builder.pip('--version', must=False)
        if code:
            builder.run([base, '-m', 'venv', str(env)])
        _, text = builder.python('-c', 'import sys; print(*sys.version_info[:3])')
        found = tuple(map(int, text.split()))
        wanted = subprocess.run(
            [base, '-c', 'import sys; print(*sys.version_info[:2])'],
            capture_output=True, text=True).stdout.split()
        if found[:2] != tuple(map(int, wanted)):
            raise StepFailed(
                f'\n{env} holds Python {found[0]}.{found[1]}, wanted is '
                f'{".".join(wanted)}. Remove the folder, or name another with --env.')
        return 'Python ' + '.'.join(map(str, found))

    def mmcv() -> str:
        version = pins[stack.mmcv]
        code, text = builder.python(
            '-c', 'import sys, sysconfig; print(*sys.version_info[:2], '
            'sysconfig.get_platform())', must=False)
        major, minor, platform = text.split()
        folder = os.path.abspath(os.environ['WHEELS']) if os.environ.get(
            'WHEELS') else None
        wheel = find_wheel(folder, stack.mmcv, version, (int(major), int(minor)),
                           re.sub('[-.]', '_', platform))

        def works() -> bool:
            program = ('import importlib.metadata as m, torch, mmcv._ext; '
                       f'assert m.version("{stack.mmcv}") == "{version}"')
            return builder.python('-c', program, must=False)[0] == 0

        if works():
            return 'there already'
        if wheel is not None:
            builder.pip(*mmcv_arguments(stack.mmcv, version, wheel))
            if works():
                return f'wheel {wheel.name}'
            print(f'\n  the operators in {wheel} do not load with this torch')
        elif folder:
            print(f'\n  WHEELS={folder} holds no wheel of {stack.mmcv} {version} '
                  f'for Python {major}.{minor}')
        print('\n  compiling its operators: about 10 minutes on 2 cores', flush=True)
        jobs = os.environ.get('MAX_JOBS') or str(os.cpu_count() or 1)
        switches = {'MMCV_WITH_OPS': '1', 'MAX_JOBS': jobs}
        builder.pip(*mmcv_arguments(stack.mmcv, version, None), env=switches)
        if not works():  # an older build from pip's cache
            builder.pip(*mmcv_arguments(stack.mmcv, version, None, again=True),
                        env=switches)
            builder.python('-c', 'import torch, mmcv._ext')
        return 'compiled'

    def check() -> None:
        _, text = builder.python('-W', 'ignore', '-c', CHECK, cwd=env)
        versions.extend(re.findall(r'^versions: (.*)$', text, re.M))

    versions: List[str] = []
    bare = [f'{name}=={pins[name]}' for name in stack.bare]
    wanted = [name for name in read_requirements(root / 'setup.cfg')
              if not name.startswith('torch')]
    builder.step(f'virtual environment {env}', venv)
    builder.step('build tools', lambda: builder.pip(
        *with_pins, 'setuptools', 'wheel', 'ninja') and None)
    # First and exactly, so that a CPU wheel that pip knows of is taken.
    builder.step(f'torch {pins["torch"]}', lambda: builder.pip(
        *with_pins, f'torch=={pins["torch"]}') and None)
    builder.step('other dependencies', lambda: builder.pip(
        *with_pins, *wanted, *NEEDS, *stack.needs) and None)
    builder.step(', '.join(stack.bare), lambda: builder.pip(
        'install', '--no-deps', '--no-build-isolation', *bare) and None)
    # After mmengine, without which mmcv cannot be imported to look at its operators.
    builder.step(f'{stack.mmcv} {pins[stack.mmcv]}', mmcv)
    builder.step('segaware_mm from this checkout', lambda: builder.pip(
        'install', '--no-deps', '--no-build-isolation', '-e', str(root)) and None)
    builder.step('import everything', check)
    print('  ' + ''.join(versions))


def lock(env: Path) -> IO:
    """Wait until nobody else works on an environment; return what holds it."""
    env.mkdir(parents=True, exist_ok=True)
    handle = open(env / 'make_env.lock', 'w')
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print(f'waiting for another process that builds {env} ...', flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Build the environment that the command line names; return an exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--stack', choices=sorted(STACKS), default='mm')
    parser.add_argument('--env', help='folder of the environment')
    parser.add_argument('--python', help='interpreter to build it with')
    parser.add_argument('--force', action='store_true', help='redo every step')
    arguments = parser.parse_args(argv)
    env = Path(arguments.env or ROOT / STACKS[arguments.stack].folder).absolute()
    if not arguments.force and is_ready(ROOT, env, arguments.stack):
        print(f'{env} is ready (stack {arguments.stack})')
        return 0
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.time()
    held = None
    try:
        held = lock(env)
        if not arguments.force and is_ready(ROOT, env, arguments.stack):
            return 0  # built by the one that was waited for
        (env / STAMP).unlink(missing_ok=True)
        build(ROOT, env, arguments.stack, arguments.python or find_python(), held)
        stamp = env / (STAMP + '.part')
        stamp.write_text(fingerprint(ROOT, arguments.stack, version_in(env)) + '\n')
        os.replace(stamp, env / STAMP)
    except StepFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\ninterrupted; the same command goes on from here', file=sys.stderr)
        return 130
    finally:
        if held is not None:
            held.close()
        if before is not None:  # None: set by other code than Python's
            signal.signal(signal.SIGTERM, before)
    print(f'{env} is ready (stack {arguments.stack}), {time.time() - started:.0f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
