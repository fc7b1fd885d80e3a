"""The pairwise hinge loss as a module (Harley et al., ICCV 2017, eq. 1)."""

from typing import Sequence

from mmengine.registry import MODELS
from torch import Tensor, nn

from ..ops.local_attention import embedding_loss

#: No two embeddings are so far apart.
FAR = 1e30


@MODELS.register_module()
class EmbeddingLoss(nn.Module):
    """Pulls embeddings of one label together and pushes others apart.

    Args:
        alpha, beta, kernel_size, dilations, norm, power: See
            :func:`segaware_mm.ops.local_attention.embedding_loss`.
        other_weight (float): Factor of the pairs of different labels; 1 as
            published. They are few (some 4 % of neighbours on CamVid), and until
            a training has found features that tell them, all embeddings being
            equal is the cheapest; a factor of 10 makes short trainings work.
        loss_weight (float): Factor of the loss.
        loss_name (str): Its name in the log; begins with 'loss'.
    """

    def __init__(self,
                 alpha: float = 0.5,
                 beta: float = 2.0,
                 kernel_size: int = 3,
                 dilations: Sequence[int] = (1, 2, 5),
                 norm: str = 'l1',
                 power: int = 1,
                 other_weight: float = 1.0,
                 loss_weight: float = 1.0,
                 loss_name: str = 'loss_embed') -> None:
        super().__init__()
        self.options = dict(alpha=alpha, beta=beta, kernel_size=kernel_size,
                            dilations=tuple(dilations), norm=norm, power=power)
        self.other_weight = other_weight
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, embedding: Tensor, labels: Tensor,
                ignore_index: int = 255) -> Tensor:
        """Return the loss of an embedding (B, E, H, W) and labels (B, H, W)."""
        if self.other_weight == 1:
            return self.loss_weight * self._loss(embedding, labels, ignore_index)
        # From beta 0 on no other pair costs, up to alpha FAR no equal one does.
        same = self._loss(embedding, labels, ignore_index, beta=0.)
        other = self._loss(embedding, labels, ignore_index, alpha=FAR)
        return self.loss_weight * (same + self.other_weight * other)

    def _loss(self, embedding: Tensor, labels: Tensor, ignore_index: int,
              **changes: float) -> Tensor:
        return embedding_loss(embedding, labels, ignore_index=ignore_index,
                              **{**self.options, **changes})

    def extra_repr(self) -> str:
        options = dict(self.options, other_weight=self.other_weight)
        return ', '.join(f'{k}={v!r}' for k, v in options.items())
