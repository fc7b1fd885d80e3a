"""FCN-32s, FCN-16s and FCN-8s: scores of several layers, upsampled and added.

Long, Shelhamer, Darrell (CVPR 2015). Upstream's ``FCNHead`` is another network, some
convolutions on one map. Shapes: B batch, N classes; maps k = 1 (finest) to n
(coarsest), each with half the pixels of the one before along both axes; s the stride
of the finest; H x W image.
"""

from typing import Any, List, Sequence, Union

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..ops.checks import check_number
from .bilinear_upsampling import (
    LearnedUpsampling,
    bilinear_upsampling,
    fit_map,
    misfit,
)
from .switched_backbone import check_halved

#: Factor of the scores of every finer layer, in training at once.
AT_ONCE = 0.01


@MODELS.register_module()
class FCNSkipHead(BaseDecodeHead):
    """1x1 scores of every map; the sum goes up by 2 from map to map, by s at the end.

    On :class:`VGG16FC` (pool3, pool4, fc7): FCN-8s with ``in_channels=(256, 512,
    4096), in_index=(0, 1, 2), stride=8``; FCN-16s with ``(512, 4096), (1, 2), 16``;
    FCN-32s with ``4096, 2, 32``. On any other backbone: its maps of halving strides
    and the stride of the finest one.

    The x2 upsamplings are learned and start as bilinear ones; the last is fixed. The
    scores of the finer maps start at zero, so that the network starts as the one
    without them. Results are not stretched: of sizes that are no multiple of the
    coarsest stride, what is too much is cut off at the right and the bottom.

    Args:
        in_channels (int | Sequence[int]): Of the maps, finest first.
        num_classes (int): N.
        in_index (int | Sequence[int]): The maps among the backbone's.
        stride (int): s, even or 1.
        at_once (bool): The scores of each finer map are scaled by 0.01 more (0.01
            for pool4, 0.0001 for pool3), as for training all of it at once; False for
            training in stages, from a checkpoint of the coarser network.
        offset (int): Pixels by which the maps begin before the image; 3 for
            ``VGG16FC(pad=100)``.
        **kwargs: As in ``BaseDecodeHead``. ``dropout_ratio`` is 0 by default, since
            :class:`VGG16FC` has its own.

    Raises:
        ValueError: A stride that is neither even nor 1, or lists of two lengths.
    """

    def __init__(self,
                 in_channels: Union[int, Sequence[int]] = (256, 512, 4096),
                 num_classes: int = 21,
                 in_index: Union[int, Sequence[int]] = (0, 1, 2),
                 stride: int = 8,
                 at_once: bool = False,
                 offset: int = 0,
                 **kwargs: Any) -> None:
        in_channels, in_index = (
            (v, ) if isinstance(v, int) else tuple(v) for v in (in_channels, in_index))
        if not in_channels or len(in_channels) != len(in_index):
            raise ValueError(f'in_channels {in_channels} and in_index {in_index} must '
                             'name the same maps, one at least.')
        check_number('stride', stride, 1, integer=True)
        if stride % 2 and stride != 1:
            raise ValueError(f'stride must be even or 1, got {stride}.')
        check_number('offset', offset, 0, integer=True)
        for name, value in (('channels', in_channels[-1]), ('dropout_ratio', 0),
                            ('input_transform', 'multiple_select')):
            kwargs.setdefault(name, value)
        super().__init__(in_channels=in_channels, num_classes=num_classes,
                         in_index=in_index, **kwargs)
        self.stride = stride
        self.offset = offset
        self.scales = [AT_ONCE**k if at_once else 1. for k in range(len(in_channels))]
        # conv_seg, BaseDecodeHead's, scores the coarsest map.
        self.skips = nn.ModuleList(
            nn.Conv2d(c, self.out_channels, 1) for c in in_channels[-2::-1])
        self.ups = nn.ModuleList(
            LearnedUpsampling(self.out_channels) for _ in self.skips)
        for score in self.skips:
            nn.init.zeros_(score.weight)
            nn.init.zeros_(score.bias)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return scores (B, N, s h, s w), h x w the finest map.

        Raises:
            ValueError: The sizes of the maps are not halves of each other.
        """
        coarsest, *finer = self._transform_inputs(inputs)[::-1]
        scores = self.cls_seg(coarsest)
        for x, skip, up, scale in zip(finer, self.skips, self.ups, self.scales[1:]):
            check_halved(x.shape[2:], scores.shape[2:])
            scores = fit_map(up(scores), x.shape[2:]) + scale * skip(x)
        return bilinear_upsampling(scores, self.stride)

    def at_size(self, scores: Tensor, size: Sequence[int]) -> Tensor:
        """Return scores at the size of the image, if they are those of one.

        Scores of another size, such as for labels that were made smaller, are left
        to the resizing of ``BaseDecodeHead``.
        """
        coarsest = self.stride * 2**len(self.skips)
        # As much as before the image stands behind it, and less than one pixel of the
        # coarsest map more.
        too_many = misfit(scores, size, 2 * self.offset)
        if all(abs(n) < coarsest for n in too_many):
            return fit_map(scores, size, self.offset)
        return scores

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: List) -> dict:
        """Return the losses of scores cut to the labels' size."""
        size = batch_data_samples[0].gt_sem_seg.shape
        return super().loss_by_feat(self.at_size(seg_logits, size), batch_data_samples)

    def predict_by_feat(self, seg_logits: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Return scores cut to the size of the input."""
        meta = batch_img_metas[0]
        size = meta['img_shape']
        if not isinstance(size, torch.Size):  # that of a window of sliding inference
            size = meta.get('pad_shape', size)
        return super().predict_by_feat(self.at_size(seg_logits, size[:2]),
                                       batch_img_metas)
