"""Where in an image is what a label names? Attention conditioned on a label.

Hong, Oh, Lee, Han (CVPR 2016), eq. 3 and 4, with the released network's second layer::

    e     = W_att relu(W_mix ((W_feat vec(A) + b) * (W_lab y + b')) + b'') + b'''
    alpha = softmax(e)

A the scaled features, y the label as a unit vector, * the elementwise product. In the
formula alone, W_att reads the product. Published sizes: A 512 x 20 x 20, W_feat to 1024,
W_att to 400 positions: 211,251,712 parameters, nearly all of them in W_feat.

Shapes: B images, P pairs of image and label, C channels, h x w map, E embedding.
"""

from typing import Any, Optional, Sequence, Union

import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..ops.checks import (
    check_choice,
    check_number,
    check_same,
    check_size,
    check_tensor,
)
from ..ops.local_checks import check_map
from .soft_hard_attention import Attention, SoftHardAttention

TYPES = ('flat', 'conv')
#: As published: N(0, 0.01) for the last layer; Caffe's Xavier for the others, which
#: divides by the inputs alone, uniform in +-sqrt(3 / inputs).
INIT = dict(type='Kaiming', layer=['Linear', 'Conv2d'], mode='fan_in',
            nonlinearity='linear', distribution='uniform',
            override=dict(type='Normal', name='attend_layer', std=0.01))


@MODELS.register_module()
class LabelAttention(BaseModule):
    """Attention (P, 1, h, w) from features and labels.

    Args:
        in_channels (int): C.
        num_labels (int): Labels, counted from 0.
        feat_size (int | tuple[int, int]): (h, w) of 'flat', which has weights for
            every position; 'conv' reads any map.
        embed_channels (int): E.
        att_type (str): 'flat': fully connected layers over the whole map, as
            published; an image has one size. 'conv': the same equation at every
            position by itself, 1x1 convolutions, which any resolution fits.
        mix_layer (bool): The released network's W_mix and ReLU; False is the
            formula without them.
        feat_scale (float): A is the features times this; the published 0.004
            brings VGG-16's conv5_3 near [0, 1].
        mode (str): 'soft' or 'hard'.
        hard (dict | None): Further arguments of :class:`SoftHardAttention`.
        init_cfg (dict | list | None): As published by default.

    Raises:
        TypeError, ValueError: A value out of its range.
    """

    def __init__(self,
                 in_channels: int = 512,
                 num_labels: int = 80,
                 feat_size: Union[int, Sequence[int]] = (20, 20),
                 embed_channels: int = 1024,
                 att_type: str = 'flat',
                 mix_layer: bool = True,
                 feat_scale: float = 0.004,
                 mode: str = 'soft',
                 hard: Optional[dict] = None,
                 init_cfg: Optional[Any] = None) -> None:
        super().__init__(INIT if init_cfg is None else init_cfg)
        check_choice('att_type', att_type, TYPES)
        for name, value in (('in_channels', in_channels), ('num_labels', num_labels),
                            ('embed_channels', embed_channels)):
            check_number(name, value, 1, integer=True)
        check_number('feat_scale', feat_scale, 0)
        self.feat_size = check_size('feat_size', feat_size)
        self.in_channels = in_channels
        self.num_labels = num_labels
        self.att_type = att_type
        self.feat_scale = feat_scale
        if att_type == 'flat':
            positions = self.feat_size[0] * self.feat_size[1]
            self.feature_layer = nn.Linear(in_channels * positions, embed_channels)
            self.mix = nn.Linear(embed_channels, embed_channels) if mix_layer else None
            self.attend_layer = nn.Linear(embed_channels, positions)
        else:
            self.feature_layer = nn.Conv2d(in_channels, embed_channels, 1)
            self.mix = nn.Conv2d(embed_channels, embed_channels, 1) \
                if mix_layer else None
            self.attend_layer = nn.Conv2d(embed_channels, 1, 1)
        self.label_layer = nn.Linear(num_labels, embed_channels)
        # Pairs without a mask have another loss, and so another baseline.
        self.select = SoftHardAttention(mode, **{'num_groups': 2, **(hard or {})})

    def scaled(self, features: Tensor) -> Tensor:
        """Return A of features (B, C, h, w)."""
        return features * self.feat_scale

    def project(self, features: Tensor) -> Tensor:
        """Return W_feat A + b, which all labels of an image share.

        Args:
            features: (B, C, h, w), not scaled yet.

        Returns:
            (B, E) of 'flat', (B, E, h, w) of 'conv'.

        Raises:
            TypeError, ValueError: A wrong shape; the message says what to change.
        """
        check_map('features', features, '(P, C, h, w)')
        check_same('features', features.shape, f'in_channels {self.in_channels}',
                   (len(features), self.in_channels, *features.shape[2:]))
        if self.att_type == 'conv':
            return self.feature_layer(self.scaled(features))
        if tuple(features.shape[2:]) != self.feat_size:
            raise ValueError(
                f"features have a map of {tuple(features.shape[2:])}; att_type 'flat' "
                f'has weights for feat_size {self.feat_size}. Resize images so that '
                "the encoder's map has that size, set feat_size, or take att_type "
                "'conv', which fits any.")
        return self.feature_layer(self.scaled(features).flatten(1))

    def logits(self, projected: Tensor, labels: Tensor) -> Tensor:
        """Return e (P, 1, h, w).

        Args:
            projected: Of :meth:`project`, one row a pair, or one row for all.
            labels: (P,) int64, 0..num_labels - 1.
        """
        check_tensor('labels', labels, '(P,)', 1, floating=False)
        asked = F.embedding(labels, self.label_layer.weight.t()) + self.label_layer.bias
        if self.att_type == 'conv':
            asked = asked[..., None, None]
        joined = projected * asked.to(projected.dtype)
        if self.mix is not None:
            joined = self.mix(joined).relu()
        out = self.attend_layer(joined)
        return out.view(-1, 1, *self.feat_size) if self.att_type == 'flat' else out

    def attend(self, features: Tensor, labels: Tensor,
               valid: Optional[Tensor] = None) -> Attention:
        """Return attention with what a hard one needs for its loss.

        Args:
            features: (P, C, h, w).
            labels: (P,) int64, 0..num_labels - 1.
            valid: (P, 1, h, w) or (1, 1, h, w) bool, positions that may be attended
                to.

        Raises:
            TypeError, ValueError: A wrong shape; the message says what to change.
        """
        if len(labels) != len(features):
            raise ValueError(f'labels has {len(labels)} entries for {len(features)} '
                             'features; one for each is wanted.')
        return self.select(self.logits(self.project(features), labels), valid)

    def forward(self, features: Tensor, labels: Tensor,
                valid: Optional[Tensor] = None) -> Tensor:
        """Return the weights (P, 1, h, w) of :meth:`attend`."""
        return self.attend(features, labels, valid).weights
