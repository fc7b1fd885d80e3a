"""Any decode head, with segmentation-aware convolutions inside."""

from typing import Any, List, NamedTuple, Optional, Sequence, Union

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from .convert import convert_to_segaware
from .embedding_source import EmbeddingSource
from .guide import Guide, bind_guide
from .head_outputs import head_outputs, logits_of
from .label_maps import stack_labels


class HeadWrapper(BaseModule):
    """A module that stands where a decode head stands and has one inside.

    Args:
        head (dict): Any decode head of mmseg.
        embedding (int | dict): See :class:`EmbeddingSource`.
        loss_embed (dict | None): Loss on the embedding.
        frozen_embedding (bool): Do not train the embedding from here.
    """

    def __init__(self, head: dict, embedding: Union[int, dict] = -1,
                 loss_embed: Optional[dict] = None, frozen_embedding: bool = False,
                 init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.head = MODELS.build(head)
        self.source = EmbeddingSource(embedding, frozen_embedding, loss_embed)
        # What a segmentor asks of its head.
        self.align_corners = self.head.align_corners
        self.num_classes = self.head.num_classes
        self.out_channels = self.head.out_channels
        self.ignore_index = self.head.ignore_index
        self.threshold = getattr(self.head, 'threshold', None)

    def maps(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the inputs of the head inside: those of the backbone itself.

        An embedding at their end is left out, so that heads that count their
        inputs, or take the last one, do what they do without it. A wrapper inside
        looks for it itself.
        """
        if self.source.index != -1 or isinstance(self.head, HeadWrapper):
            return inputs
        return inputs[:-1]


class AwareOutput(NamedTuple):
    """What a forward pass of :class:`SegAwareHead` gives its losses.

    Attributes:
        logits: (B, C, h, w).
        outputs: Of the head inside, as its ``loss_by_feat`` wants them.
        embedding: (B, E, h', w').
    """
    logits: Tensor
    outputs: Any
    embedding: Tensor


@MODELS.register_module()
class SegAwareHead(HeadWrapper):
    """Shows an embedding to the aware convolutions of any decode head.

    ::

        decode_head=dict(
            type='SegAwareHead',
            embedding=dict(type='EmbeddingHead', in_channels=(64, 128, 256)),
            loss_embed=dict(type='EmbeddingLoss', loss_weight=0.1),
            head=dict(type='FCNHead', conv_cfg=dict(type='SegAwareConv2d'), ...))

    Args:
        head (dict): The head. Its convolutions are aware by ``conv_cfg``, or by
            ``convert``.
        embedding, loss_embed, frozen_embedding: See :class:`HeadWrapper`.
        convert (Sequence[str] | str | None): Convolutions of the head to replace:
            names, or 'all'.
        conv_options (dict | None): ``hardness`` and so on of the converted ones.

    Raises:
        ValueError: No convolution of the head is segmentation-aware.
    """

    def __init__(self,
                 head: dict,
                 embedding: Union[int, dict] = -1,
                 convert: Union[None, str, Sequence[str]] = None,
                 conv_options: Optional[dict] = None,
                 loss_embed: Optional[dict] = None,
                 frozen_embedding: bool = False,
                 init_cfg: Any = None) -> None:
        super().__init__(head, embedding, loss_embed, frozen_embedding, init_cfg)
        if isinstance(convert, str) and convert != 'all':
            raise ValueError("convert must be None, 'all' or a list of names, got "
                             f'{convert!r}.')
        if convert is None and conv_options:
            raise ValueError('conv_options are for converted layers: set convert, or '
                             "put them into the head's conv_cfg.")
        if convert is not None:
            convert_to_segaware(self.head, None if convert == 'all' else convert,
                                **(conv_options or {}))
        self.guide = Guide()
        if not bind_guide(self.head, self.guide):
            raise ValueError(
                f'head {type(self.head).__name__} has no segmentation-aware '
                "convolution: give it conv_cfg=dict(type='SegAwareConv2d'), or set "
                "convert='all'.")

    def forward(self, inputs: Sequence[Tensor], *previous: Any) -> Tensor:
        """Return the head's outputs.

        Args:
            inputs: The backbone's maps.
            *previous: In a cascade, the output of the head before.
        """
        with self.guide.show(self.source(inputs)) as shown:
            return shown.follow(self.head(self.maps(inputs), *previous))

    def forward_all(self, inputs: Sequence[Tensor], *previous: Any) -> AwareOutput:
        """Return what :meth:`loss_by_feat` wants; for a refiner around this head."""
        embedding = self.source(inputs)
        with self.guide.show(embedding) as shown:
            outputs = head_outputs(self.head, self.maps(inputs), *previous)
            shown.follow(vars(outputs) if hasattr(outputs, '__dict__') else outputs)
        return AwareOutput(logits_of(outputs), outputs, embedding)

    def loss_by_feat(self, found: AwareOutput, batch_data_samples: List) -> dict:
        """Return the head's losses, and the embedding's."""
        losses = self.head.loss_by_feat(found.outputs, batch_data_samples)
        return {**losses, **self.source.losses(
            found.embedding, stack_labels(batch_data_samples), self.ignore_index)}

    def predict_by_feat(self, logits: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Return logits at image size, as the head inside does."""
        return self.head.predict_by_feat(logits, batch_img_metas)

    def loss(self, inputs: Sequence[Tensor], *args: Any) -> dict:
        """Return the head's losses, and the embedding's.

        Args:
            inputs: The backbone's maps.
            *args: As upstream calls its heads: in a cascade the output of the
                head before; the data samples; the training config.
        """
        embedding = self.source(inputs)
        with self.guide.show(embedding) as shown:
            losses = shown.follow(self.head.loss(self.maps(inputs), *args))
        return {**losses, **self.source.losses(
            embedding, stack_labels(args[-2]), self.ignore_index)}

    def predict(self, inputs: Sequence[Tensor], *args: Any) -> Tensor:
        """Return the head's logits at image size.

        Args:
            inputs: The backbone's maps.
            *args: In a cascade the output of the head before; the images' meta
                data; the test config.
        """
        with self.guide.show(self.source(inputs)):
            return self.head.predict(self.maps(inputs), *args)
