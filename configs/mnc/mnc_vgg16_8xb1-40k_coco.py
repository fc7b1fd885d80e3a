"""MNC on VGG-16 and COCO: the paper's schedule of 8 GPUs, 12 anchors.
"""
_base_ = [
    '../_base_/models/mnc_vgg16.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_mnc_25k_b8.py',
    '../_base_/default_runtime_det.py'
]
model = dict(
    rpn_head=dict(anchor_generator=dict(scales=[4, 8, 16, 32])),
    roi_head=dict(bbox_head=dict(num_classes=80)))
optim_wrapper = dict(accumulative_counts=1)
param_scheduler = [
    dict(
        type='MultiStepLR',
        begin=0,
        end=40000,
        milestones=[32000],
        gamma=0.1,
        by_epoch=False)
]
train_cfg = dict(max_iters=40000, val_interval=10000)
