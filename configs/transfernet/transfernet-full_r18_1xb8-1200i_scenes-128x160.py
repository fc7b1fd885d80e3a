"""TransferNet on procedural scenes, masks of all classes: what it could reach (ours)."""
_base_ = './transfernet_r18_1xb8-1200i_scenes-128x160.py'

train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        type='MaskSubsetDataset',
        classes={{_base_.classes}},
        palette={{_base_.palette}},
        dataset=dict(
            type='ScenesDataset',
            data_root={{_base_.data_root}},
            data_prefix=dict(
                img_path='images/train', seg_map_path='annotations/train'),
            pipeline=[dict(type='LoadImageFromFile'),
                      dict(type='LoadAnnotations')]),
        pipeline={{_base_.source_pipeline}}))
