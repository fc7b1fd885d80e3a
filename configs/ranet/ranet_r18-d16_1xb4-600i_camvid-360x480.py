"""RANet with a three-stage ResNet-18 on CamVid, 600 iterations.

The recipe is ours; the paper has no CamVid experiment. The region map is
built at stride 8 (layer2) and the features of layer3 are brought to it.
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
        in_channels=(128, 256),
        in_index=(1, 2),
        channels=128,
        dropout_ratio=0.1,
        num_classes=11,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        construction=dict(threshold=0.8, num_representatives=8),
        interaction=dict(mode='released', scale='sqrt',
                         representative_kernel=1)))
