"""``import segaware_mm`` works whatever is missing around it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

REPO = Path(__file__).resolve().parents[2]

PROGRAM = """
import json, sys

class Blocker:
    blocked = tuple(sys.argv[1:])
    def find_spec(self, name, path=None, target=None):
        for one in self.blocked:
            if name == one or name.startswith(one + '.'):
                raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Blocker())
import segaware_mm
print('RESULT ' + json.dumps(dict(
    failures=segaware_mm.import_failures(), parts=segaware_mm.list_modules(),
    version=segaware_mm.__version__,
    leaked=[n for n in sys.modules if n.split('.')[0] in Blocker.blocked])))
"""

pytestmark = pytest.mark.stack


def import_without(*blocked: str) -> Dict[str, Any]:
    """Import the package in a process where some modules are missing."""
    env = dict(os.environ, PYTHONPATH=str(REPO), PYTHONWARNINGS='ignore',
               OMP_NUM_THREADS='1')
    done = subprocess.run([sys.executable, '-c', PROGRAM, *blocked], env=env,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    line = [x for x in done.stdout.splitlines() if x.startswith('RESULT ')][-1]
    return json.loads(line[len('RESULT '):])


def test_complete_environment_registers_everything():
    result = import_without()
    assert result['failures'] == {}
    assert 'mmseg.DATASETS: CamVidDataset' in result['parts']
    assert result['parts'] == sorted(set(result['parts']))


def test_without_mmdet():
    result = import_without('mmdet')
    assert 'mmseg.DATASETS: CamVidDataset' in result['parts']
    assert not [line for line in result['parts'] if line.startswith('mmdet.')]
    assert all('mmdet' in reason for reason in result['failures'].values())
    assert result['leaked'] == []


def test_without_compiled_operators():
    # mmseg 1.2.2 imports the operators everywhere, its fork where it uses them.
    result = import_without('mmcv._ext')
    assert result['version']
    assert all('_ext' in reason for reason in result['failures'].values())
    assert result['failures'] or 'mmseg.DATASETS: CamVidDataset' in result['parts']


def test_without_numba():
    result = import_without('numba')
    assert result['failures'] == {}


def test_without_any_toolbox():
    result = import_without('mmengine', 'mmcv', 'mmseg', 'mmdet')
    assert result['parts'] == []
    assert result['failures']
    assert all(reason.startswith('ModuleNotFoundError')
               for reason in result['failures'].values())


def test_without_torch():
    result = import_without('torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet')
    assert result['parts'] == []
