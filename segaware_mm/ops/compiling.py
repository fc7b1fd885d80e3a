"""Operators under ``torch.compile``: a step of its own between compiled graphs.

They loop over taps and bands of rows in Python, which a compiler would unroll
into thousands of nodes, and look at their tensors before they choose a way.
"""

import functools
import sys
from typing import Any, Callable, List

import torch


def opaque(function: Callable) -> Callable:
    """Run ``function`` (positional arguments alone) as it is under torch.compile.

    ``torch.compiler.disable`` itself would import the compiler, which takes
    seconds, together with this package; so it waits until something else has.
    """
    outside: List[Callable] = []

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        # Frames that the compiler has given up run here as they are; what they
        # call would be compiled.
        if torch.compiler.is_compiling() or 'torch._dynamo' in sys.modules:
            if not outside:
                outside.append(torch.compiler.disable(function))
            return outside[0](*args)
        return function(*args)

    return call
