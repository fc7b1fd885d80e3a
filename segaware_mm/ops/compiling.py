"""Operators under ``torch.compile``: a step of its own between compiled graphs.

They loop over taps and bands of rows in Python, which a compiler would unroll
into thousands of nodes, and look at their tensors before they choose a way.
"""

import functools
from typing import Any, Callable

import torch


@functools.lru_cache(maxsize=None)
def _outside(function: Callable) -> Callable:
    return torch.compiler.disable(function)


def opaque(function: Callable) -> Callable:
    """Run ``function`` (positional arguments alone) as it is under torch.compile.

    ``torch.compiler.disable`` itself would import the compiler, which takes
    seconds, together with this package.
    """

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if torch.compiler.is_compiling():
            return _outside(function)(*args)
        return function(*args)

    return call
