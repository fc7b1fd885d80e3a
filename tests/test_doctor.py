"""The doctor finds what is missing, says how to mend it, and never falls over."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Dict

import pytest

from segaware_mm import doctor
from segaware_mm.utils import probes, stack
from segaware_mm.utils.probes import NOTE, OK, PROBLEM, Finding

REPO = Path(__file__).resolve().parents[1]

PROGRAM = """
import sys

class Blocker:
    blocked = tuple(sys.argv.pop().split(','))
    def find_spec(self, name, path=None, target=None):
        for one in self.blocked:
            if name == one or name.startswith(one + '.'):
                raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Blocker())
import runpy
runpy.run_module('segaware_mm.doctor', run_name='__main__')
"""


def run_doctor(*blocked: str) -> subprocess.CompletedProcess:
    """Run the command where some modules are missing."""
    env = dict(os.environ, PYTHONPATH=str(REPO), PYTHONWARNINGS='ignore')
    env.pop('SEGAWARE_MM_DATA', None)
    command = ([sys.executable, '-c', PROGRAM, ','.join(blocked)] if blocked else
               [sys.executable, '-m', 'segaware_mm.doctor'])
    return subprocess.run(command, env=env, capture_output=True, text=True,
                          timeout=300)


def by_name(findings) -> Dict[str, Finding]:
    return {finding.name: finding for finding in findings}


@pytest.fixture
def without(monkeypatch):
    """Return a function that lets modules be missing for the probes."""
    load = probes._load

    def forbid(*names):
        monkeypatch.setattr(probes, '_load', lambda name: (
            (None, f"ModuleNotFoundError: No module named '{name}'")
            if any(name == n or name.startswith(n + '.') for n in names)
            else load(name)))
        installed = stack.version_of
        monkeypatch.setattr(probes, 'version_of', lambda name: (
            None if name in names else installed(name)))

    return forbid


@pytest.mark.stack
def test_complete_environment_has_no_problem():
    done = run_doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith('No problem.\n')
    for title, _ in doctor.TITLES:
        assert f'\n{title}\n' in '\n' + done.stdout
    assert 'mmcv operators' in done.stdout and 'CamVidDataset' in done.stdout


@pytest.mark.stack
@pytest.mark.parametrize('blocked', [
    ('mmdet', ), ('mmengine', 'mmcv', 'mmseg', 'mmdet', 'numba')],
    ids=['mmdet', 'everything but torch'])
def test_runs_without(blocked):
    done = run_doctor(*blocked)
    assert done.returncode == 1, done.stdout + done.stderr
    problems = done.stdout[done.stdout.index('\nProblems\n'):]
    for name in blocked:
        assert f' ! {name}: ' in problems
    assert 'pip install' in problems
    assert 'Traceback' not in done.stdout + done.stderr


def test_runs_without_torch():
    done = run_doctor('torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet', 'numba', 'cv2')
    assert done.returncode == 1, done.stdout + done.stderr
    assert ' ! torch' in done.stdout and 'torch==2.13.0' in done.stdout
    assert 'Traceback' not in done.stdout + done.stderr


@pytest.mark.parametrize('module, wanted', [
    ('numba', 'pip install "numba=='), ('mmdet', 'pip install --no-deps "'),
    ('mmcv', 'MMCV_WITH_OPS=1 '), ('cv2', 'opencv-python-headless==')])
def test_missing_package_is_a_problem_with_a_command(without, module, wanted):
    without(module)
    finding = by_name(probes.versions())[module]
    assert finding.status == PROBLEM
    assert 'No module named' in finding.value or finding.value == 'missing'
    assert wanted in finding.mend


def test_opencv_that_needs_libgl(monkeypatch):
    reason = 'ImportError: libGL.so.1: cannot open shared object file'
    monkeypatch.setattr(probes, '_load', lambda name: (None, reason))
    finding = by_name(probes.versions())['cv2']
    assert finding.status == PROBLEM
    assert 'uninstall -y opencv-python ' in finding.mend


def test_untested_version_is_a_note_not_a_problem(monkeypatch):
    """No upper bounds: other versions are told, not refused."""
    monkeypatch.setitem(stack.TESTED, 'numpy', '1.0.0')
    finding = by_name(probes.versions())['numpy']
    assert finding.status == NOTE
    assert 'tests run with 1.0.0' in finding.value


def test_mixed_stack(monkeypatch):
    monkeypatch.setattr(probes, 'detect_stack', lambda: stack.Stack(
        'mixed', {'mmseg': ('onedl-mmsegmentation', '1.4.2')}, ('mmseg', )))
    finding = by_name(probes.versions())['stack']
    assert finding.status == PROBLEM
    assert 'overlaid: mmseg' in finding.value
    assert 'make env' in finding.mend


def test_kernels_fall_back_without_numba(without):
    without('numba')
    finding = by_name(probes.kernels())['numba']
    assert finding.status == PROBLEM
    assert 'fall back to torch' in finding.value


def test_numba_that_cannot_compile(monkeypatch):
    def njit(function):
        raise OSError('no compiler')

    monkeypatch.setattr(probes, '_load', lambda name: (SimpleNamespace(njit=njit), ''))
    finding = probes._numba_kernel()
    assert finding.status == PROBLEM
    assert 'OSError: no compiler' in finding.value
    assert '--force-reinstall' in finding.mend


def test_operators_that_are_not_compiled_in(without):
    torch = pytest.importorskip('torch')
    without('mmcv._ext')
    finding = probes._mmcv_operators(torch)
    assert finding.status == PROBLEM
    assert '--no-build-isolation' in finding.mend and '10 minutes' in finding.mend


@pytest.mark.parametrize('kept, status', [([0], OK), ([0, 1], PROBLEM)])
def test_operators_are_run_not_only_imported(monkeypatch, kept, status):
    torch = pytest.importorskip('torch')
    fake = SimpleNamespace(nms=lambda *_: (None, torch.tensor(kept)))
    monkeypatch.setattr(probes, '_load', lambda name: (fake, ''))
    assert probes._mmcv_operators(torch).status == status


def test_cuda_devices_are_listed(monkeypatch):
    torch = pytest.importorskip('torch')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda index: (
        SimpleNamespace(name=f'Card {index}', total_memory=24 * 2**30)))
    found = by_name(probes.devices())
    assert found['CUDA 0'].value == 'Card 0, 24 GiB'
    assert found['CUDA 1'].value == 'Card 1, 24 GiB'


def test_part_that_was_left_out(monkeypatch):
    pytest.importorskip('mmengine')
    from segaware_mm import registration
    monkeypatch.setitem(registration._failures, 'segaware_mm.mnc',
                        "ModuleNotFoundError: No module named 'mmdet'")
    finding = by_name(probes.parts())['segaware_mm.mnc']
    assert finding.status == PROBLEM
    assert "left out; ModuleNotFoundError: No module named 'mmdet'" in finding.value


def test_data_root(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('SEGAWARE_MM_DATA', raising=False)
    assert by_name(probes.data())['SEGAWARE_MM_DATA'].status == NOTE
    (tmp_path / 'data' / 'camvid').mkdir(parents=True)
    assert by_name(probes.data())['SEGAWARE_MM_DATA'].value == './data (not set): camvid'
    monkeypatch.setenv('SEGAWARE_MM_DATA', str(tmp_path / 'data'))
    assert by_name(probes.data())['SEGAWARE_MM_DATA'].value == (
        f'{tmp_path / "data"}: camvid')
    monkeypatch.setenv('SEGAWARE_MM_DATA', str(tmp_path / 'absent'))
    finding = by_name(probes.data())['SEGAWARE_MM_DATA']
    assert finding.status == PROBLEM
    assert str(tmp_path / 'absent') in finding.value and 'export' in finding.mend


def test_report_is_aligned_and_counts():
    sections = [
        doctor.Section('A', (Finding('x', '1'), Finding('long name', '2', NOTE))),
        doctor.Section('B', (Finding('y', 'bad', PROBLEM, 'do this'),
                             Finding('z', 'bad', PROBLEM, 'do that')))]
    assert doctor.render(sections).splitlines() == [
        'A',
        '   x          1',
        ' - long name  2',
        '',
        'B',
        ' ! y          bad',
        ' ! z          bad',
        '',
        'Problems',
        ' ! y: do this',
        ' ! z: do that',
        '',
        '2 problems.']


def test_probe_that_fails_is_a_finding(monkeypatch):
    def probe():
        raise ZeroDivisionError('unforeseen')

    monkeypatch.setattr(doctor, 'TITLES', (('Versions', probe), ))
    sections = doctor.examine()
    assert doctor.problems(sections) == 1
    assert 'ZeroDivisionError: unforeseen' in doctor.render(sections)


@pytest.mark.parametrize('argument, code', [('--help', 0), ('nonsense', 2)])
def test_arguments(capsys, argument, code):
    assert doctor.main([argument]) == code
    assert 'segaware_mm.doctor' in capsys.readouterr().out
