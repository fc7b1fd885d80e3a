"""Operators under ``torch.compile``: a step of its own between compiled graphs.

They loop over taps and bands of rows in Python, which a compiler would unroll
into thousands of nodes, and look at their tensors before they choose a way.
"""

import functools
<<<<<<< HEAD
import sys
from typing import Any, Callable, List
=======
from typing import Any, Callable
>>>>>>> main

import torch


<<<<<<< HEAD
=======
@functools.lru_cache(maxsize=None)
def _outside(function: Callable) -> Callable:
    return torch.compiler.disable(function)


>>>>>>> main
def opaque(function: Callable) -> Callable:
    """Run ``function`` (positional arguments alone) as it is under torch.compile.

    ``torch.compiler.disable`` itself would import the compiler, which takes
<<<<<<< HEAD
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
=======
    seconds, together with this package.
    """

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if torch.compiler.is_compiling():
            return _outside(function)(*args)
>>>>>>> main
        return function(*args)

    return call
