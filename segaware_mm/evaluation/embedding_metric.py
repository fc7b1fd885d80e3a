"""How well an embedding tells neighbours of one label from others.

The loss of Harley et al. (ICCV 2017, eq. 1) wants pairs of one label nearer
than alpha and other pairs farther than beta; here a pair is right where it is
on its side of the middle.
"""

from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS
from torch import Tensor

from ..ops.local_attention import local_distance


@METRICS.register_module()
class EmbeddingPairMetric(BaseMetric):
    """Share of neighbouring pairs whose distance is on the right side.

    Reads the embedding from ``seg_logits`` of a segmentor whose decode head is
    an :class:`EmbeddingHead`.

    Args:
        threshold (float): Between near and far; the middle of alpha and beta.
        dilations (Sequence[int]): Pixels between neighbours, in the image. Twice
            those of the loss where the embedding has half the image's size.
        norm (str): Distance, as in the loss.
        ignore_index (int): Label that takes no part.
        collect_device, prefix: As in mmengine's ``BaseMetric``.

    Metrics, in percent: ``embedding/same`` of the pairs of one label that are
    near, ``embedding/other`` of the others that are far, and their mean
    ``embedding/balanced``: 50 for an embedding that says nothing.
    """

    default_prefix: Optional[str] = 'embedding'

    def __init__(self,
                 threshold: float = 1.25,
                 dilations: Sequence[int] = (1, 2, 5),
                 norm: str = 'l1',
                 ignore_index: int = 255,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.threshold = threshold
        self.dilations = tuple(dilations)
        self.norm = norm
        self.ignore_index = ignore_index

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pairs of a batch."""
        for sample in data_samples:
            embedding = sample['seg_logits']['data'].float()
            label = sample['gt_sem_seg']['data'].to(embedding.device).flatten(0, -2)
            if embedding.shape[1:] != label.shape:
                raise ValueError(
                    f'the embedding of {sample.get("img_path", "an image")} has size '
                    f'{tuple(embedding.shape[1:])}, its label {tuple(label.shape)}.')
            self.results.append(self.count(embedding[None], label[None]))

    def count(self, embedding: Tensor, label: Tensor) -> np.ndarray:
        """Return [[near, far] of one label, [near, far] of others].

        Args:
            embedding: (1, E, H, W).
            label: (1, H, W).
        """
        total = np.zeros((2, 2), np.int64)
        for dilation in self.dilations:
            distance = local_distance(embedding, 3, dilation, 1, self.norm)[0]
            beside = _neighbours(label[0], dilation, self.ignore_index)
            known = (label != self.ignore_index) & (beside != self.ignore_index)
            other = label != beside
            # A distance that is not a number is wrong for both kinds.
            far = torch.where(other, distance > self.threshold,
                              ~(distance <= self.threshold))
            kind = 2 * other.long() + far.long()
            total += torch.bincount(kind[known], minlength=4).view(2, 2).cpu().numpy()
        return total

    def compute_metrics(self, results: List[np.ndarray]) -> Dict[str, float]:
        """Return the shares; NaN where there are no pairs."""
        total = np.sum(results, axis=0).astype(float)
        pairs = total.sum(1)
        same, other = (100 * total[k, k] / pairs[k] if pairs[k] else float('nan')
                       for k in (0, 1))
        return dict(same=same, other=other, balanced=(same + other) / 2)


def _neighbours(label: Tensor, dilation: int, outside: int) -> Tensor:
    """Return the labels (9, H, W) at the taps of a 3x3 window.

    The middle and what lies outside are ``outside``.
    """
    height, width = label.shape
    padded = torch.full((height + 2 * dilation, width + 2 * dilation), outside,
                        dtype=label.dtype, device=label.device)
    padded[dilation:dilation + height, dilation:dilation + width] = label
    taps = [padded[y:y + height, x:x + width]
            for y in (0, dilation, 2 * dilation) for x in (0, dilation, 2 * dilation)]
    taps[4] = torch.full_like(label, outside)
    return torch.stack(taps)
