"""The pairwise hinge loss as a module (Harley et al., ICCV 2017, eq. 1)."""

from typing import Sequence

from mmengine.registry import MODELS
from torch import Tensor, nn

from ..ops.local_attention import embedding_loss


@MODELS.register_module()
class EmbeddingLoss(nn.Module):
    """Pulls embeddings of one label together and pushes others apart.

    Args:
        alpha, beta, kernel_size, dilations, norm, power: See
            :func:`segaware_mm.ops.local_attention.embedding_loss`.
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
                 loss_weight: float = 1.0,
                 loss_name: str = 'loss_embed') -> None:
        super().__init__()
        self.options = dict(alpha=alpha, beta=beta, kernel_size=kernel_size,
                            dilations=tuple(dilations), norm=norm, power=power)
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, embedding: Tensor, labels: Tensor,
                ignore_index: int = 255) -> Tensor:
        """Return the loss of an embedding (B, E, H, W) and labels (B, H, W)."""
        return self.loss_weight * embedding_loss(
            embedding, labels, ignore_index=ignore_index, **self.options)

    def extra_repr(self) -> str:
        return ', '.join(f'{k}={v!r}' for k, v in self.options.items())
