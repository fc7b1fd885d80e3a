"""From logits of positions to attention: all of it, or one position that is drawn.

Xu et al., "Show, Attend and Tell" (ICML 2015), sections 4.1 and 4.2. Soft attention
is alpha = softmax(e) and has exact gradients. Hard attention draws one position s~
from alpha; the gradient of the expected reward R comes from the score function::

    grad ~ mean over samples of  lambda_r (R - b) grad log p(s~) + lambda_e grad H(alpha)

b, the baseline, is a running mean of earlier rewards, b <- m b + (1 - m) R; it does not
depend on the sample, so that the estimator has no bias. With probability 1/2 an item
gets alpha itself, and so exact gradients.

Shapes: P items (pairs of image and label), h x w map.
"""

from typing import NamedTuple, Optional

import torch
from torch import Tensor, nn

from ..ops.attention_map import position_softmax
from ..ops.checks import check_choice, check_number, check_same, check_tensor

MODES = ('soft', 'hard')
EVAL_MODES = ('soft', 'argmax')


class Attention(NamedTuple):
    """Attention, and what the score function needs of it.

    Attributes:
        weights: (P, 1, h, w), softmax or one position.
        log_prob: (P,), log p of the position that was drawn, 0 where none was.
        entropy: (P,), H(alpha) in nats.
        drawn: (P,) bool, where a position was drawn.
    """

    weights: Tensor
    log_prob: Tensor
    entropy: Tensor
    drawn: Tensor


class SoftHardAttention(nn.Module):
    """Soft or hard attention over positions; no weights, but a running baseline.

    Args:
        mode (str): 'soft' or 'hard'.
        eval_mode (str): Of hard attention outside training: 'soft' (alpha, the
            expectation) or 'argmax' (its largest position).
        soft_prob (float): With which probability an item of hard attention gets
            alpha in training.
        baseline_momentum (float): m.
        reward_weight (float): lambda_r.
        entropy_weight (float): lambda_e.
        num_groups (int): Groups of items with a baseline each: rewards that are of
            different kinds have different means.

    Raises:
        TypeError, ValueError: A value out of its range.
    """

    def __init__(self,
                 mode: str = 'soft',
                 eval_mode: str = 'soft',
                 soft_prob: float = 0.5,
                 baseline_momentum: float = 0.9,
                 reward_weight: float = 1.0,
                 entropy_weight: float = 0.002,
                 num_groups: int = 1) -> None:
        super().__init__()
        check_choice('mode', mode, MODES)
        check_choice('eval_mode', eval_mode, EVAL_MODES)
        check_number('soft_prob', soft_prob, 0, 1)
        check_number('baseline_momentum', baseline_momentum, 0, 1)
        check_number('reward_weight', reward_weight, 0)
        check_number('entropy_weight', entropy_weight, 0)
        check_number('num_groups', num_groups, 1, integer=True)
        self.mode = mode
        self.eval_mode = eval_mode
        self.soft_prob = soft_prob
        self.baseline_momentum = baseline_momentum
        self.reward_weight = reward_weight
        self.entropy_weight = entropy_weight
        if mode == 'hard':
            self.register_buffer('baseline', torch.zeros(num_groups))

    def forward(self, logits: Tensor, valid: Optional[Tensor] = None) -> Attention:
        """Return attention of logits (P, 1, h, w).

        Args:
            logits: (P, 1, h, w).
            valid: Positions that may be attended to, see
                :func:`segaware_mm.ops.attention_map.position_softmax`.
        """
        alpha = position_softmax(logits, valid)
        none = alpha.new_zeros(len(alpha))
        if self.mode == 'soft':
            return Attention(alpha, none, none, none > 0)
        flat = alpha.flatten(1)
        # A probability may round to 0, whose logarithm would be -inf.
        logs = flat.clamp_min(torch.finfo(flat.dtype).tiny).log()
        entropy = -(flat * logs).sum(1)
        if not self.training:
            if self.eval_mode == 'argmax' and len(flat):
                alpha = one_position(flat.argmax(1), alpha)
            return Attention(alpha, none, entropy, none > 0)
        # Maps without a valid position are all 0 and have nothing to draw from.
        drawn = (torch.rand_like(none) >= self.soft_prob) & (flat.detach().sum(1) > 0)
        places = self.draw(flat.detach())
        log_prob = logs.gather(1, places[:, None])[:, 0]
        weights = torch.where(drawn.view(-1, 1, 1, 1), one_position(places, alpha), alpha)
        return Attention(weights, torch.where(drawn, log_prob, none), entropy, drawn)

    def draw(self, probabilities: Tensor) -> Tensor:
        """Return one position (P,) of each row of probabilities (P, N)."""
        if not len(probabilities):
            return probabilities.new_zeros(0, dtype=torch.int64)
        # A row of zeros has no position; any will do, it is not used.
        empty = probabilities.sum(1, keepdim=True) == 0
        return torch.multinomial(probabilities + empty, 1)[:, 0]

    def loss(self, attention: Attention, reward: Tensor,
             group: Optional[Tensor] = None) -> Tensor:
        """Return the loss whose gradient is the estimator; update the baseline.

        Args:
            attention: Of the forward pass.
            reward: (P,), what is to grow, such as log p(label); no gradient runs
                through it.
            group: (P,) int64, the group of each item; all in the first where None.

        Returns:
            A scalar, 0 for soft attention and where there are no items.
        """
        check_tensor('reward', reward, '(P,)', 1)
        check_same('reward', reward.shape, f'attention of {len(attention.drawn)} items',
                   attention.drawn.shape)
        if self.mode == 'soft' or not len(reward):
            return attention.log_prob.sum() * 0 + attention.entropy.sum() * 0
        if group is None:
            group = torch.zeros_like(reward, dtype=torch.int64)
        reward = reward.detach().to(self.baseline.dtype)
        advantage = reward - self.baseline[group]
        score = (self.reward_weight * advantage * attention.log_prob).mean()
        entropy = self.entropy_weight * attention.entropy.mean()
        self.update_baseline(reward, group)
        return -score - entropy

    @torch.no_grad()
    def update_baseline(self, reward: Tensor, group: Tensor) -> None:
        """Move the baseline of every group that occurs towards its mean reward."""
        count = torch.zeros_like(self.baseline).index_add_(
            0, group, torch.ones_like(reward))
        mean = torch.zeros_like(self.baseline).index_add_(0, group, reward) \
            / count.clamp_min(1)
        moved = torch.lerp(mean, self.baseline, self.baseline_momentum)
        self.baseline.copy_(torch.where(count > 0, moved, self.baseline))


def one_position(places: Tensor, like: Tensor) -> Tensor:
    """Return maps (P, 1, h, w) that are 1 at one position (P,) and 0 elsewhere."""
    flat = torch.zeros_like(like.detach()).flatten(1)
    return flat.scatter_(1, places[:, None], 1).view(like.shape)
