"""RANet's Region Construction Block as a module.

Shapes: B batch, C classes, H x W map, N = H*W positions in raster order.
"""

import math
from dataclasses import dataclass
from typing import List, Optional, Tuple

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor

from ..ops.checks import check_choice, check_number
from ..ops.divergence import DIVERGENCES
from ..ops.lines import LINES
from ..ops.region_attention import (
    IMPLEMENTATIONS,
    construct_regions,
    region_membership,
    region_representatives,
)


@dataclass
class Regions:
    """What the interaction needs to know about the regions of a batch.

    Attributes:
        labels: (B, N) int64, 0..Q-1 in each image.
        membership: (B, N) J in (0, 1], float32 or float64.
        representatives: One sorted 1-D int64 tensor of pixel indices an image.
        shape: (H, W) of the map.
    """
    labels: Tensor
    membership: Tensor
    representatives: List[Tensor]
    shape: Tuple[int, int]


@MODELS.register_module()
class RegionConstruction(BaseModule):
    """Regions, membership and representatives of class and boundary logits.

    "Region Construction Block" (RCB) in the paper. No weights. Runs in float32
    (or float64) even under autocast: the ratios of the divergence and the
    threshold are too fine for half precision.

    Args:
        threshold (float): Two pixels are similar when G is larger. The
            released system uses 0.8.
        num_representatives (int): K, at most so many pixels stand for a region.
        divergence (str): 'bernoulli' (released) or 'jensen_shannon' (paper).
        line (str): 'interpolated' (released) or 'tree'.
        max_representatives (int | None): Our safety valve, off for parity: at
            most so many representatives an image, those of the largest regions
            first. Bounds time and memory where a map falls into thousands of
            regions.
        impl (str): See :func:`segaware_mm.ops.region_attention.construct_regions`.

    Raises:
        TypeError, ValueError: An argument is of another kind or out of range;
            the message names it.
    """

    def __init__(self,
                 threshold: float = 0.8,
                 num_representatives: int = 8,
                 divergence: str = 'bernoulli',
                 line: str = 'interpolated',
                 max_representatives: Optional[int] = None,
                 impl: str = 'auto',
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        check_number('threshold', threshold, -math.inf)
        check_number('num_representatives', num_representatives, 1, integer=True)
        check_choice('divergence', divergence, DIVERGENCES)
        check_choice('line', line, LINES)
        check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
        if max_representatives is not None:
            check_number('max_representatives', max_representatives, 1,
                         integer=True)
        self.threshold = threshold
        self.num_representatives = num_representatives
        self.divergence = divergence
        self.line = line
        self.max_representatives = max_representatives
        self.impl = impl

    def forward(self, class_logits: Tensor, boundary_logits: Tensor) -> Regions:
        """Construct the regions of a batch.

        Args:
            class_logits: (B, C, H, W), C >= 2.
            boundary_logits: (B, 2, H, W); channel 1 is "boundary".

        Returns:
            Regions; only ``membership`` carries a gradient.
        """
        if boundary_logits.dim() != 4 or boundary_logits.shape[1] != 2:
            raise ValueError('boundary_logits must have shape (B, 2, H, W), got '
                             f'{tuple(boundary_logits.shape)}.')
        with torch.autocast(class_logits.device.type, enabled=False):
            if class_logits.dtype != torch.float64:
                class_logits = class_logits.float()
            if boundary_logits.dtype != torch.float64:
                boundary_logits = boundary_logits.float()
            probs = class_logits.softmax(1)
            boundary = boundary_logits.softmax(1)[:, 1]
            kinds = dict(divergence=self.divergence, line=self.line,
                         impl=self.impl)
            labels = construct_regions(probs, boundary, self.threshold, **kinds)
            membership = region_membership(probs, boundary, labels, **kinds)
            chosen = region_representatives(membership, labels,
                                            self.num_representatives)
            if self.max_representatives is not None:
                chosen = [self._of_largest(r, q) for r, q in zip(chosen, labels)]
        return Regions(labels, membership, chosen, tuple(probs.shape[2:]))

    def _of_largest(self, representatives: Tensor, labels: Tensor) -> Tensor:
        """Keep the representatives of the largest regions, in raster order."""
        if len(representatives) <= self.max_representatives:
            return representatives
        size = torch.bincount(labels)[labels[representatives]]
        order = size.argsort(descending=True, stable=True)
        return representatives[order[:self.max_representatives].sort()[0]]

    def extra_repr(self) -> str:
        return (f'threshold={self.threshold}, '
                f'num_representatives={self.num_representatives}, '
                f'divergence={self.divergence!r}, line={self.line!r}, '
                f'max_representatives={self.max_representatives}, '
                f'impl={self.impl!r}')
