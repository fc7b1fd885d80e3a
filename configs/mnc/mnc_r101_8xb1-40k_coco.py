"""MNC on ResNet-101 and COCO: the paper's schedule of 8 GPUs, 12 anchors.

How the paper joins the fifth stage is not known to us: here it is dilated,
brought to 512 channels, and the two paths have 1024 (ours).
"""
_base_ = [
    '../_base_/models/mnc_r101-c5.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_mnc_25k_b8.py',
    '../_base_/default_runtime_det.py'
]
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
