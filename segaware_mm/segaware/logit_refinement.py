"""What replaces a dense CRF: mean field, then a cascade of filters.

The released ResNet-101 pipeline of Harley et al. (ICCV 2017): logits at half
resolution, two steps of mean field, two passes of a 9x9 filter.
"""

from typing import Optional

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor
from torch.nn import functional


class LogitRefinement(BaseModule):
    """Sharpen logits by an embedding, at the embedding's resolution.

    One channel, whose sigmoid is the probability of a foreground, is refined as
    two classes with the logits 0 and itself, which have the same probabilities.

    Args:
        num_classes (int): C.
        mean_field (dict | None): Arguments of :class:`SegAwareMeanField`; None
            leaves it out.
        filters (dict | None): Arguments of :class:`SegAwareFilter`; None leaves
            them out.
        align_corners (bool): Of the bilinear resizing of the logits.
    """

    def __init__(self, num_classes: int, mean_field: Optional[dict] = None,
                 filters: Optional[dict] = None, align_corners: bool = True) -> None:
        super().__init__()
        if mean_field is None and filters is None:
            raise ValueError('mean_field and filters are both None: nothing would be '
                             'refined; {} takes the released values.')
        self.align_corners = align_corners
        self.mean_field = None if mean_field is None else MODELS.build(dict(
            type='SegAwareMeanField', num_classes=max(num_classes, 2), **mean_field))
        self.filters = None if filters is None else MODELS.build(
            dict(type='SegAwareFilter', **filters))

    def forward(self, logits: Tensor, embedding: Tensor) -> Tensor:
        """Return logits (B, C, h, w) of (B, C, H, W) and an embedding (B, E, h, w)."""
        size = tuple(embedding.shape[2:])
        if tuple(logits.shape[2:]) != size:
            logits = functional.interpolate(logits, size, mode='bilinear',
                                            align_corners=self.align_corners)
        single = logits.shape[1] == 1
        if single:
            logits = torch.cat([torch.zeros_like(logits), logits], 1)
        if self.mean_field is not None:
            logits = self.mean_field(logits, embedding)
        if self.filters is not None:
            logits = self.filters(logits, embedding)
        return logits[:, 1:] - logits[:, :1] if single else logits
