"""Mixed precision on the CPU.

mmengine's AmpOptimWrapper refuses to work without a GPU. On the CPU autocast
is to bfloat16, whose exponent is float32's: gradients need no loss scale.
"""

from contextlib import contextmanager
from typing import Iterator

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """An :class:`OptimWrapper` whose forward runs in bfloat16 autocast.

    Args:
        **kwargs: As in :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Open autocast around the forward of ``model``."""
        with super().optim_context(model), \
                torch.autocast('cpu', dtype=torch.bfloat16):
            yield
