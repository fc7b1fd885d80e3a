"""Labels where an embedding is: at its size, in its places.

Shapes: B batch, H x W pixels.
"""

from typing import List, Sequence

import torch
from torch import Tensor


def shrink_labels(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Return labels (B, H, W) at another size, by the nearest pixel.

    Corners are aligned, as embeddings are: label and embedding of a pixel are of
    one place of the image.
    """
    for axis, wanted in zip((1, 2), size):
        found = labels.shape[axis]
        if found != wanted:
            step = (found - 1) / max(1, wanted - 1)
            places = torch.arange(wanted, device=labels.device) * step
            # Half goes up, as in no format's "round to even".
            labels = labels.index_select(axis, (places + 0.5).long())
    return labels


def stack_labels(samples: List) -> Tensor:
    """Return the labels (B, H, W) of data samples."""
    return torch.stack([sample.gt_sem_seg.data for sample in samples]).squeeze(1)
