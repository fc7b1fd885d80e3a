"""Cityscapes, 19 classes, crop 769x769, with boundary maps for RANet.

SEGAWARE_MM_DATA names the data root; leftImg8bit/ and gtFine/ (labels as
_labelTrainIds.png) lie in its folder cityscapes/. Augmentation as in the
released RANet: one of the scales 0.7, 0.8, ..., 2.1, crop, flip, no colour
jitter. Scales are factors of the image's own size, so a folder of smaller
images trains as well. Tested at the image's own size.
"""
_base_ = '../tta/scales_flip.py'
dataset_type = 'CityscapesDataset'
data_root = '{{$SEGAWARE_MM_DATA:data}}/cityscapes'
crop_size = (769, 769)  # height, width
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    # At full resolution, before the map is resized with the labels.
    dict(type='GenerateRegionBoundary', radius=2),
    dict(
        type='RandomChoice',
        transforms=[[
            dict(type='Resize', scale_factor=tenths / 10, keep_ratio=True)
        ] for tenths in range(7, 22)]),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='leftImg8bit/val', seg_map_path='gtFine/val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
