"""DAHead on the CamVid benchmark: same backbone, data, seed and iterations."""
_base_ = './fcn_r18-d16_1xb4-600i_camvid-360x480.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='DAHead',
        in_channels=256,
        in_index=2,
        channels=128,
        pam_channels=64,
        dropout_ratio=0.1,
        num_classes=11,
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)))
