"""RANet with a slim ResNet-18 on the procedural scenes: the demo.

Random weights, a few minutes on two CPU cores. The recipe is ours: at the
released threshold of 0.8 the maps of so short a training fall into one or two
regions, at 0.97 into some thirty (tools/region_stats.py counts them).
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
        construction=dict(threshold=0.97, num_representatives=8),
        interaction=dict(
            mode='released', scale='sqrt', representative_kernel=1,
            zero_init=True)))
