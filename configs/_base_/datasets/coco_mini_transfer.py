"""A few hundred images of COCO 2017: masks of 60 classes, image labels of VOC's 20.

Both domains are the same images (ours; in the paper they are two data sets): the source
has the masks of the classes that VOC has not, the target the image labels of VOC's
classes, from a file, so that their masks are not even read. Validated are VOC's classes,
masks and image labels. 224x224, the longer side padded. SEGAWARE_MM_DATA names the data
root.
"""
data_root = '{{$SEGAWARE_MM_DATA:data}}/coco_mini'
classes = 'COCOExclusiveDataset'  # 0 background, 1..20 VOC, 21..80 the others
target_classes = (
    'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
    'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
    'train', 'tvmonitor')  # VOC's
size = (224, 224)
meta_keys = ('img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip',
             'image_labels', 'label_set', 'condition_label', 'domain')
test_meta_keys = ('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'scale_factor',
                  'image_labels', 'label_set', 'square_side', 'valid_shape')

source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='LoadImageLabels', min_pixels=64),
    dict(type='SampleConditionLabel', no_label='another'),
    dict(type='PadToSquare'),
    dict(type='RandomResize', scale=(232, 232), ratio_range=(1.0, 1.7), keep_ratio=True),
    dict(type='ConditionedRandomCrop', crop_size=size, cropped_away='resample',
         min_pixels=64),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
# Where the objects are is not known: little is cut off.
target_pipeline = [
    dict(type='SampleConditionLabel', no_label='another'),
    dict(type='PadToSquare'),
    dict(type='RandomResize', scale=(232, 232), ratio_range=(1.0, 1.15), keep_ratio=True),
    dict(type='RandomCrop', crop_size=size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
target_train = dict(
    type='ImageLabelDataset',
    classes=classes,
    keep=target_classes,
    label_file='image_labels.json',
    label_key='train',
    dataset=dict(
        type='COCOExclusiveDataset',
        voc_pixels='keep',
        data_root=data_root,
        data_prefix=dict(img_path='images/train'),
        pipeline=[dict(type='LoadImageFromFile')]),
    pipeline=target_pipeline)
source_train = dict(
    type='COCOExclusiveDataset',
    strict=False,
    data_root=data_root,
    data_prefix=dict(img_path='images/train', seg_map_path='semantic/train'),
    label_file='image_labels.json',
    label_key='train',
    filter_cfg=dict(filter_empty_gt=True),
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
        keep=target_classes,
        domain='target',
        dataset=dict(
            type='COCOExclusiveDataset',
            voc_pixels='keep',
            test_mode=True,
            data_root=data_root,
            data_prefix=dict(img_path='images/val', seg_map_path='semantic/val'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='PadToSquare'),
                dict(type='Resize', scale=size, keep_ratio=True),
                dict(type='LoadAnnotations')
            ]),
        pipeline=[
            dict(type='LoadImageLabels'),
            dict(type='PackSegInputs', meta_keys=test_meta_keys)
        ]))
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='ClassGroupIoUMetric', groups=dict(target=target_classes)),
    dict(type='MultiLabelMetric')
]
test_evaluator = val_evaluator
