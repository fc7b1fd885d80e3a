"""What the doctor looks at, one function a section.

Each returns findings and assumes nothing: every package may be missing,
broken, or of another version.
"""

import importlib
import os
import os.path as osp
import pkgutil
import platform
import sys
import warnings
from typing import Iterator, NamedTuple, Optional, Tuple

from .stack import DISTRIBUTIONS, TESTED, detect_stack, is_tested, version_of

OK, NOTE, PROBLEM = 'ok', 'note', 'problem'

#: Import name -> distribution, for what both stacks need.
COMMON = {
    'torch': 'torch',
    'numpy': 'numpy',
    'numba': 'numba',
    'scipy': 'scipy',
    'cv2': 'opencv-python-headless',
}


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        name (str): What was looked at.
        value (str): What was found, one line.
        status (str): OK, NOTE (works, or is optional) or PROBLEM.
        mend (str): For the last two: what to do, mostly a command.
    """

    name: str
    value: str
    status: str = OK
    mend: str = ''


def pip_install(*requirements: str) -> str:
    """Return the command that installs something into this environment."""
    quoted = ' '.join(f'"{r}"' if '=' in r else r for r in requirements)
    return f'{_python()} -m pip install {quoted}'


def compile_mmcv(distribution: str) -> str:
    """Return the command that installs mmcv with its operators."""
    command = pip_install('--no-deps', '--no-build-isolation', '--force-reinstall',
                          '--no-cache-dir', f'{distribution}=={TESTED[distribution]}')
    return f'MMCV_WITH_OPS=1 {command}  (compiles, about 10 minutes on 2 cores)'


def _python() -> str:
    path = osp.relpath(sys.executable) if sys.executable else 'python'
    return sys.executable if path.startswith(os.pardir) else path


def _load(name: str) -> Tuple[Optional[object], str]:
    """Import a module; return it (or None) and the reason of a failure."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return importlib.import_module(name), ''
    except Exception as error:
        text = (str(error).strip() or 'no text').splitlines()[0]
        return None, f'{type(error).__name__}: {text}'


def _package(module: str, distribution: str) -> Finding:
    """Look at one package: does it import, and is its version tested."""
    loaded, reason = _load(module)
    installed = version_of(distribution)
    tested = TESTED.get(distribution)
    wanted = f'{distribution}=={tested}' if tested else distribution
    if loaded is None:
        absent = installed is None and 'No module named' in reason
        value = 'missing' if absent else f'does not import: {reason}'
        if 'libGL' in reason:
            return Finding(module, value, PROBLEM,
                           f'{_python()} -m pip uninstall -y opencv-python && '
                           + pip_install('--force-reinstall', wanted))
        if module == 'mmcv':
            return Finding(module, value, PROBLEM, compile_mmcv(distribution))
        # What the toolboxes declare would bring opencv-python, which needs libGL.
        extra = ('--no-deps', ) if distribution in _toolboxes() else ()
        return Finding(module, value, PROBLEM, pip_install(*extra, wanted))
    version = installed or getattr(loaded, '__version__', 'unknown version')
    if installed and not is_tested(distribution, installed):
        return Finding(module, f'{version} (tests run with {tested})', NOTE)
    return Finding(module, version)


def _toolboxes() -> Tuple[str, ...]:
    return tuple(name for names in DISTRIBUTIONS.values() for name in names.values())


def versions() -> Iterator[Finding]:
    """Look at Python, the packages and which stack they make."""
    from ..version import __version__
    yield Finding('segaware_mm', __version__)
    yield Finding('Python', f'{platform.python_version()}, {sys.executable}')
    for module, distribution in COMMON.items():
        yield _package(module, distribution)
    stack = detect_stack()
    fork = stack.name == 'onedl'
    names = DISTRIBUTIONS['onedl' if fork else 'mm']
    for module, distribution in names.items():
        yield _package(module, stack.versions.get(module, (distribution, ''))[0])
    title = {'mm': 'mm (original packages)', 'onedl': 'onedl (maintained forks)',
             'mixed': 'parts of both', 'none': 'none installed'}[stack.name]
    if stack.name in ('mixed', 'none'):
        what = f', overlaid: {", ".join(stack.clashes)}' if stack.clashes else ''
        yield Finding('stack', title + what, PROBLEM,
                      'build a fresh environment: make env (originals) or make '
                      'env STACK=onedl (forks)')
    else:
        yield Finding('stack', title)


def devices() -> Iterator[Finding]:
    """Look at what there is to compute on."""
    cpu = f'{_cpu_name()}, {os.cpu_count()} cores'
    torch, _ = _load('torch')
    if torch is None:
        yield Finding('CPU', cpu)
        return
    yield Finding('CPU', f'{cpu}, {torch.get_num_threads()} threads in torch')
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            yield Finding(f'CUDA {index}',
                          f'{card.name}, {card.total_memory / 2**30:.0f} GiB')
    else:
        built = torch.version.cuda
        yield Finding('CUDA', f'torch is built for CUDA {built}, no device found'
                      if built else 'none (torch is built for the CPU)', NOTE)
    if getattr(torch.backends, 'mps', None) and torch.backends.mps.is_available():
        yield Finding('MPS', 'available')


