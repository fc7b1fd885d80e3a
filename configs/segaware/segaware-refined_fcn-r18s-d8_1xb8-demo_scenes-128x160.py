"""A trained FCN on the procedural scenes, frozen, refined (ours): minutes on a CPU.

The CamVid refiner on slim networks. Wants the weights of two trainings before
it: configs/peers/fcn_r18s... and embedding_r18s... beside this; other files by
``model.segmentor.init_cfg.checkpoint`` and ``model.embedding.init_cfg.checkpoint``.
"""
_base_ = [
    '../_base_/models/segaware_refined_fcn-r18-3stage.py',
    '../_base_/datasets/scenes_128x160.py',
    '../_base_/schedules/schedule_refine_600i_b2.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
slim = dict(
    base_channels=32,
    stem_channels=32,
    strides=(1, 2, 1),
    dilations=(1, 1, 2))
model = dict(
    data_preprocessor=dict(size=(128, 160)),
    segmentor=dict(
        backbone=slim,
        decode_head=dict(in_channels=128, channels=64, num_classes=10),
        init_cfg=dict(
            checkpoint='work_dirs/fcn_r18s-d8_1xb8-demo_scenes-128x160/'
            'iter_540.pth')),
    embedding=dict(
        in_channels=(32, 64, 128),
        backbone=slim,
        init_cfg=dict(
            checkpoint='work_dirs/embedding_r18s_1xb8-demo_scenes-128x160/'
            'iter_540.pth')),
    mean_field=dict(bilateral_dilation=4))
train_cfg = dict(max_iters=200, val_interval=200)
param_scheduler = [
    dict(
        type='PolyLR', eta_min=0, power=0.9, begin=0, end=200,
        by_epoch=False)
]
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU']),
    dict(type='TrimapIoUMetric')
]
test_evaluator = val_evaluator
