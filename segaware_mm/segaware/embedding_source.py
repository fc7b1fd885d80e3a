"""Where a head finds the embedding: among its inputs, or in a module of its own."""

from typing import Optional, Sequence, Union

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from .label_maps import shrink_labels


class EmbeddingSource(BaseModule):
    """The embedding of a head's inputs.

    Args:
        source (int | dict): Index of the embedding among the head's inputs, -1
            behind a :class:`SegAwareBackbone`; or the config of a module that
            makes one from the inputs, such as an :class:`EmbeddingHead`.
        frozen (bool): No gradient reaches the embedding.
        loss (dict | None): A loss on the embedding, such as
            ``dict(type='EmbeddingLoss', loss_weight=0.1)``.
    """

    def __init__(self, source: Union[int, dict] = -1, frozen: bool = False,
                 loss: Optional[dict] = None) -> None:
        super().__init__()
        if frozen and loss is not None:
            raise ValueError('a frozen embedding cannot have a loss: leave loss_embed '
                             'at None or set frozen_embedding=False.')
        self.index = source if isinstance(source, int) else None
        self.module = None if isinstance(source, int) else MODELS.build(source)
        self.frozen = frozen
        self.criterion = None if loss is None else MODELS.build(loss)
        if frozen and self.module is not None:
            self.module.requires_grad_(False)

    def train(self, mode: bool = True) -> 'EmbeddingSource':
        """Keep what is frozen in its evaluation mode."""
        super().train(mode)
        if self.frozen and self.module is not None:
            self.module.eval()
        return self

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the embedding (B, E, h, w)."""
        if self.module is None:
            try:
                embedding = inputs[self.index]
            except IndexError:
                raise ValueError(
                    f'embedding={self.index} names none of the {len(inputs)} inputs '
                    'of the head; behind SegAwareBackbone it is -1.') from None
        else:
            embedding = self.module(inputs)
        return embedding.detach() if self.frozen else embedding

    def losses(self, embedding: Tensor, labels: Tensor, ignore_index: int) -> dict:
        """Return the embedding's loss for labels (B, H, W), if there is one."""
        if self.criterion is None:
            return {}
        labels = shrink_labels(labels, embedding.shape[2:])
        return {self.criterion.loss_name: self.criterion(
            embedding, labels, ignore_index=ignore_index)}
