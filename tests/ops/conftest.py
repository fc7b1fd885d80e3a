"""What tests of operators share."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Callable

import pytest
from memory_program import PEAK_MEMORY

STATUS = Path('/proc/self/status')

PROGRAM = PEAK_MEMORY + """
import torch
torch.set_num_threads(1)
{setup}
start = start_peak()
{work}
print(peak_mb(start))
"""


@pytest.fixture
def peak_memory() -> Callable[[str, str], float]:
    """Return MB that ``work`` needs beyond what is there after ``setup``.

    Both are programs; ``work`` runs once. What ``work`` allocates counts, its
    results too.
    """
    if not STATUS.exists():
        pytest.skip('needs /proc/self/status')

    def measure(setup: str, work: str) -> float:
        program = PROGRAM.format(setup=textwrap.dedent(setup), work=textwrap.dedent(work))
        out = subprocess.run([sys.executable, '-W', 'ignore', '-c', program],
                             capture_output=True, text=True, check=True).stdout
        return float(out)

    return measure

