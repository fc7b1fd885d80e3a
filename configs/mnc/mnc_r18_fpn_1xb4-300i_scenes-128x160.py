"""MNC on procedural scenes in COCO's layout, random weights, 300 iterations (ours).

Data: ``python tools/make_scenes.py --layout coco --out data/scenes_coco``.
"""
_base_ = [
    '../_base_/models/mnc_r18-3stage_fpn.py',
    '../_base_/datasets/scenes_coco_instance.py',
    '../_base_/schedules/schedule_det_600i_b2.py',
    '../_base_/default_runtime_det.py'
]
randomness = dict(seed=0)
model = dict(
    backbone=dict(frozen_stages=-1, norm_eval=False, init_cfg=None),
    roi_head=dict(bbox_head=dict(num_classes=6)))
train_cfg = dict(max_iters=300, val_interval=300)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.05, begin=0, end=50, by_epoch=False),
    dict(
        type='MultiStepLR',
        begin=0,
        end=300,
        milestones=[250],
        gamma=0.1,
        by_epoch=False)
]
optim_wrapper = dict(optimizer=dict(lr=1e-3))
