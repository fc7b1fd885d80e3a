"""OCRHead on the CamVid benchmark: same backbone, data, seed and iterations."""
_base_ = './fcn_r18-d16_1xb4-600i_camvid-360x480.py'
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='CascadeEncoderDecoder',
    num_stages=2,
    decode_head=[
        dict(
            type='FCNHead',
            in_channels=256,
            in_index=2,
            channels=128,
            num_convs=1,
            concat_input=False,
            dropout_ratio=0.1,
            num_classes=11,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(
                type='CrossEntropyLoss', loss_weight=0.4, avg_non_ignore=True)),
        dict(
            type='OCRHead',
            in_channels=256,
            in_index=2,
            channels=128,
            ocr_channels=64,
            dropout_ratio=0.1,
            num_classes=11,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(
                type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)),
    ])
