"""RANet with a three-stage ResNet-18 on CamVid, 600 iterations.

The recipe is ours, the best of those in benchmarks/camvid_rows.py; the paper
has no CamVid experiment. Classes are read from layer 3, features from layers 2
and 3, all at stride 8. At the released threshold of 0.8 the maps of so short a
training fall into one or two regions; 0.97 gives about fifty.
"""
_base_ = [
    '../_base_/models/encoder_r18-3stage.py',
    '../_base_/datasets/camvid_360x480.py',
    '../_base_/schedules/schedule_600i_b4.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(
    decode_head=dict(
        type='RANetHead',
        in_channels=(256, (128, 256)),
        in_index=(2, (1, 2)),
        channels=128,
        dropout_ratio=0.1,
        num_classes=11,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        construction=dict(threshold=0.97, num_representatives=8),
        interaction=dict(mode='released', scale='sqrt',
                         representative_kernel=1, zero_init=True),
        # Three units of class losses in all, as DAHead has.
        loss_decode=dict(
            type='CrossEntropyLoss', loss_weight=2.0, avg_non_ignore=True),
        loss_aux=dict(
            type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True),
        loss_boundary=dict(
            type='CrossEntropyLoss', loss_weight=0.6, avg_non_ignore=True),
        loss_aux_boundary=dict(
            type='CrossEntropyLoss', loss_weight=0.24, avg_non_ignore=True)))
