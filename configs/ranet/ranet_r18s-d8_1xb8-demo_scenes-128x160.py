"""RANet with a slim ResNet-18 on the procedural scenes: the demo.

Random weights, a few minutes on two CPU cores. The recipe is ours.
"""
_base_ = [
    '../_base_/models/encoder_r18s-d8.py',
    '../_base_/datasets/scenes_128x160.py',
    '../_base_/schedules/schedule_demo_b8.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(
    decode_head=dict(
        type='RANetHead',
        in_channels=(64, 128),
        in_index=(1, 2),
        channels=64,
        dropout_ratio=0.1,
        num_classes=10,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        construction=dict(threshold=0.8, num_representatives=8),
        interaction=dict(
            mode='released', scale='sqrt', representative_kernel=1)))
