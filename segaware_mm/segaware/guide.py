"""How an embedding reaches the convolutions that read it.

A convolution deep inside an upstream head is called with its features alone.
Its *owner*, the module that knows the embedding (a head or backbone wrapper),
holds a :class:`Guide`; every aware convolution below it holds the same guide,
by :func:`bind_guide`. The owner shows the embedding for the time of a call::

    with self.guide.show(embedding) as shown:
        out = self.head(features)
    return shown.follow(out)

There is no global state: two models, or two owners in one model, have two
guides. A guide is no module and has no weights: it is not in the state dict,
and copies of a model share one guide among themselves.

Distances are computed once for each window and map size of a call and shared
by all layers; the hardness, which differs from layer to layer, comes later.

Activation checkpointing runs a part of the network again in the backward pass,
after the call is over. ``follow`` lets the gradient that arrives at the outputs
bring the embedding of that call back, also where several calls preceded the
backward pass. The guide itself holds nothing beyond the life of the graph. A
reentrant checkpoint (``with_cp=True`` of upstream backbones) differentiates its
own graph, which the embedding is no part of; it is refused where the embedding
is to learn.
"""

import weakref
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Optional, Tuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils._pytree import tree_leaves

from ..ops.checks import check_tensor
from ..ops.local_attention import local_distance

Outputs = TypeVar('Outputs')

REENTRANT = (
    'a segmentation-aware convolution stands in a reentrant activation checkpoint '
    '(use_reentrant=True, as with_cp=True of mmseg and mmdet backbones and '
    "mmengine's activation_checkpointing), through which the embedding's gradient "
    'would be lost. Leave these out, call torch.utils.checkpoint.checkpoint with '
    'use_reentrant=False in a module of your own, or freeze the embedding.')


class Shown:
    """An embedding during one call, and what was computed from it.

    Attributes:
        embedding: (B, E, H, W).
    """

    def __init__(self, guide: 'Guide', embedding: Tensor) -> None:
        self.embedding = embedding
        self._guide = guide
        self._over = False  # the call is; what asks now is a checkpoint
        self._resized: Dict[tuple, Tensor] = {}
        self._distances: Dict[tuple, Tensor] = {}

    def at(self, size: Tuple[int, int]) -> Tensor:
        """Return the embedding at a map size, corners aligned.

        Where (H - 1) is a multiple of (h - 1) that is every f-th pixel.
        """
        if tuple(self.embedding.shape[2:]) == tuple(size):
            return self.embedding
        key = (size, torch.is_grad_enabled())
        if key not in self._resized:
            self._resized[key] = interpolate(
                self.embedding, size, mode='bilinear', align_corners=True)
        return self._resized[key]

    def distance(self, size: Tuple[int, int], kernel_size: int, dilation: int,
                 stride: int, norm: str) -> Tensor:
        """Return distances (B, P, Ho, Wo) on a map of ``size``."""
        # What was computed without gradients is of no use with them.
        graph = torch.is_grad_enabled()
        key = (size, kernel_size, dilation, stride, norm, graph)
        # A reentrant checkpoint has no gradients in its first run; a layer beside
        # it may have.
        if graph and self._over and (*key[:-1], False) in self._distances \
                and self.embedding.requires_grad:
            raise RuntimeError(REENTRANT)
        if key not in self._distances:
            with _outside_checkpoints():
                self._distances[key] = local_distance(
                    self.at(size), kernel_size, dilation, stride, norm)
        return self._distances[key]

    def follow(self, outputs: Outputs) -> Outputs:
        """Let gradients that arrive at ``outputs`` bring this call's embedding back.

        Args:
            outputs: Whatever the call returned; tensors in it are found.

        Returns:
            The same outputs.
        """
        if torch.compiler.is_compiling():
            return outputs  # no Python runs in a compiled backward pass
        for leaf in tree_leaves(outputs):
            if isinstance(leaf, Tensor) and leaf.requires_grad:
                leaf.register_hook(self._return)
        return outputs

    def _return(self, grad: Tensor) -> None:
        self._guide.bring_back(self)


@contextmanager
def _outside_checkpoints() -> Iterator[None]:
    """Keep what is saved here out of the bookkeeping of a checkpoint around it.

    Distances are shared: the first layer that asks computes them, and a
    checkpoint that ran again would find them there and count less.
    """
    if torch.compiler.is_compiling():
        yield
        return
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        yield


class Guide:
    """What an owner and the aware convolutions below it share."""

    def __init__(self) -> None:
        self._now: Optional[Shown] = None
        self._again: Any = None  # weak: the graph owns it

    @contextmanager
    def show(self, embedding: Tensor) -> Iterator[Shown]:
        """Show an embedding (B, E, H, W) to the convolutions during a call.

        Raises:
            TypeError, ValueError: It is not a floating (B, E, H, W) tensor.
        """
        check_tensor('embedding', embedding, '(B, E, H, W)', 4)
        before, self._now = self._now, Shown(self, embedding)
        try:
            yield self._now
        finally:
            self._now._over = True
            self._now = before

    def bring_back(self, shown: Shown) -> None:
        """Show it again while its graph lives; see :meth:`Shown.follow`."""
        self._again = weakref.ref(shown)

    @property
    def shown(self) -> Optional[Shown]:
        """What is shown now, None where nothing is."""
        if self._now is not None or self._again is None or not _in_backward():
            return self._now
        return self._again()

    def __deepcopy__(self, memo: dict) -> 'Guide':
        memo[id(self)] = copied = Guide()
        return copied

    def __reduce__(self) -> tuple:
        return Guide, ()


def _in_backward() -> bool:
    """Whether autograd runs now: a call of its own is not to see the last one."""
    task = getattr(torch._C, '_current_graph_task_id', None)
    return task is None or task() != -1


def bind_guide(module: nn.Module, guide: Guide) -> int:
    """Give the guide to every aware layer of ``module`` that has none yet.

    Layers below an owner further inside keep that one's guide. 1x1 layers have
    no masks and read none.

    Returns:
        How many layers of ``module`` read this guide.
    """
    count = 0
    for layer in module.modules():
        if not hasattr(layer, 'guide') or getattr(layer, 'hardness', 0) is None:
            continue
        if layer.guide is None:
            layer.guide = guide
        count += layer.guide is guide
    return count
