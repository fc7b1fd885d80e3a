"""A network that does not learn: no gradients, statistics of norms kept."""

from contextlib import nullcontext
from typing import ContextManager

import torch
from torch import nn


class FrozenByOption(nn.Module):
    """Mix-in for encoders with the field ``frozen``.

    A frozen encoder stays in evaluation mode, its parameters ask for no gradient,
    and its forward pass keeps nothing for a backward one.
    """

    frozen = False

    def freeze(self, frozen: bool) -> None:
        """Decide; to be called when the parts are there."""
        self.frozen = bool(frozen)
        if self.frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode: bool = True) -> nn.Module:
        """Set the mode; a frozen encoder stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def grad_context(self) -> ContextManager:
        """Return the context of the forward pass."""
        return torch.no_grad() if self.frozen else nullcontext()
