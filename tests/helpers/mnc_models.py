"""Small detectors and images for the tests of the cascade."""

import json
from pathlib import Path
from typing import Any, List, Sequence, Tuple

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from PIL import Image

import segaware_mm  # noqa: F401  registers the parts

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


def detector_cfg(head: dict = None, rpn: dict = None, **kwargs: Any) -> ConfigDict:
    """The config of a detector on a two-stage ResNet with a pyramid."""
    return ConfigDict(dict(dict(
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
        **kwargs))


def detector(head: dict = None, rpn: dict = None, seed: int = 0, **kwargs: Any) -> Any:
    """A detector on a two-stage ResNet with a pyramid."""
    torch.manual_seed(seed)
    model = MODELS.build(detector_cfg(head, rpn, **kwargs))
    model.init_weights()
    return model


NAMES = ('disc', 'bar', 'corner')


def save_detector(folder: Path, meta: bool = True, keep_ratio: bool = True,
                  **kwargs: Any) -> Tuple[Path, Path, Path]:
    """Write config and random weights of a detector, and its data: one image.

    Args:
        folder: Where.
        meta: The checkpoint says names and colours of the classes.
        keep_ratio: The image of 50 x 80 becomes 60 x 96, padded to 64 x 96; else
            it becomes 64 x 96.
        **kwargs: Of :func:`detector`.

    Returns:
        The paths of config, checkpoint and image.
    """
    image = folder / 'data' / 'images' / '00.png'
    image.parent.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (50, 80, 3), np.uint8)
    Image.fromarray(noise).save(image)
    box = dict(id=1, image_id=1, category_id=1, iscrowd=0, area=200, bbox=[5, 5, 20, 10],
               segmentation=[[5, 5, 25, 5, 25, 15, 5, 15]])
    (folder / 'data' / 'val.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name='00.png', height=50, width=80)], annotations=[box],
        categories=[dict(id=k + 1, name=name) for k, name in enumerate(NAMES)])))
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(96, 64), keep_ratio=keep_ratio),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type='PackDetInputs', meta_keys=(
            'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
    model = detector_cfg(**dict(dict(data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[127.] * 3, std=[60.] * 3, bgr_to_rgb=True,
        pad_mask=True, pad_size_divisor=32)), **kwargs))
    loader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler'),
                  dataset=dict(type='CocoDataset', data_root=f'{folder}/data',
                               ann_file='val.json', data_prefix=dict(img='images/'),
                               metainfo=dict(classes=NAMES), test_mode=True,
                               pipeline=pipeline))
    config = folder / 'small_mnc.py'
    Config(dict(
        default_scope='mmdet', model=model, test_dataloader=loader,
        custom_imports=dict(imports=['segaware_mm'], allow_failed_imports=False),
        visualizer=dict(type='DetLocalVisualizer', name='visualizer', vis_backends=[
            dict(type='LocalVisBackend')]))).dump(str(config))
    with DefaultScope.overwrite_default_scope('mmdet'):
        content = dict(state_dict=detector(**kwargs).state_dict())
    if meta:
        content['meta'] = dict(dataset_meta=dict(
            classes=NAMES, palette=[[250, 0, 0], [0, 250, 0], [0, 0, 250]]))
    torch.save(content, folder / 'w.pth')
    return config, folder / 'w.pth', image


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
