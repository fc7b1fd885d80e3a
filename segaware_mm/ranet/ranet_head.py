"""RANet's decode head.

Shen et al., "Ranet: Region Attention Network for Semantic Segmentation",
NeurIPS 2020, as released for ResNet-101, with the corrections that the RANet
page of the docs lists.

Shapes: c3, c4 the two backbone maps; M = channels; C classes.
"""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Union

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..ops.checks import check_number
from ..ops.region_attention import boundary_target
from .region_construction import RegionConstruction, Regions
from .region_interaction import LEAKY, RegionInteraction

#: Of boundary maps, whatever the ignored label is.
IGNORED_BOUNDARY = 255
#: One number, or one for each of several maps that are joined.
Several = Union[int, Sequence[int]]


def cross_entropy(weight: float) -> dict:
    """Config of mmseg's cross entropy, the mean over the pixels not ignored."""
    return dict(type='CrossEntropyLoss', loss_weight=weight, avg_non_ignore=True)


def _as_tuple(value: Several) -> tuple:
    return tuple(value) if isinstance(value, (list, tuple)) else (value, )


@dataclass
class RANetOutput:
    """Everything the head computes; all maps at the head's resolution."""
    logits: Tensor
    boundary_logits: Tensor
    aux_logits: Tensor
    aux_boundary_logits: Tensor
    regions: Regions


