"""Which implementation of an operator runs.

An operator's ``impl`` argument names one of its implementations or is
``'auto'``. The environment variable ``SEGAWARE_MM_IMPL`` replaces ``'auto'``
(never an explicit choice), so that a whole training can be run on, say, the
reference.
"""

import importlib.util
import os
from functools import lru_cache
from typing import Sequence

import torch

ENVIRONMENT_VARIABLE = 'SEGAWARE_MM_IMPL'


def choose_named(impl: str, default: str, available: Sequence[str],
                 of_others: Sequence[str] = ()) -> str:
    """Return the implementation to run, whatever the device.

    Args:
        impl: ``'auto'`` or one of ``available``.
        default: What ``'auto'`` means.
        available: Names the operator offers.
        of_others: Names that only other operators know; the environment
            variable may hold one of them, which means ``'auto'`` here.

    Raises:
        ValueError: ``impl`` (or the environment variable) is not offered.
    """
    source = 'impl'
    if impl == 'auto':
        impl = os.environ.get(ENVIRONMENT_VARIABLE, 'auto') or 'auto'
        source = ENVIRONMENT_VARIABLE
        if impl == 'auto' or impl in of_others:
            return default
    if impl not in available:
        raise ValueError(f'{source} is {impl!r}; this operator offers '
                         f"'auto', {', '.join(map(repr, available))}.")
    return impl


@lru_cache(maxsize=None)
def has_numba() -> bool:
    """Whether numba can be imported (found, not yet loaded)."""
    return importlib.util.find_spec('numba') is not None


def choose(impl: str, available: Sequence[str], device: torch.device) -> str:
    """Return the implementation to run.

    Args:
        impl: ``'auto'`` or one of ``available``.
        available: Names the operator offers; ``'numba'`` (CPU tensors only)
            is preferred on the CPU, ``'torch'`` elsewhere.
        device: Device of the operator's tensors.

    Raises:
        ValueError: ``impl`` (or the environment variable) is not offered, or
            it cannot run on this device.
    """
    source = 'impl'
    if impl == 'auto':
        impl = os.environ.get(ENVIRONMENT_VARIABLE, 'auto') or 'auto'
        source = ENVIRONMENT_VARIABLE
    if impl == 'auto':
        on_cpu = device.type == 'cpu' and 'numba' in available and has_numba()
        return 'numba' if on_cpu else 'torch'
    if impl not in available:
        raise ValueError(f'{source} is {impl!r}; this operator offers '
                         f"'auto', {', '.join(map(repr, available))}.")
    if impl == 'numba':
        if device.type != 'cpu':
            raise ValueError(
                f"{source} is 'numba', which runs on the CPU; the tensors are "
                f"on {device}. Use 'torch' or 'auto'.")
        if not has_numba():
            raise ValueError(f"{source} is 'numba', which is not installed: "
                             "pip install numba, or use 'torch'.")
    return impl
