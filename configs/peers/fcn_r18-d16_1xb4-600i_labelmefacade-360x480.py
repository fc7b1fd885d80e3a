"""FCNHead on LabelMeFacade: network and schedule of the CamVid benchmark."""
_base_ = [
    '../_base_/models/encoder_r18-3stage.py',
    '../_base_/datasets/labelmefacade_360x480.py',
    '../_base_/schedules/schedule_600i_b4.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(
    decode_head=dict(
        type='FCNHead',
        in_channels=256,
        in_index=2,
        channels=128,
        num_convs=2,
        concat_input=True,
        dropout_ratio=0.1,
        num_classes=8,
        norm_cfg={{_base_.norm_cfg}},
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)))
