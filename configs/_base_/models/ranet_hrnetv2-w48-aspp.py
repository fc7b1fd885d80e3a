"""RANet around HRNetV2-W48 with an ASPP, 19 classes.

The neck joins HRNet's four maps (48 + 96 + 192 + 384 = 720 channels) and runs
an ASPP over them (5 branches of 256). The auxiliary branch of RANetHead reads
the joined map, the region blocks read the ASPP.

The maps are joined at stride 8 (join_index=1): work on regions and attention
grows with the square of the positions, and stride 4 has four times as many.
"""
norm_cfg = dict(type='SyncBN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(769, 769))
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    pretrained='open-mmlab://msra/hrnetv2_w48',
    backbone=dict(
        type='HRNet',
        norm_cfg=norm_cfg,
        norm_eval=False,
        extra=dict(
            stage1=dict(
                num_modules=1,
                num_branches=1,
                block='BOTTLENECK',
                num_blocks=(4, ),
                num_channels=(64, )),
            stage2=dict(
                num_modules=1,
                num_branches=2,
                block='BASIC',
                num_blocks=(4, 4),
                num_channels=(48, 96)),
            stage3=dict(
                num_modules=4,
                num_branches=3,
                block='BASIC',
                num_blocks=(4, 4, 4),
                num_channels=(48, 96, 192)),
            stage4=dict(
                num_modules=3,
                num_branches=4,
                block='BASIC',
                num_blocks=(4, 4, 4, 4),
                num_channels=(48, 96, 192, 384)))),
    neck=dict(
        type='ASPPNeck',
        in_channels=(48, 96, 192, 384),
        channels=256,
        dilations=(1, 12, 24, 36),
        join_index=1,
        align_corners=True,
        norm_cfg=norm_cfg),
    decode_head=dict(
        type='RANetHead',
        in_channels=(720, 1280),
        in_index=(0, 1),
        channels=512,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=True,
        construction=dict(threshold=0.8, num_representatives=8),
        interaction=dict(
            mode='released', scale=1.0, representative_kernel=3)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
