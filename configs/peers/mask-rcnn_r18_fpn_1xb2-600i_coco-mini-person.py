"""Mask R-CNN of mmdet on the persons of a few hundred COCO images (a peer)."""
_base_ = './mask-rcnn_r18_fpn_1xb2-600i_coco-mini.py'
metainfo = dict(classes=('person', ), palette=[(220, 20, 60)])
train_dataloader = dict(dataset=dict(metainfo=metainfo))
val_dataloader = dict(dataset=dict(metainfo=metainfo))
test_dataloader = val_dataloader
model = dict(
    roi_head=dict(
        bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)))
