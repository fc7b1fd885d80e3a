"""Sharpen the logits of any head or segmentor by a segmentation-aware mean field.

Harley et al., ICCV 2017: the released pipeline freezes a trained network and
trains only the embedding and the mean field.
"""

import warnings
from typing import Any, List, Optional, Sequence, Tuple, Union

import torch
from mmengine.config import Config
from mmseg.models.losses import accuracy
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

from .embedding_source import EmbeddingSource
from .head_outputs import (
    head_outputs,
    logits_of,
    losses_and_outputs,
    shares_its_pass,
)
from .label_maps import stack_labels
from .logit_refinement import LogitRefinement
from .seg_aware_head import HeadWrapper


def refined_criterion(loss: Optional[dict], channels: int) -> nn.Module:
    """Return the loss of refined logits; None is cross entropy, as channels want."""
    return MODELS.build(loss or dict(
        type='CrossEntropyLoss', use_sigmoid=channels == 1, avg_non_ignore=True))


def refined_losses(logits: Tensor, labels: Tensor, criterion: nn.Module,
                   ignore_index: int, align_corners: bool) -> dict:
    """Return the loss and accuracy of refined logits at label size."""
    logits = resize(logits, labels.shape[1:], mode='bilinear',
                    align_corners=align_corners)
    loss = criterion(logits, labels, ignore_index=ignore_index)
    if logits.shape[1] == 1:  # accuracy wants a logit for every class
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    return dict(loss_refined=loss,
                acc_refined=accuracy(logits, labels, ignore_index=ignore_index))


