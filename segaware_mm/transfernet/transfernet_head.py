"""TransferNet's head: attention by label, its densification, a decoder for all classes.

Hong, Oh, Lee, Han (CVPR 2016), Fig. 2::

    A = feat_scale * features           alpha = attention(A, label)
    z = A alpha -> classifier           must recognise the label: trains attention
    s = A^T z   -> decoder, switches -> scores of ground and figure

One channel s is all that the decoder knows of the label, so that what it learns from
masks of some classes serves the others. Losses: cross entropy of the label given z;
cross entropy of figure and ground over the pixels that are not ignored.

Cross entropy of the label needs no place: attention knows the label, and any place that
it points at for this label alone tells the classifier which one it is. ``loss_presence``
(ours) asks for labels that are absent too, and for each "is it here?": only features of
the object itself answer that.

Shapes: B images, P pairs of image and label, N labels, C channels, h x w the encoder's
map, H' x W' where the decoder ends, H x W pixels.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Union

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..ops.attention_map import attended_feature, similarity_map
from ..ops.checks import check_number
from .image_frame import resized
from .label_attention import LabelAttention
from .soft_hard_attention import Attention
from .switched_maps import SwitchedMaps
from .zero_loss import no_loss


class Conditioned(NamedTuple):
    """What the head knows of pairs before it decodes.

    Attributes:
        attention: Of the P pairs.
        context: (P, C), z.
        dense: (P, 1, h, w), s.
        label_logits: (P, N), of the label given z.
    """

    attention: Attention
    context: Tensor
    dense: Tensor
    label_logits: Tensor


class PairTerms(NamedTuple):
    """What some pairs add to the losses; (P,) each.

    Attributes:
        cls: Cross entropy of the label, weighted; 0 where it is absent.
        presence: Binary cross entropy of "is it here?", weighted.
        seg: Cross entropy of figure and ground, weighted, summed over the pixels.
        log_prob, entropy, drawn: Of hard attention.
        has_pixels: Whether a pixel of the target counts.
        right: Whether the classifier's best label is the pair's; with
            ``loss_presence`` whether the label is rightly called present or absent.
        present: Whether the label is there.
    """

    cls: Tensor
    presence: Tensor
    seg: Tensor
    log_prob: Tensor
    entropy: Tensor
    drawn: Tensor
    has_pixels: Tensor
    right: Tensor
    present: Tensor


@MODELS.register_module()
class TransferNetHead(BaseModule):
    """Scores of figure and ground (P, 2, H', W') of pairs of image and label.

    Args:
        num_classes (int): N + 1, with the background.
        in_channels (int): C.
        attention (dict): :class:`LabelAttention`; ``in_channels`` and ``num_labels``
            are known.
        classifier_channels (int): Of the hidden layer of the label's classifier.
        decoder (dict): :class:`UnpoolDecoder`; in TransferNet from 1 channel to 2.
        loss_cls (dict | None): Cross entropy of the label; mmseg's
            ``CrossEntropyLoss``. None, with ``loss_presence``: without it.
        loss_seg (dict): Cross entropy of figure and ground. All losses are asked for
            every element; the mean is taken here: over the pairs, and over all pixels
            of the batch that count.
        loss_presence (dict | None): Binary cross entropy of a label's own logit,
            whether it is in the image; mmseg's ``CrossEntropyLoss`` with
            ``use_sigmoid``. Then ``label_scores`` are sigmoids.
        num_absent (int): With ``loss_presence``: so many labels of ``label_set`` that
            an image has not are asked for too. They are not decoded.
        ignore_index (int): Id of pixels that do not count.
        align_corners (bool): Of the resizing of scores whose size is not the image's.
        init_cfg (dict | list | None): Of the classifier; Xavier by default.

    Raises:
        TypeError, ValueError: A value out of its range, or a decoder that does not
            fit.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 512,
                 attention: dict = dict(type='LabelAttention'),  # noqa: B006
                 classifier_channels: int = 512,
                 decoder: dict = dict(type='UnpoolDecoder'),  # noqa: B006
                 loss_cls: Optional[dict] = dict(  # noqa: B006
                     type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True),
                 loss_seg: dict = dict(  # noqa: B006
                     type='CrossEntropyLoss', loss_weight=2.0, avg_non_ignore=True),
                 loss_presence: Optional[dict] = None,
                 num_absent: int = 0,
                 ignore_index: int = 255,
                 align_corners: bool = False,
                 init_cfg: Optional[Union[dict, List[dict]]] = None) -> None:
        super().__init__(init_cfg)
        check_number('num_classes', num_classes, 2, integer=True)
        self.num_classes = num_classes
        self.num_labels = num_classes - 1
        self.in_channels = in_channels
        self.ignore_index = ignore_index
        self.align_corners = align_corners
        self.attention: LabelAttention = MODELS.build({
            'in_channels': in_channels, 'num_labels': self.num_labels, **attention})
        if self.attention.num_labels != self.num_labels:
            raise ValueError(f'attention has num_labels={self.attention.num_labels}; '
                             f'with num_classes={num_classes} it must be '
                             f'{self.num_labels}.')
        self.classifier = nn.Sequential(
            nn.Linear(in_channels, classifier_channels), nn.ReLU(inplace=True),
            nn.Linear(classifier_channels, self.num_labels))
        self.decoder = MODELS.build(decoder)
        self._check_decoder()
        self._check_losses(loss_cls, loss_presence, num_absent)
        self.num_absent = num_absent
        self.loss_cls = None if loss_cls is None else MODELS.build(loss_cls)
        self.loss_seg = MODELS.build(loss_seg)
        self.loss_presence = None if loss_presence is None else \
            MODELS.build(loss_presence)

    @staticmethod
    def _check_losses(loss_cls: Optional[dict], loss_presence: Optional[dict],
                      num_absent: int) -> None:
        """Raise unless something trains attention, and has what it needs."""
        check_number('num_absent', num_absent, 0, integer=True)
        if loss_cls is None and loss_presence is None:
            raise ValueError('loss_cls and loss_presence are None; one of them is '
                             'wanted: without labels, attention learns nothing.')
        if (loss_presence is not None) != (num_absent > 0):
            raise ValueError(
                f'loss_presence is {loss_presence} and num_absent {num_absent}; they go '
                'together: labels that are absent teach the loss to say no.')

    def _check_decoder(self) -> None:
        """Raise unless the decoder goes from 1 channel to 2, each pair by itself."""
        for name, wanted in (('in_channels', 1), ('out_channels', 2)):
            found = getattr(self.decoder, name, wanted)
            if found != wanted:
                raise ValueError(f'decoder has {name}={found}; it must be {wanted}: the '
                                 'dense map goes in, ground and figure come out.')
        if any(isinstance(m, nn.SyncBatchNorm) for m in self.decoder.modules()):
            raise ValueError('norm_cfg of the decoder is SyncBN, whose processes wait '
                             'for each other; they have different numbers of pairs. '
                             "Take 'BN' or 'GN'.")

    def init_weights(self) -> None:
        """Initialise; the classifier's own layers by Xavier unless told otherwise."""
        if self.init_cfg is None and not self.is_init:
            for layer in self.classifier:
                if isinstance(layer, nn.Linear):
                    nn.init.xavier_uniform_(layer.weight)
                    nn.init.zeros_(layer.bias)
        super().init_weights()

    # ------------------------------------------------------------------ forward

    def attend(self, features: Tensor, labels: Tensor,
               valid: Optional[Tensor] = None) -> Conditioned:
        """Return attention, context, dense map and label scores of pairs.

        Args:
            features: (P, C, h, w), the encoder's.
            labels: (P,) int64, ids 1..N.
            valid: (P, 1, h, w) bool, where the image is; all where None.
        """
        attention = self.attention.attend(features, labels - 1, valid)
        scaled = self.attention.scaled(features)
        context = attended_feature(scaled, attention.weights)
        dense = similarity_map(scaled, context)
        return Conditioned(attention, context, dense, self.classifier(context))

    def decode(self, dense: Tensor, maps: SwitchedMaps, images: Tensor) -> Tensor:
        """Return scores (P, 2, H', W') of dense maps; maps are of the B images."""
        return self.decoder(dense, maps.select(images))

    def forward(self, maps: SwitchedMaps, images: Tensor, labels: Tensor,
                valid: Optional[Tensor] = None) -> Tensor:
        """Return scores of ground and figure.

        Args:
            maps: Of the B images; what P pairs need of them is copied.
            images: (P,) int64, the image of each pair.
            labels: (P,) int64, ids 1..N.
            valid: (B, 1, h, w) bool, where the images are; all where None.

        Returns:
            (P, 2, H', W').
        """
        features = maps.feature.index_select(0, images)
        valid = None if valid is None else valid.index_select(0, images)
        return self.decode(self.attend(features, labels, valid).dense, maps, images)

    def scores_of_image(self, maps: SwitchedMaps, labels: Tensor,
                        valid: Optional[Tensor] = None) -> Tensor:
        """Return scores of several labels of one image, whose maps are not copied.

        Args:
            maps: Of one image.
            labels: (P,) int64, ids 1..N.
            valid: (1, 1, h, w) bool, where the image is; everywhere where None.

        Returns:
            (P, 2, H', W').
        """
        maps = maps.repeated(len(labels))
        return self.decoder(self.attend(maps.feature, labels, valid).dense, maps)

    @torch.no_grad()
    def label_scores(self, feature: Tensor, labels: Sequence[int],
                     valid: Optional[Tensor] = None, chunk: int = 16) -> Tensor:
        """Return how well an image's context of every label is recognised as it.

        Of each label l the attention, its context z_l and the classifier's sigmoid at
        l; without ``loss_presence`` its softmax, which is not a probability that l is
        there: each label looks for itself where it finds itself most.

        Args:
            feature: (1, C, h, w) of one image.
            labels: K ids.
            valid: (1, 1, h, w) bool, where the image is.
            chunk: Labels at once.

        Returns:
            (K,) in [0, 1], float32.
        """
        projected = self.attention.project(feature)
        scaled = self.attention.scaled(feature)
        found = []
        for start in range(0, len(labels), chunk):
            rows = torch.as_tensor(labels[start:start + chunk], device=feature.device) - 1
            logits = self.attention.logits(projected, rows)
            weights = self.attention.select(logits, valid).weights
            context = attended_feature(scaled.expand(len(rows), -1, -1, -1), weights)
            scores = self.classifier(context).float()
            scores = scores.softmax(1) if self.loss_presence is None \
                else scores.sigmoid()
            found.append(scores.gather(1, rows[:, None])[:, 0])
        return torch.cat(found) if found else feature.new_zeros(0, dtype=torch.float32)

    # ------------------------------------------------------------------- losses

    def pair_terms(self, maps: SwitchedMaps, images: Tensor, labels: Tensor,
                   targets: Optional[Tensor] = None,
                   valid: Optional[Tensor] = None,
                   present: Optional[Tensor] = None) -> PairTerms:
        """Return what pairs add to the losses.

        Pairs without a pixel that counts, those of a domain without masks, are not
        decoded: their terms and gradients would be 0.

        Args:
            maps, images, labels, valid: As of :meth:`forward`.
            targets: (P, H, W), 1 figure, 0 ground, or ignored, of the pairs whose
                label is there; None: all ignored.
            present: (P,) bool, whether the label is there; all where None.
        """
        features = maps.feature.index_select(0, images)
        valid = None if valid is None else valid.index_select(0, images)
        found = self.attend(features, labels, valid)
        logits = found.label_logits.float()
        own = logits.gather(1, labels[:, None] - 1)
        if present is None:
            present = torch.ones_like(labels, dtype=torch.bool)
        cls = presence = logits.new_zeros(len(labels))
        if self.loss_cls is not None:
            wanted = (labels - 1).masked_fill(~present, -100)
            cls = self.elements(self.loss_cls, logits, wanted, -100)
        if self.loss_presence is not None:
            presence = self.elements(self.loss_presence, own, present.long(), -100)
            right = (own[:, 0] > 0) == present
        else:
            right = logits.argmax(1) == labels - 1
        has_pixels = torch.zeros_like(present)
        if targets is not None:
            counts = (targets != self.ignore_index).flatten(1).any(1)
            has_pixels[present] = counts
            targets = targets[counts]
        rows = has_pixels.nonzero()[:, 0]
        seg = cls.new_zeros(len(labels))
        if not len(rows):
            seg = seg + no_loss(self.decoder).to(cls)
        else:
            scores = self.decode(found.dense.index_select(0, rows), maps,
                                 images.index_select(0, rows))
            seg = seg.index_add(0, rows, self.seg_sums(scores, targets))
        return PairTerms(cls, presence, seg, found.attention.log_prob,
                         found.attention.entropy, found.attention.drawn, has_pixels,
                         right.detach(), present)

    def seg_sums(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each pair, summed over its pixels.

        Args:
            scores: (P, 2, H', W').
            targets: (P, H, W).

        Returns:
            (P,), with the weight of the loss.
        """
        scores = resized(scores.float(), targets.shape[1:], self.align_corners)
        losses = self.elements(self.loss_seg, scores, targets, self.ignore_index)
        return losses.flatten(1).sum(1)

    @staticmethod
    def elements(loss: nn.Module, logits: Tensor, target: Tensor,
                 ignore_index: int) -> Tensor:
        """Return a loss of every element, those that are ignored 0."""
        out = loss(logits, target, reduction_override='none', ignore_index=ignore_index)
        if out.shape != target.shape:
            raise ValueError(
                f'{type(loss).__name__} gave a loss of shape {tuple(out.shape)} for '
                f'labels {tuple(target.shape)}; one for every label is wanted, as '
                'CrossEntropyLoss gives.')
        return out

    def losses(self, parts: Sequence[PairTerms], pixels: Union[int, Tensor]
               ) -> Dict[str, Tensor]:
        """Return the losses of a batch from the terms of its pairs.

        Args:
            parts: Of all its pairs, at least one.
            pixels: How many pixels of all targets count.

        Returns:
            ``loss_cls``, ``loss_seg``, ``loss_presence``, ``loss_attention`` of hard
            attention, those that there are, and ``acc_label`` in percent.
        """
        terms = PairTerms(*[torch.cat(part) for part in zip(*parts)])
        count = torch.as_tensor(pixels, device=terms.seg.device).clamp(min=1)
        per_pair = len(terms.seg) * terms.seg / count
        out = dict(loss_seg=per_pair.mean(), acc_label=100 * terms.right.float().mean())
        if self.loss_cls is not None:
            out['loss_cls'] = terms.cls.sum() / terms.present.sum().clamp(min=1)
        if self.loss_presence is not None:
            out['loss_presence'] = terms.presence.mean()
        if self.attention.select.mode == 'hard':
            # What a pair adds to the losses, times P: its own draw has no say in the
            # others'. The label's loss is a mean of those that are there alone.
            share = len(terms.cls) / terms.present.sum().clamp(min=1)
            reward = -(share * terms.cls + terms.presence + per_pair).detach()
            out['loss_attention'] = self.attention.select.loss(
                Attention(None, terms.log_prob, terms.entropy, terms.drawn), reward,
                terms.has_pixels.long())
        return out

    def no_losses(self, maps: SwitchedMaps) -> Dict[str, Tensor]:
        """Return losses of a batch without pairs: 0, with a live graph."""
        zero = no_loss(self, maps.feature).to(maps.feature.device)
        out = dict(loss_seg=zero)
        for name in ('loss_cls', 'loss_presence'):
            if getattr(self, name) is not None:
                out[name] = zero * 1
        if self.attention.select.mode == 'hard':
            out['loss_attention'] = zero * 1
        return out
