"""Run a GIL-free kernel over stripes of its work, one thread a stripe.

Plain threads instead of numba's parallel mode: no second OpenMP pool beside
torch's, safe in forked data workers and under concurrent autograd threads, and
the stripes (hence every sum) depend on the number of threads alone.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import torch


def run_stripes(kernel: Callable[[int, int], None]) -> None:
    """Call ``kernel(stripe, number of stripes)`` for every stripe.

    The number of stripes is torch's number of threads.
    """
    stripes = max(1, torch.get_num_threads())
    if stripes == 1:
        kernel(0, 1)
        return
    with ThreadPoolExecutor(stripes) as pool:
        for done in [pool.submit(kernel, s, stripes) for s in range(stripes)]:
            done.result()
