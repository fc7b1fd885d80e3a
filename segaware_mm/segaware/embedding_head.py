"""An embedding of a backbone's own maps (Harley et al., ICCV 2017), as a head."""

from typing import List, Optional, Sequence, Union

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from .hypercolumn import Hypercolumn
from .label_maps import shrink_labels, stack_labels


@MODELS.register_module()
class EmbeddingHead(BaseDecodeHead):
    """Turns the maps of any backbone into an embedding and trains it.

    As ``decode_head`` or ``auxiliary_head`` it brings the embedding's loss; as
    ``embedding=dict(type='EmbeddingHead', ...)`` of :class:`SegAwareHead` and
    :class:`SegAwareRefiner` it provides the embedding. Behind an
    :class:`SegAwareBackbone`, whose embedding is ready, set ``project=False``.

    Args:
        in_channels (Sequence[int] | int): Channels of the maps that are read.
        in_index (Sequence[int] | int): Which maps.
        channels (int): E, 64 in the paper.
        project (bool): Apply a hypercolumn's 1x1 convolution; without, the one
            map that ``in_index`` names is the embedding.
        stride (int): The embedding has this fraction of the first map's size.
        full_size (bool): Train at the labels' size: the embedding grows (64
            channels of an image). Else labels shrink to the embedding.
        loss_decode (dict): The embedding's loss.
        ignore_index (int): Label that takes no part.
    """

    def __init__(self,
                 in_channels: Union[int, Sequence[int]],
                 in_index: Union[int, Sequence[int]] = (0, 1, 2),
                 channels: int = 64,
                 project: bool = True,
                 stride: int = 1,
                 full_size: bool = False,
                 loss_decode: dict = dict(type='EmbeddingLoss'),  # noqa: B006
                 ignore_index: int = 255,
                 align_corners: bool = True,
                 init_cfg: Optional[dict] = None) -> None:
        both = [[v] if isinstance(v, int) else list(v)
                for v in (in_channels, in_index)]
        if len(both[0]) != len(both[1]):
            raise ValueError('in_channels and in_index must name as many maps, got '
                             f'{in_channels} and {in_index}.')
        if not project and both[0] != [channels]:
            raise ValueError('project=False takes one map of as many channels as the '
                             f'embedding ({channels}), got in_channels={in_channels}.')
        super().__init__(
            both[0], channels, num_classes=channels, in_index=both[1],
            input_transform='multiple_select', dropout_ratio=0,
            loss_decode=loss_decode, ignore_index=ignore_index,
            align_corners=align_corners, init_cfg=init_cfg)
        del self.conv_seg
        self.num_classes = None  # the embedding's channels are no classes
        self.stride = stride
        self.full_size = full_size
        self.hypercolumn = Hypercolumn(both[0], channels,
                                       align_corners) if project else None

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the embedding (B, E, h, w)."""
        maps = self._transform_inputs(inputs)
        if self.hypercolumn is None:
            return maps[0]
        size = tuple(-(-n // self.stride) for n in maps[0].shape[2:])
        return self.hypercolumn(maps, size)

    def loss_by_feat(self, embedding: Tensor, batch_data_samples: List) -> dict:
        """Return the loss of an embedding."""
        labels = stack_labels(batch_data_samples)
        if self.full_size:
            from mmseg.models.utils import resize
            embedding = resize(embedding, labels.shape[1:], mode='bilinear',
                               align_corners=self.align_corners)
        else:
            labels = shrink_labels(labels, embedding.shape[2:])
        return {self.loss_decode.loss_name: self.loss_decode(
            embedding, labels, ignore_index=self.ignore_index)}
