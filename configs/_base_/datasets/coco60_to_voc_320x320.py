"""TransferNet's data: masks of COCO's 60 other classes, image labels of VOC 2012.

COCO 2017 (instances; upstream's layout) and VOC 2012 with the labels of SBD, 10582
images, in the folders coco/ and VOCdevkit/VOC2012 of SEGAWARE_MM_DATA. The paper's source
are images of COCO that have none of VOC's objects; so strict=True here. strict=False
keeps the others, with VOC's objects as background, as the released files allow for.

Windows of the released files are replaced by the padded square, zoomed and cropped; a
crop may lose the object, as there (cropped_away='resample' draws again).
"""
root = '{{$SEGAWARE_MM_DATA:data}}'
classes = 'COCOExclusiveDataset'  # 0 background, 1..20 VOC, 21..80 the others
target_classes = 'PascalVOCDataset'
size = (320, 320)
meta_keys = ('img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip',
             'image_labels', 'label_set', 'condition_label', 'domain')
test_meta_keys = ('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'scale_factor',
                  'image_labels', 'label_set', 'square_side', 'valid_shape')

augmentation = [
    dict(type='SampleConditionLabel', no_label='another'),
    dict(type='PadToSquare'),
    dict(type='Resize', scale=(330, 330), keep_ratio=True),
    dict(type='ConditionedRandomCrop', crop_size=size, cropped_away='keep'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs', meta_keys=meta_keys)
]
source_train = dict(
    type='COCOExclusiveDataset',
    strict=True,
    data_root=root + '/coco',
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img_path='train2017'),
    filter_cfg=dict(filter_empty_gt=True),
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadSegMapFromInstances'),
        dict(type='LoadImageLabels'), *augmentation
    ])
# Labels are taken from the masks, which then are dropped.
target_train = dict(
    type='ImageLabelDataset',
    classes=classes,
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(
                type='PascalVOCDataset',
                data_root=root + '/VOCdevkit/VOC2012',
                data_prefix=dict(img_path='JPEGImages', seg_map_path=folder),
                ann_file=f'ImageSets/Segmentation/{split}.txt',
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadAnnotations')
                ]) for split, folder in (('train', 'SegmentationClass'),
                                         ('aug', 'SegmentationClassAug'))
        ]),
    pipeline=augmentation)
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='AlternatingDomainSampler'),
    dataset=dict(type='ConcatDataset', datasets=[target_train, source_train]))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MaskSubsetDataset',
        classes=classes,
        domain='target',
        dataset=dict(
            type='PascalVOCDataset',
            test_mode=True,
            data_root=root + '/VOCdevkit/VOC2012',
            data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='ImageSets/Segmentation/val.txt',
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

# Classes that are neither there nor predicted do not count in the mean.
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU']),
    dict(type='MultiLabelMetric')
]
test_evaluator = val_evaluator