@MODELS.register_module()
class SegAwareRefiner(HeadWrapper):
    """A decode head whose logits are refined.

    Args:
        head (dict): Any decode head that has ``loss_by_feat`` and
            ``predict_by_feat``, a later one of a cascade too (OCRHead).
        embedding, loss_embed, frozen_embedding: See :class:`HeadWrapper`.
        mean_field (dict | None): See :class:`SegAwareMeanField`; ``num_classes``
            is known.
        filters (dict | None): See :class:`SegAwareFilter`.
        frozen (bool): Do not train the head inside.
        loss_decode (dict | None): Loss of the refined logits; None is the cross
            entropy of classes, of the sigmoid for a head of one channel.
    """

    def __init__(self,
                 head: dict,
                 embedding: Union[int, dict] = -1,
                 mean_field: Optional[dict] = dict(),  # noqa: B006
                 filters: Optional[dict] = dict(),  # noqa: B006
                 frozen: bool = False,
                 loss_decode: Optional[dict] = None,
                 loss_embed: Optional[dict] = None,
                 frozen_embedding: bool = False,
                 init_cfg: Any = None) -> None:
        super().__init__(head, embedding, loss_embed, frozen_embedding, init_cfg)
        self.refinement = LogitRefinement(self.out_channels, mean_field, filters,
                                          self.align_corners)
        self.loss_decode = refined_criterion(loss_decode, self.out_channels)
        self.frozen = frozen
        if frozen:
            self.head.requires_grad_(False)

    def train(self, mode: bool = True) -> 'SegAwareRefiner':
        """Keep a frozen head in its evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.head.eval()
        return self

    def forward(self, inputs: Sequence[Tensor], *previous: Any) -> Tensor:
        """Return refined logits at the embedding's size.

        Args:
            inputs: The backbone's maps.
            *previous: In a cascade, the output of the head before.
        """
        outputs = head_outputs(self.head, self.maps(inputs), *previous)
        return self.refinement(logits_of(outputs), self.source(inputs))

    def loss(self, inputs: Sequence[Tensor], *args: Any) -> dict:
        """Return the losses of the refined logits, the head's, the embedding's.

        Args:
            inputs: The backbone's maps.
            *args: As upstream calls its heads: in a cascade the output of the
                head before; the data samples; the training config.
        """
        *previous, batch_data_samples, _ = args
        outputs = head_outputs(self.head, self.maps(inputs), *previous)
        embedding = self.source(inputs)
        labels = stack_labels(batch_data_samples)
        losses = {} if self.frozen else self.head.loss_by_feat(
            outputs, batch_data_samples)
        losses.update(refined_losses(
            self.refinement(logits_of(outputs), embedding), labels, self.loss_decode,
            self.ignore_index, self.align_corners))
        losses.update(self.source.losses(embedding, labels, self.ignore_index))
        return losses

    def predict(self, inputs: Sequence[Tensor], *args: Any) -> Tensor:
        """Return refined logits at image size.

        Args:
            inputs: The backbone's maps.
            *args: In a cascade the output of the head before; the images' meta
                data; the test config.
        """
        *previous, batch_img_metas, _ = args
        return self.head.predict_by_feat(self.forward(inputs, *previous),
                                         batch_img_metas)


@MODELS.register_module()
class SegAwareRefinedSegmentor(EncoderDecoder):
    """A whole segmentor, usually trained and frozen, whose logits are refined.

    The embedding comes from the image, so any segmentor will do that has
    mmseg's ``encode_decode``. Sliding windows and mirrored testing work as
    before; every window is refined by itself.

    Args:
        segmentor (dict | str): Its config, or the path of a config file whose
            ``model`` is taken.
        embedding (dict): From image to embedding: :class:`EmbeddingNet`,
            :class:`ColorEmbedding`; ``stride=2`` for half resolution.
        checkpoint (str | None): Weights of the segmentor.
        mean_field, filters: See :class:`SegAwareRefiner`.
        frozen (bool): Do not train the segmentor.
        loss_decode, loss_embed, frozen_embedding: See :class:`SegAwareRefiner`.
        data_preprocessor, train_cfg, test_cfg: The segmentor's where None.
    """

    def __init__(self,
                 segmentor: Union[str, dict],
                 embedding: dict,
                 checkpoint: Optional[str] = None,
                 mean_field: Optional[dict] = dict(),  # noqa: B006
                 filters: Optional[dict] = dict(),  # noqa: B006
                 frozen: bool = True,
                 loss_decode: Optional[dict] = None,
                 loss_embed: Optional[dict] = None,
                 frozen_embedding: bool = False,
                 data_preprocessor: Optional[dict] = None,
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Any = None) -> None:
        if isinstance(segmentor, str):
            segmentor = Config.fromfile(segmentor).model
        data_preprocessor = data_preprocessor or segmentor.get('data_preprocessor')
        # EncoderDecoder builds a backbone and a head; ours are inside another.
        super(EncoderDecoder, self).__init__(
            data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.segmentor = MODELS.build(segmentor)
        self.align_corners = self.segmentor.align_corners
        self.num_classes = self.segmentor.num_classes
        self.out_channels = self.segmentor.out_channels
        self.train_cfg = train_cfg or self.segmentor.train_cfg
        self.test_cfg = test_cfg or self.segmentor.test_cfg
        self.source = EmbeddingSource(embedding, frozen_embedding, loss_embed)
        # Embeddings are made corners aligned, and the logits come at image size:
        # both are at one place if these are brought to theirs in the same way.
        self.refinement = LogitRefinement(self.out_channels, mean_field, filters,
                                          align_corners=True)
        self.loss_decode = refined_criterion(loss_decode, self.out_channels)
        self.frozen = frozen
        if frozen:
            self.segmentor.requires_grad_(False)
        if checkpoint is not None:
            # After all of init_weights: nothing may overwrite the weights.
            self.segmentor.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
        elif frozen and not segmentor.get('init_cfg'):
            warnings.warn('a frozen segmentor without a checkpoint: its weights must '
                          'come by load_from or resume.', stacklevel=2)

    @property
    def decode_head(self) -> nn.Module:
        """The last head of the segmentor."""
        head = self.segmentor.decode_head
        return head[-1] if isinstance(head, nn.ModuleList) else head

    @property
    def ignore_index(self) -> int:
        """The label that takes no part."""
        return self.decode_head.ignore_index

    def train(self, mode: bool = True) -> 'SegAwareRefinedSegmentor':
        """Keep a frozen segmentor in its evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.segmentor.eval()
        return self

    def extract_feat(self, inputs: Tensor) -> Any:
        """Return the segmentor's features."""
        return self.segmentor.extract_feat(inputs)

    def _logits(self, inputs: Tensor, metas: List[dict]) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.segmentor.encode_decode(inputs, metas)

    def _losses_and_logits(self, inputs: Tensor, samples: List) -> Tuple[dict, Tensor]:
        """Losses of the segmentor where it learns, and its logits at image size.

        By one forward pass where upstream's structure allows; else the segmentor
        runs twice: for its losses, and for its logits.
        """
        if not self.frozen and shares_its_pass(self.segmentor):
            losses, outputs = losses_and_outputs(self.segmentor, inputs, samples)
            return losses, resize(
                logits_of(outputs), inputs.shape[2:], mode='bilinear',
                align_corners=self.align_corners)
        losses = {} if self.frozen else self.segmentor.loss(inputs, samples)
        return losses, self._logits(inputs, [one.metainfo for one in samples])

    def encode_decode(self, inputs: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Return refined logits at the size of the inputs."""
        logits = self.refinement(self._logits(inputs, batch_img_metas),
                                 self.source.module(inputs))
        return resize(logits, inputs.shape[2:], mode='bilinear', align_corners=True)

    def loss(self, inputs: Tensor, data_samples: List) -> dict:
        """Return the losses of the refined logits, the segmentor's, the embedding's."""
        losses, logits = self._losses_and_logits(inputs, data_samples)
        embedding = self.source.module(inputs)
        if self.source.frozen:
            embedding = embedding.detach()
        labels = stack_labels(data_samples)
        logits = self.refinement(logits, embedding)
        losses.update(refined_losses(logits, labels, self.loss_decode,
                                     self.ignore_index, align_corners=True))
        losses.update(self.source.losses(embedding, labels, self.ignore_index))
        return losses

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> Tensor:
        """Return refined logits, for mode 'tensor'."""
        size = tuple(inputs.shape[2:])
        meta = dict(img_shape=size, pad_shape=size, ori_shape=size)
        return self.encode_decode(inputs, [meta] * len(inputs))
