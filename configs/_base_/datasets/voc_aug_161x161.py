"""VOC with the extra labels of SBD, crop 161 and mirrored: for embeddings."""
_base_ = './voc_aug_321x321.py'
crop_size = (161, 161)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=20,
    dataset=dict(datasets=[
        dict(
            type='PascalVOCDataset',
            data_root={{_base_.data_root}},
            data_prefix=dict(
                img_path='JPEGImages', seg_map_path='SegmentationClass'),
            ann_file='ImageSets/Segmentation/train.txt',
            pipeline=train_pipeline),
        dict(
            type='PascalVOCDataset',
            data_root={{_base_.data_root}},
            data_prefix=dict(
                img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
            ann_file='ImageSets/Segmentation/aug.txt',
            pipeline=train_pipeline)
    ]))
val_evaluator = dict(
    _delete_=True, type='EmbeddingPairMetric', dilations=(1, 2, 5))
test_evaluator = val_evaluator
