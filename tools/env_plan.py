"""What the environment of a stack consists of: names, versions, wheels.

Pure functions of :mod:`make_env`; the standard library alone.
"""

import configparser
import hashlib
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

STAMP = 'segaware_mm.stamp'

#: Files on which an environment depends.
SOURCES = ('constraints.txt', 'setup.cfg', 'tools/make_env.py',
           'tools/env_plan.py', 'tools/env_runner.py')


class Stack(NamedTuple):
    """The distributions of a stack.

    Attributes:
        folder (str): Environment, relative to the checkout.
        mmcv (str): The one whose operators are compiled.
        bare (tuple[str]): Installed without the dependencies they declare:
            those ask for opencv-python, which needs libGL, or are :data:`BARE`.
        needs (tuple[str]): What they import beyond :data:`NEEDS`.
    """

    folder: str
    mmcv: str
    bare: Tuple[str, ...]
    needs: Tuple[str, ...] = ()


#: Packages of either stack whose declared dependencies cannot be had: typing, a
#: backport to Python 2 of what every Python has.
BARE = ('cityscapesscripts', )

STACKS = {
    'mm': Stack('.venv', 'mmcv', ('mmengine', 'mmsegmentation', 'mmdet', *BARE)),
    'onedl': Stack(
        '.venv-onedl', 'onedl-mmcv',
        ('onedl-mmengine', 'onedl-mmsegmentation', 'onedl-mmdetection', 'imaug', *BARE),
        ('scikit-image', 'imageio')),
}

#: What the toolboxes of either stack import, and what :data:`BARE` does.
NEEDS = ('addict', 'appdirs', 'coloredlogs', 'ftfy', 'humanfriendly', 'matplotlib',
         'numpy', 'opencv-python-headless', 'packaging', 'pillow', 'platformdirs',
         'prettytable', 'pycocotools', 'pyquaternion', 'pyyaml', 'regex', 'rich', 'scipy',
         'shapely', 'six', 'termcolor', 'terminaltables', 'tqdm', 'yapf')


def read_pins(text: str) -> Dict[str, str]:
    """Return {distribution: version} of the text of a constraints file."""
    return dict(re.findall(r'^([A-Za-z0-9._-]+)==([^\s#;]+)', text, re.M))


def read_requirements(path: Path) -> List[str]:
    """Return what setup.cfg asks for, with the extras test, dev and crf."""
    config = configparser.ConfigParser()
    config.read(path)
    extras = config['options.extras_require']
    texts = (config['options']['install_requires'],
             *(extras[name] for name in ('test', 'dev', 'crf')))
    return [line.strip() for text in texts for line in text.splitlines()
            if line.strip() and not line.lstrip().startswith('#')]


def fingerprint(root: Path, stack: str, python: str) -> str:
    """Return the hash of all that an environment depends on.

    Args:
        root (Path): The checkout; an environment knows its place.
        stack (str): A key of :data:`STACKS`.
        python (str): Full version of the environment's Python.
    """
    digest = hashlib.sha256(f'{root}\n{stack}\n{python}\n'.encode())
    for name in SOURCES:
        digest.update(hashlib.sha256((root / name).read_bytes()).digest())
    return digest.hexdigest()


def python_of(env: Path) -> Path:
    """Return the path of an environment's interpreter."""
    return env / 'bin' / 'python'


def version_in(env: Path) -> str:
    """Return the Python version that pyvenv.cfg names, '' where none does."""
    try:
        text = (env / 'pyvenv.cfg').read_text()
    except OSError:
        return ''
    found = re.search(r'^version(?:_info)? *= *(\d+\.\d+\.\d+)', text, re.M)
    return found.group(1) if found else ''


def is_ready(root: Path, env: Path, stack: str) -> bool:
    """Whether an environment was finished from these very files."""
    try:
        stamp = (env / STAMP).read_text().strip()
    except OSError:
        return False
    return python_of(env).exists() and stamp == fingerprint(
        root, stack, version_in(env))


def find_wheel(folder: Optional[str], name: str, version: str,
               python: Sequence[int], platform: str) -> Optional[Path]:
    """Return a wheel that fits, or None.

    Args:
        folder (str, optional): Where to look; absent or no folder: None.
        name (str): Distribution.
        version (str): Its version; a local part of the wheel's is ignored.
        python (Sequence[int]): Major and minor version of the interpreter.
        platform (str): As ``sys.platform`` with the machine: 'linux_x86_64'.
    """
    if not folder or not Path(folder).is_dir():
        return None
    system, _, machine = platform.partition('_')
    for path in sorted(Path(folder).glob('*.whl')):
        parts = path.stem.split('-')
        if len(parts) < 5:
            continue
        same = re.sub(r'[-_.]+', '-', parts[0]).lower() == name
        fits = parts[-3] in ('cp%d%d' % tuple(python[:2]), 'py3') and (
            parts[-1] == 'any' or system in parts[-1] and machine in parts[-1])
        if same and fits and parts[1].split('+')[0] == version:
            return path
    return None


def mmcv_arguments(name: str, version: str, wheel: Optional[Path],
                   again: bool = False) -> List[str]:
    """Return pip's arguments for mmcv.

    Args:
        name (str): 'mmcv' or 'onedl-mmcv'.
        version (str): The version wanted.
        wheel (Path, optional): A wheel; its folder is added to pip's places.
        again (bool): Compile anew over what is installed, as that one's
            operators do not load (another torch, or built without them).
    """
    arguments = ['install', '--no-deps', '--no-build-isolation']
    if wheel is not None:
        arguments += ['--find-links', str(wheel.parent), '--only-binary', name]
    elif again:
        arguments += ['-v', '--force-reinstall', '--no-cache-dir', '--no-binary', name]
    else:
        arguments += ['-v']
    return arguments + [f'{name}=={version}']