@MODELS.register_module()
class RANetHead(BaseDecodeHead):
    """Auxiliary maps from c3, regions from them, context for c4.

    The auxiliary branch (3x3 convolution, norm, dropout, two 1x1
    classifiers) reads c3; its class and boundary maps make the regions; the
    interaction works on features of c4; their concatenation is classified.
    Losses: 1.0 CE(classes) + 0.4 CE(auxiliary classes) + 0.2 CE(boundary)
    + 0.08 CE(auxiliary boundary), all at label size.

    Where maps differ in size all are resized to the largest, so that regions
    are built at the finest one. c3 or c4 may itself be several maps of the
    backbone, concatenated: ``in_index=(2, (1, 2)), in_channels=(256, (128,
    256))`` (ours; the paper reads one map each).

    Args:
        in_channels (Sequence[int | Sequence[int]]): Channels of c3 and c4.
        channels (int): M, 512 in the paper's models.
        construction (dict | None): Arguments of :class:`RegionConstruction`.
        interaction (dict | None): Arguments of :class:`RegionInteraction`.
        aux_channels (int | None): Width of the auxiliary branch; M if None.
        loss_decode (dict): Loss of the main classes.
        loss_aux (dict): Loss of the auxiliary classes.
        loss_boundary (dict): Loss of the main boundary map.
        loss_aux_boundary (dict): Loss of the auxiliary boundary map.
        boundary_radius (float): Of the boundary target that is made from the
            labels where the pipeline gives no ``gt_edge_map`` (see
            :class:`GenerateRegionBoundary`); at least 1.
        norm_cfg (dict | None): Batch norms only (BN, SyncBN), see
            :class:`RegionInteraction`.
        **kwargs: As in mmseg's ``BaseDecodeHead``; ``in_index`` defaults to
            (2, 3) and ``act_cfg`` to a leaky ReLU of slope 0.01.

    Raises:
        TypeError, ValueError: ``in_channels`` and ``in_index`` do not name two
            inputs of the same structure, ``input_transform`` is another than
            'multiple_select', ``out_channels`` is not ``num_classes``,
            ``norm_cfg`` is no batch norm, ``boundary_radius`` no number from 1
            on, or an argument of the two blocks is refused.
    """

    def __init__(self,
                 in_channels: Sequence[Several],
                 channels: int,
                 *,
                 construction: Optional[dict] = None,
                 interaction: Optional[dict] = None,
                 aux_channels: Optional[int] = None,
                 loss_decode: dict = cross_entropy(1.0),  # noqa: B008
                 loss_aux: dict = cross_entropy(0.4),  # noqa: B008
                 loss_boundary: dict = cross_entropy(0.2),  # noqa: B008
                 loss_aux_boundary: dict = cross_entropy(0.08),  # noqa: B008
                 boundary_radius: float = 2,
                 in_index: Sequence[Several] = (2, 3),
                 input_transform: str = 'multiple_select',
                 act_cfg: dict = LEAKY,
                 **kwargs) -> None:
        widths, places = ([_as_tuple(part) for part in _as_tuple(parts)]
                          for parts in (in_channels, in_index))
        if len(widths) != 2 or [*map(len, widths)] != [*map(len, places)]:
            raise ValueError(
                'RANetHead has two inputs: in_channels and in_index must have '
                'two elements, each a number, or both lists of one length; got '
                f'in_channels={in_channels} and in_index={in_index}.')
        if input_transform != 'multiple_select':
            raise ValueError("input_transform must be 'multiple_select', got "
                             f'{input_transform!r}; in_index says which maps '
                             'are concatenated.')
        check_number('boundary_radius', boundary_radius, 1)
        super().__init__(
            in_channels,
            channels,
            in_index=in_index,
            input_transform=input_transform,
            loss_decode=loss_decode,
            act_cfg=act_cfg,
            **kwargs)
        if self.out_channels != self.num_classes:
            raise ValueError('RANetHead needs a logit for every class: leave '
                             f'out_channels at num_classes={self.num_classes}, '
                             f'got {self.out_channels}.')
        self.places = places
        aux_channels = aux_channels or channels
        self.loss_aux = MODELS.build(loss_aux)
        self.loss_boundary = MODELS.build(loss_boundary)
        self.loss_aux_boundary = MODELS.build(loss_aux_boundary)
        self.boundary_radius = boundary_radius

        # Convolution bias and no activation, as released.
        self.aux_conv = ConvModule(
            sum(widths[0]), aux_channels, 3, padding=1, bias=True,
            conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=None)
        self.aux_conv_seg = nn.Conv2d(aux_channels, self.num_classes, 1)
        self.aux_conv_boundary = nn.Conv2d(aux_channels, 2, 1)
        self.construction = RegionConstruction(**(construction or {}))

        shared = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg,
                      act_cfg=self.act_cfg)
        self.features = ConvModule(sum(widths[1]), channels, 3, padding=1,
                                   **shared)
        self.interaction = RegionInteraction(channels, channels,
                                             **{**shared, **(interaction or {})})
        self.fuse = ConvModule(2 * channels, channels, 3, padding=1, **shared)
        self.conv_boundary = nn.Conv2d(channels, 2, 1)

    def _select(self, inputs: List[Tensor]) -> List[Tensor]:
        """Return c3 and c4 at the size of the largest map that is read."""
        maps = {k: inputs[k] for places in self.places for k in places}
        size = torch.Size(
            max(x.shape[axis] for x in maps.values()) for axis in (2, 3))
        maps = {
            k: x if x.shape[2:] == size else resize(
                x, size=size, mode='bilinear', align_corners=self.align_corners)
            for k, x in maps.items()
        }
        return [maps[k[0]] if len(k) == 1 else torch.cat([maps[j] for j in k], 1)
                for k in self.places]

    def forward_all(self, inputs: List[Tensor]) -> RANetOutput:
        """Return all four maps and the regions.

        Args:
            inputs: The backbone's maps, of which ``in_index`` are read.
        """
        c3, c4 = self._select(inputs)
        aux = self.aux_conv(c3)
        if self.dropout is not None:
            aux = self.dropout(aux)
        aux_logits = self.aux_conv_seg(aux)
        aux_boundary = self.aux_conv_boundary(aux)
        regions = self.construction(aux_logits, aux_boundary)

        features = self.features(c4)
        context = self.interaction(features, regions)
        fused = self.fuse(torch.cat([features, context], 1))
        if self.dropout is not None:
            fused = self.dropout(fused)
        return RANetOutput(
            self.conv_seg(fused), self.conv_boundary(fused), aux_logits,
            aux_boundary, regions)

    def forward(self, inputs: List[Tensor]) -> Tensor:
        """Return the class logits (B, C, H, W)."""
        return self.forward_all(inputs).logits

    def loss(self, inputs: List[Tensor], batch_data_samples: list,
             train_cfg: dict) -> dict:
        """Return the four losses and the accuracy of the main classes."""
        return self.loss_by_feat(self.forward_all(inputs), batch_data_samples)

    def loss_by_feat(self, outputs: RANetOutput,
                     batch_data_samples: list) -> dict:
        """Return the losses of the outputs of :meth:`forward_all`."""
        losses = super().loss_by_feat(outputs.logits, batch_data_samples)
        labels = self._stack_batch_gt(batch_data_samples).squeeze(1)
        edges = self._boundary_labels(batch_data_samples, labels)
        for name, logits, target, ignore in (
            ('aux', outputs.aux_logits, labels, self.ignore_index),
            ('boundary', outputs.boundary_logits, edges, IGNORED_BOUNDARY),
            ('aux_boundary', outputs.aux_boundary_logits, edges,
             IGNORED_BOUNDARY)):
            logits = resize(logits, size=labels.shape[1:], mode='bilinear',
                            align_corners=self.align_corners)
            losses[f'loss_{name}'] = getattr(self, f'loss_{name}')(
                logits, target, ignore_index=ignore)
        return losses

    def _boundary_labels(self, batch_data_samples: list,
                         labels: Tensor) -> Tensor:
        """The pipeline's boundary map, or the one the labels imply."""
        if all('gt_edge_map' in sample for sample in batch_data_samples):
            edges = torch.stack(
                [s.gt_edge_map.data for s in batch_data_samples]).squeeze(1)
            # A pipeline pads labels and boundary maps alike.
            return edges.to(labels).masked_fill_(labels == self.ignore_index,
                                                 IGNORED_BOUNDARY)
        return boundary_target(labels, self.boundary_radius, self.ignore_index)
