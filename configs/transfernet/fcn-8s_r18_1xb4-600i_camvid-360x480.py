"""FCN-8s on CamVid: scores of layers 2 and 3 of ResNet-18, strides 8 and 16.

Start, data, seed and schedule are those of configs/peers/fcn_r18...; the recipe is
ours. There is no map of stride 32: the weights hold no fourth stage.
"""
_base_ = [
    '../_base_/models/encoder_r18-3stage.py',
    '../_base_/datasets/camvid_360x480.py',
    '../_base_/schedules/schedule_600i_b4.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(
    decode_head=dict(
        type='FCNSkipHead',
        in_channels=(128, 256),
        in_index=(1, 2),
        stride=8,
        dropout_ratio=0.1,
        num_classes=11,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)))
