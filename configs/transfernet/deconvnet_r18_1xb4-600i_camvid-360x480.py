"""DeconvNet on CamVid: a three-stage ResNet-18 as the encoder.

Start, data, seed and schedule are those of configs/peers/fcn_r18...; the recipe is
ours. ResNet has no pool to undo between its stages: switches are where the finer
map has most energy. fc6, fc7 and their mirror have 256 channels; two levels are
undone, from stride 16 to stride 4.
"""
_base_ = [
    '../_base_/models/encoder_r18-3stage.py',
    '../_base_/datasets/camvid_360x480.py',
    '../_base_/schedules/schedule_600i_b4.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(
    backbone=dict(
        _delete_=True,
        type='SwitchedBackbone',
        finest_stride=4,
        backbone={{_base_.model.backbone}}),
    decode_head=dict(
        type='DeconvNetHead',
        in_channels=256,
        fc_channels=256,
        fc_kernel=7,
        channels=((), (128, 128), (128, 64)),
        dropout_ratio=0.1,
        num_classes=11,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)))
