"""FCNHead on the procedural scenes: same backbone, data, seed, iterations."""
_base_ = [
    '../_base_/models/encoder_r18s-d8.py',
    '../_base_/datasets/scenes_128x160.py',
    '../_base_/schedules/schedule_demo_b8.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(
    decode_head=dict(
        type='FCNHead',
        in_channels=128,
        in_index=2,
        channels=64,
        num_convs=2,
        concat_input=True,
        dropout_ratio=0.1,
        num_classes=10,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)))
