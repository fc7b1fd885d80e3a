"""Number formats of the operators: what is computed in which, under autocast or not."""

from typing import ContextManager, Tuple

import torch
from torch import Tensor

#: Formats too coarse for sums over many channels.
HALF = (torch.float16, torch.bfloat16)


def wide_dtype(*tensors: Tensor) -> torch.dtype:
    """float64 where one of the tensors is, else float32."""
    wide = any(tensor.dtype == torch.float64 for tensor in tensors)
    return torch.float64 if wide else torch.float32


def widened(tensor: Tensor) -> Tensor:
    """Return half precision as float32, all else as it is."""
    return tensor.float() if tensor.dtype in HALF else tensor


def no_autocast(device: torch.device) -> ContextManager:
    """Return a context in which autocast leaves formats alone."""
    return torch.autocast(device.type, enabled=False)


@torch.no_grad()
def autocast_dtype(tensor: Tensor) -> torch.dtype:
    """Return the format in which a matrix product of ``tensor`` runs here.

    Asks torch itself, by a product of nothing: float64 stays under autocast,
    and how one asks for autocast's format differs between versions of torch.
    """
    empty = tensor.new_empty(0, 0)
    return torch.mm(empty, empty).dtype


def cast_as_autocast(*tensors: Tensor) -> Tuple[Tensor, ...]:
    """Return the tensors as autocast hands them to a convolution."""
    return tuple(tensor.to(autocast_dtype(tensor)) for tensor in tensors)
