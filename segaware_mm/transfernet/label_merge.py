"""From the figures of single labels to one map of classes.

Hong, Oh, Lee, Han (CVPR 2016), as released: of the scores b (ground) and f (figure) of
a label l the odds of the ground are halved,

    p_l = e^f / (e^f + bg_factor e^b)
    score_l = p_l where p_l > 1/2 (or where a CRF says figure), else 0
    class = arg max_l score_l, and 0 (background) where that is 0

There is no score of the background beside each label's own. Shapes: K labels,
H x W pixels.
"""

import math
from typing import List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..ops.checks import check_number, check_tensor
from ..ops.precision import wide_dtype


def foreground_probability(scores: Tensor, bg_factor: float = 0.5) -> Tensor:
    """Return p (K, H, W) of figure-ground scores (K, 2, H, W), ground first.

    Args:
        scores: (K, 2, H, W), not normalised.
        bg_factor: Factor of the odds of the ground, more than 0; 1 is a softmax.

    Returns:
        (K, H, W) in [0, 1], float64 if the scores are, else float32.

    Raises:
        TypeError, ValueError: A wrong shape, dtype or factor.
    """
    check_tensor('scores', scores, '(K, 2, H, W)', 4)
    if scores.shape[1] != 2:
        raise ValueError('scores must have shape (K, 2, H, W), ground and figure, got '
                         f'{tuple(scores.shape)}.')
    check_bg_factor(bg_factor)
    wide = scores.to(wide_dtype(scores))
    return (wide[:, 1] - wide[:, 0] - math.log(bg_factor)).sigmoid()


def check_bg_factor(bg_factor: float) -> None:
    """Raise unless it is a number above 0."""
    check_number('bg_factor', bg_factor, 0)
    if bg_factor == 0:
        raise ValueError('bg_factor must be more than 0, got 0: every pixel would be '
                         'figure.')


def choose_labels(scores: Tensor, threshold: float = 0.6,
                  allowed: Optional[Sequence[int]] = None) -> List[int]:
    """Return the ids of the labels that an image has.

    Args:
        scores: (N,), of the ids 1..N.
        threshold: Labels whose score is at least this are taken; where there is
            none, the best one.
        allowed: Ids that may be taken; all where None.

    Returns:
        Sorted ids; empty where none is allowed.
    """
    check_tensor('scores', scores, '(N,)', 1)
    ids = range(1, len(scores) + 1) if allowed is None else sorted(set(allowed))
    if not len(ids):
        return []
    picked = scores[torch.as_tensor([i - 1 for i in ids], device=scores.device)]
    taken = (picked >= threshold).nonzero()[:, 0].tolist()
    return [ids[k] for k in taken or [int(picked.argmax())]]


def check_labels(labels: Optional[Sequence[int]], num_labels: int) -> List[int]:
    """Return sorted ids; all where None.

    Raises:
        ValueError: None is left, or one is not in 1..N.
    """
    if labels is None:
        return list(range(1, num_labels + 1))
    ids = sorted({int(one) for one in labels})
    if not ids or ids[0] < 1 or ids[-1] > num_labels:
        raise ValueError(f'eval_labels must be ids of 1..{num_labels} (0 is the '
                         f'background), got {ids}.')
    return ids


class LabelMerge:
    """The running best label of every pixel; no more than two maps are kept.

    Args:
        size: (H, W).
        device: Where the maps are.
    """

    def __init__(self, size: Tuple[int, int], device: torch.device = 'cpu') -> None:
        self.score = torch.zeros(size, device=device)
        self.label = torch.zeros(size, dtype=torch.int64, device=device)

    def add(self, scores: Tensor, labels: Sequence[int]) -> None:
        """Let more labels compete; of equal scores the first one wins.

        Args:
            scores: (K, H, W), not negative; 0 loses to the background.
            labels: K ids.
        """
        if len(scores) != len(labels):
            raise ValueError(f'{len(scores)} maps of scores for {len(labels)} labels.')
        for score, label in zip(scores, labels):
            better = score > self.score
            self.score = torch.where(better, score.to(self.score.dtype), self.score)
            self.label.masked_fill_(better, label)
