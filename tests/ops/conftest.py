"""What tests of operators share."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Callable

import pytest

STATUS = Path('/proc/self/status')

PROGRAM = """
import re, torch
torch.set_num_threads(1)

def status(name):
    return int(re.search(name + r':\\s+(\\d+) kB', open('/proc/self/status').read())[1])

{setup}
try:
    open('/proc/self/clear_refs', 'w').write('5')  # the peak so far is forgotten
except OSError:
    pass
before = status('VmRSS')
{work}
print((status('VmHWM') - before) / 1024)
"""


@pytest.fixture
def peak_memory() -> Callable[[str, str], float]:
    """Return MB that ``work`` needs beyond what is there after ``setup``.

    Both are programs; ``work`` runs once. What ``work`` allocates counts, its
    results too. The peak is the process's own (VmHWM): ``ru_maxrss`` starts at the
    size of the process that started it, so that under a large pytest a small peak
    would never show.
    """
    if not STATUS.exists():
        pytest.skip('needs /proc/self/status')

    def measure(setup: str, work: str) -> float:
        program = PROGRAM.format(setup=textwrap.dedent(setup), work=textwrap.dedent(work))
        out = subprocess.run([sys.executable, '-W', 'ignore', '-c', program],
                             capture_output=True, text=True, check=True).stdout
        return float(out)

    return measure

