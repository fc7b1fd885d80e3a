"""A cascade of segmentation-aware filters (Harley et al., ICCV 2017)."""

from typing import Optional

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..ops.checks import check_choice
from ..ops.local_attention import local_attention_mask, masked_mean
from ..ops.windows import check_window


@MODELS.register_module()
class SegAwareFilter(BaseModule):
    """Replace every logit by the mean of its segment nearby, a few times.

    y_p = sum_t m_t(p) x_{p+t} / sum_t m_t(p), m = exp(-|hardness| d). The masks
    are made once and serve all passes.

    Args:
        kernel_size (int): Odd window; the released filters are 9x9.
        dilation (int): Pixels from tap to tap.
        passes (int): How often; the released network has 2.
        hardness (float): Released: 50, on L1 distances.
        norm (str): 'l1', 'l2' or 'sq'.
        learn (bool): Train the hardness.
        skip_in_training (bool): Leave the logits as they are in training mode;
            the released filters stand in the test network alone.
    """

    def __init__(self,
                 kernel_size: int = 9,
                 dilation: int = 1,
                 passes: int = 2,
                 hardness: float = 50.,
                 norm: str = 'l1',
                 learn: bool = True,
                 skip_in_training: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        if passes < 1:
            raise ValueError(f'passes must be at least 1, got {passes}.')
        check_window(kernel_size, dilation)
        check_choice('norm', norm, ('l1', 'l2', 'sq'))
        self.kernel_size, self.dilation = kernel_size, dilation
        self.passes, self.norm = passes, norm
        self.skip_in_training = skip_in_training
        self.hardness = nn.Parameter(torch.tensor([float(hardness)]),
                                     requires_grad=learn and not skip_in_training)

    def forward(self, logits: Tensor, embedding: Tensor) -> Tensor:
        """Filter (B, C, H, W) by an embedding (B, E, H, W)."""
        if self.skip_in_training and self.training:
            return logits
        mask = local_attention_mask(
            embedding, self.kernel_size, self.dilation, 1, self.norm, self.hardness,
            'drop')
        mask = mask.to(logits.dtype) if logits.dtype == torch.float64 else mask
        for _ in range(self.passes):
            logits = masked_mean(logits, mask, self.dilation)
        return logits
