"""TransferNet on a few hundred COCO images, masks of VOC's classes: its bound (ours).

The masks of the other 60 classes take part too, as in TransferNet's config.
"""
_base_ = './transfernet_r18_1xb8-600i_coco-mini-224x224.py'

train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True),
    dataset=dict(
        _delete_=True,
        type='COCOExclusiveDataset',
        voc_pixels='keep',
        data_root={{_base_.data_root}},
        data_prefix=dict(img_path='images/train', seg_map_path='semantic/train'),
        pipeline={{_base_.source_pipeline}}))
