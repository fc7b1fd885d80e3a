"""Procedural scenes: masks of four classes, image labels of four others. 128x160.

Made by ``python tools/make_scenes.py --kinds 2 --train 3000 --out data/scenes_transfer``:
two classes of objects a scene, so that the name of one says something.

Sky and ground are in every scene: that they are there tells nothing, so they are the
background. Of the other eight, the target has tower, bush, ring and star: single objects,
and each has its like in the source (wall, rock, disc), from which it differs by extent,
texture or outline alone. So masks of the source can teach where such objects end, and
image labels must teach which is which. Pole, posts and wires of a pixel or two, is too
thin to be found from image labels, and stays in the source. Each class is in a quarter of
the scenes.

Both domains are the same scenes, and all labels of a scene take part. Masks of the
target's classes are read in validation alone, which has all classes.
"""
data_root = 'data/scenes_transfer'
classes = ('background', 'tower', 'bush', 'ring', 'star', 'wall', 'rock', 'pole', 'disc')
palette = [[0, 0, 0], [178, 58, 72], [58, 125, 68], [224, 86, 253], [0, 206, 201],
           [242, 166, 90], [120, 120, 128], [255, 236, 92], [61, 52, 139]]
target_classes = ('tower', 'bush', 'ring', 'star')
source_classes = ('wall', 'rock', 'pole', 'disc')
crop_size = (128, 160)  # height, width
meta_keys = ('img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip',
             'image_labels', 'label_set', 'domain')
test_meta_keys = ('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'scale_factor',
                  'image_labels', 'label_set')

source_pipeline = [
    dict(type='RandomResize', scale=(160, 128), ratio_range=(1.0, 1.3), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='LoadImageLabels', min_pixels=16),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
# Where the objects are is not known: little is cut off.
target_pipeline = [
    dict(type='RandomResize', scale=(160, 128), ratio_range=(1.0, 1.1), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
target_train = dict(
    type='ImageLabelDataset',
    classes=classes,
    palette=palette,
    keep=target_classes,
    label_file='annotations/image_labels_train.json',
    dataset=dict(
        type='ScenesDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/train'),
        pipeline=[dict(type='LoadImageFromFile')]),
    pipeline=target_pipeline)
source_train = dict(
    type='MaskSubsetDataset',
    classes=classes,
    palette=palette,
    keep=source_classes,
    dataset=dict(
        type='ScenesDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='LoadAnnotations')]),
    pipeline=source_pipeline)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='AlternatingDomainSampler'),
    dataset=dict(type='ConcatDataset', datasets=[target_train, source_train]))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MaskSubsetDataset',
        classes=classes,
        palette=palette,
        domain='target',
        dataset=dict(
            type='ScenesDataset',
            test_mode=True,
            data_root=data_root,
            data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'),
            pipeline=[dict(type='LoadImageFromFile'),
                      dict(type='LoadAnnotations')]),
        pipeline=[
            dict(type='LoadImageLabels', min_pixels=16),
            dict(type='PackSegInputs', meta_keys=test_meta_keys)
        ]))
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='ClassGroupIoUMetric',
         groups=dict(target=target_classes, source=source_classes)),
    dict(type='MultiLabelMetric', classwise=True)
]
test_evaluator = val_evaluator
