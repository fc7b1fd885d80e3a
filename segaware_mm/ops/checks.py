"""Argument checks whose messages name the argument, what was found and wanted."""

import math
import numbers
from typing import Sequence, Tuple, Union

import torch
from torch import Tensor


def check_tensor(name: str, value: Tensor, wanted: str, ndim: int,
                 floating: bool = True) -> None:
    """Raise unless ``value`` is a tensor with ``ndim`` axes of the right kind.

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        wanted: Shape legend for the message, such as ``'(B, H, W)'``.
        ndim: Number of axes.
        floating: Wants a floating dtype if True, an integer dtype if False.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f'{name} must be a tensor of shape {wanted}, got '
                        f'{type(value).__name__}.')
    if value.dim() != ndim:
        raise ValueError(
            f'{name} must have shape {wanted}, got {tuple(value.shape)}.')
    if floating and not value.is_floating_point():
        raise TypeError(f'{name} must be floating point, got {value.dtype}.')
    if not floating and (value.is_floating_point() or value.is_complex()
                         or value.dtype == torch.bool):
        raise TypeError(f'{name} must hold integers, got {value.dtype}.')


def check_same(name: str, got: Sequence[int], other: str,
               wanted: Sequence[int]) -> None:
    """Raise unless the shape ``got`` of ``name`` is the one ``other`` implies."""
    if tuple(got) != tuple(wanted):
        raise ValueError(f'{name} has shape {tuple(got)}; with {other} it must '
                         f'be {tuple(wanted)}.')


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}"
                         f'; got {value!r}.')


def check_number(name: str, value: float, low: float, high: float = math.inf,
                 integer: bool = False) -> None:
    """Raise unless ``value`` is a number in [low, high].

    Args:
        name: Name of the argument, for the message.
        value: The argument.
        low: Least value allowed.
        high: Largest value allowed.
        integer: Wants an integer.
    """
    kinds = numbers.Integral if integer else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise TypeError(f"{name} must be {'an integer' if integer else 'a number'}"
                        f', got {value!r}.')
    if not low <= value <= high:
        wanted = f'at least {low}' if math.isinf(high) else f'in [{low}, {high}]'
        raise ValueError(f'{name} must be {wanted}, got {value}.')


def check_size(name: str, value: Union[int, Sequence[int]]) -> Tuple[int, int]:
    """Return (height, width) of a size given so, or as one number for both.

    Raises:
        TypeError, ValueError: Not one or two integers of at least 1.
    """
    pair = (value, value) if isinstance(value, numbers.Integral) else value
    if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
        raise TypeError(f'{name} must be an integer or (height, width), got {value!r}.')
    for one in pair:
        check_number(name, one, 1, integer=True)
    return int(pair[0]), int(pair[1])