def _cpu_name() -> str:
    try:
        with open('/proc/cpuinfo') as file:
            names = [line.split(':', 1)[1].strip() for line in file
                     if line.startswith('model name')]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def kernels() -> Iterator[Finding]:
    """Look at which implementations of the operators run here."""
    torch, reason = _load('torch')
    if torch is None:
        yield Finding('operators', f'need torch; {reason}', PROBLEM,
                      pip_install(f'torch=={TESTED["torch"]}'))
        return
    yield Finding('torch', 'usable on every device')
    yield _numba_kernel()
    triton, _ = _load('triton')
    if torch.cuda.is_available():
        yield Finding('triton', f'{triton.__version__}') if triton else Finding(
            'triton', 'missing: the torch operators run on CUDA', NOTE,
            pip_install('triton'))
    else:
        yield Finding('triton', 'not used without CUDA', NOTE)
    yield _mmcv_operators(torch)
    from ..ops import kernels as folder
    for info in pkgutil.iter_modules(folder.__path__):
        loaded, reason = _load(f'{folder.__name__}.{info.name}')
        if loaded is None:
            yield Finding(f'kernels.{info.name}', reason, NOTE)


def _numba_kernel() -> Finding:
    """Compile and run one tiny kernel."""
    numba, reason = _load('numba')
    slow = 'the operators fall back to torch'
    if numba is None:
        return Finding('numba', f'{slow}; {reason}', PROBLEM,
                       pip_install(f'numba=={TESTED["numba"]}',
                                   f'numpy=={TESTED["numpy"]}'))
    try:
        kernel = numba.njit(lambda n: n * (n + 1) // 2)
        if kernel(100) != 5050:
            raise RuntimeError('a kernel returned a wrong number')
    except Exception as error:
        return Finding('numba', f'{slow}; {type(error).__name__}: {error}', PROBLEM,
                       pip_install('--force-reinstall', f'numba=={TESTED["numba"]}',
                                   f'numpy=={TESTED["numpy"]}'))
    return Finding('numba', 'compiles kernels')


def _mmcv_operators(torch) -> Finding:
    """Run one of mmcv's compiled operators."""
    stack = detect_stack()
    names = DISTRIBUTIONS['onedl' if stack.name == 'onedl' else 'mm']
    mend = compile_mmcv(names['mmcv'])
    loaded, reason = _load('mmcv._ext')
    if loaded is not None:
        loaded, reason = _load('mmcv.ops')
    if loaded is None:
        return Finding('mmcv operators', f'not compiled in; {reason}', PROBLEM, mend)
    boxes = torch.tensor([[0., 0., 4., 4.], [0., 0., 4., 4.]])
    try:
        kept = loaded.nms(boxes, torch.tensor([.9, .8]), .5)[1].tolist()
    except Exception as error:
        return Finding('mmcv operators', f'{type(error).__name__}: {error}', PROBLEM,
                       mend)
    if kept != [0]:
        return Finding('mmcv operators', f'nms kept {kept}, wanted [0]', PROBLEM, mend)
    return Finding('mmcv operators', 'usable')


def parts() -> Iterator[Finding]:
    """Look at which parts of this package are registered."""
    from ..registration import import_failures, list_modules
    registries = {}
    for line in list_modules():
        registry, name = line.split(': ')
        registries.setdefault(registry, []).append(name)
    for registry, names in registries.items():
        yield Finding(registry, ', '.join(names))
    if not registries:
        yield Finding('registered', 'nothing', PROBLEM,
                      'mend the toolboxes first (above)')
    for module, reason in import_failures().items():
        yield Finding(module, f'left out; {reason.splitlines()[0]}', PROBLEM,
                      'mend what it could not import, see its line above')


def data() -> Iterator[Finding]:
    """Look at the data root."""
    name = 'SEGAWARE_MM_DATA'
    root = os.environ.get(name)
    if root and not osp.isdir(root):
        yield Finding(name, f'{root} is no folder', PROBLEM,
                      f'export {name}=FOLDER, the one that holds the datasets; or '
                      f'unset {name}')
        return
    shown = root or 'data'
    if not osp.isdir(shown):
        yield Finding(name, 'not set, and there is no folder ./data: the generated '
                      'scenes still work', NOTE)
        return
    found = sorted(entry.name for entry in os.scandir(shown) if entry.is_dir())
    more = f' and {len(found) - 12} more' if len(found) > 12 else ''
    yield Finding(name, (root or './data (not set)') + ': '
                  + (', '.join(found[:12]) + more if found else 'empty'))
