"""Small detectors and images for the tests of the cascade."""

from typing import Any, List, Sequence

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

CODER = dict(type='DeltaXYWHBBoxCoder', target_stds=[.1, .1, .2, .2])


def roi_head(strides: Sequence[int] = (4, 8), classes: int = 3, **kwargs: Any) -> dict:
    """The config of a small MNCRoIHead on maps of 8 channels."""
    extractor = kwargs.pop('extractor', {})
    return dict(dict(
        type='MNCRoIHead',
        bbox_roi_extractor=dict(dict(
            type='RoIWarpExtractor', out_channels=8, featmap_strides=list(strides),
            output_size=8, finest_scale=16), **extractor),
        mask_head=dict(type='MNCMaskHead', in_channels=8, roi_size=4,
                       hidden_channels=12, mask_size=7),
        bbox_head=dict(type='MNCBBoxHead', in_channels=8, roi_feat_size=4,
                       fc_out_channels=16, num_classes=classes, bbox_coder=CODER)),
        **kwargs)


def train_cfg(**rcnn: Any) -> ConfigDict:
    """Samples few RoIs."""
    return ConfigDict(
        rpn=dict(
            assigner=dict(type='MaxIoUAssigner', pos_iou_thr=.7, neg_iou_thr=.3,
                          min_pos_iou=.3, match_low_quality=True),
            sampler=dict(type='RandomSampler', num=32, pos_fraction=.5,
                         add_gt_as_proposals=False),
            allowed_border=-1, pos_weight=-1, debug=False),
        rpn_proposal=dict(nms_pre=1000, max_per_img=200,
                          nms=dict(type='nms', iou_threshold=.7), min_bbox_size=0),
        rcnn=dict(dict(
            assigner=dict(type='MaxIoUAssigner', pos_iou_thr=.5, neg_iou_thr=.5,
                          min_pos_iou=.5, match_low_quality=False),
            sampler=dict(type='RandomSampler', num=16, pos_fraction=.5,
                         add_gt_as_proposals=True),
            pos_weight=-1, debug=False), **rcnn))


def test_cfg(**rcnn: Any) -> ConfigDict:
    """Keeps few RoIs."""
    return ConfigDict(
        rpn=dict(nms_pre=200, max_per_img=12, nms=dict(type='nms', iou_threshold=.7),
                 min_bbox_size=0),
        rcnn=dict(dict(nms=dict(type='nms', iou_threshold=.3), mask_thr_binary=.4,
                       max_per_img=10), **rcnn))


test_cfg.__test__ = False


def detector(head: dict = None, rpn: dict = None, seed: int = 0, **kwargs: Any) -> Any:
    """A detector on a two-stage ResNet with a pyramid."""
    torch.manual_seed(seed)
    model = MODELS.build(ConfigDict(dict(dict(
        type='MNC',
        data_preprocessor=dict(type='DetDataPreprocessor', pad_mask=True),
        backbone=dict(type='ResNet', depth=18, num_stages=2, strides=(1, 2),
                      dilations=(1, 1), out_indices=(0, 1), base_channels=8,
                      stem_channels=8, norm_cfg=dict(type='BN')),
        neck=dict(type='FPN', in_channels=[8, 16], out_channels=8, num_outs=3),
        rpn_head=dict(dict(
            type='MNCRPNHead', in_channels=8, feat_channels=8,
            anchor_generator=dict(type='AnchorGenerator', scales=[4], ratios=[1.],
                                  strides=[4, 8, 16]),
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
            loss_bbox=dict(type='L1Loss')), **(rpn or {})),
        roi_head=head or roi_head(), train_cfg=train_cfg(), test_cfg=test_cfg()),
        **kwargs)))
    model.init_weights()
    return model


def images(count: int = 2, size: Sequence[int] = (64, 80), seed: int = 0
           ) -> torch.Tensor:
    """Random images (B, 3, H, W)."""
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def sample(boxes: Sequence[Sequence[int]], labels: Sequence[int] = None,
           size: Sequence[int] = (64, 80), scale: float = 1.,
           ignored: Sequence[Sequence[int]] = ()) -> DetDataSample:
    """An image's truth: boxes that their objects, lower left halves, fill."""
    masks = np.zeros((len(boxes), *size), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = np.tri(y2 - y1, x2 - x1, (x2 - x1) // 4, np.uint8)
    data = DetDataSample(metainfo=dict(
        img_shape=tuple(size), pad_shape=tuple(size), batch_input_shape=tuple(size),
        ori_shape=tuple(round(n / scale) for n in size), scale_factor=(scale, scale),
        img_id=0))
    labels = list(range(len(boxes))) if labels is None else labels
    data.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        labels=torch.tensor(labels, dtype=torch.long), masks=BitmapMasks(masks, *size))
    data.ignored_instances = InstanceData(
        bboxes=torch.tensor(ignored, dtype=torch.float32).view(-1, 4),
        labels=torch.zeros(len(ignored), dtype=torch.long),
        masks=BitmapMasks(np.zeros((len(ignored), *size), np.uint8), *size))
    return data


#: Near boxes of anchors, so that there are positive proposals.
TWO = [[9, 7, 25, 24], [40, 20, 72, 54]]


def samples(count: int = 2) -> List[DetDataSample]:
    """Two objects an image."""
    return [sample(TWO, [k % 3, (k + 1) % 3]) for k in range(count)]


def total(losses: dict) -> torch.Tensor:
    """The sum of all losses."""
    return sum(sum(v) if isinstance(v, list) else v
               for k, v in losses.items() if 'loss' in k)
