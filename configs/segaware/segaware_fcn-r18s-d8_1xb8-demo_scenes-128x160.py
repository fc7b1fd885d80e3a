"""FCN with segmentation-aware convolutions on the procedural scenes (ours).

Backbone, data, seed and iterations of configs/peers/fcn_r18s...; random
weights, a few minutes on two CPU cores.
"""
_base_ = [
    '../_base_/models/encoder_r18s-d8.py',
    '../_base_/datasets/scenes_128x160.py',
    '../_base_/schedules/schedule_demo_b8.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(
    decode_head=dict(
        type='SegAwareHead',
        embedding=dict(
            type='EmbeddingHead',
            in_channels=(32, 64, 128),
            in_index=(0, 1, 2),
            channels=16),
        loss_embed=dict(
            type='EmbeddingLoss', loss_weight=0.1, other_weight=5.),
        head=dict(
            type='FCNHead',
            in_channels=128,
            in_index=2,
            channels=64,
            num_convs=2,
            concat_input=True,
            dropout_ratio=0.1,
            num_classes=10,
            conv_cfg=dict(type='SegAwareConv2d', hardness=0.05),
            norm_cfg={{_base_.norm_cfg}},
            align_corners=False,
            loss_decode=dict(
                type='CrossEntropyLoss', loss_weight=1.0,
                avg_non_ignore=True))))
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU']),
    dict(type='TrimapIoUMetric')
]
test_evaluator = val_evaluator
