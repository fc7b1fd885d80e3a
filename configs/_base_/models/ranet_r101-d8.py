"""RANet around a ResNet-101 of stride 8, as released, 19 classes.

Layer 3 is dilated by 2 in all blocks (hence contract_dilation=False), the
three blocks of layer 4 by 16, 32 and 64: mmseg's multi_grid holds dilations,
not factors. The weights are mmseg's v1c, so the stem has 32/32/64 channels
(released: 64/64/128) and images are normalised as these weights want it.
A config that inherits this one sets num_classes, the crop in
data_preprocessor.size, and test_cfg.
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
    pretrained='open-mmlab://resnet101_v1c',
    backbone=dict(
        type='ResNetV1c',
        depth=101,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        multi_grid=(16, 32, 64),
        contract_dilation=False,
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch'),
    decode_head=dict(
        type='RANetHead',
        in_channels=(1024, 2048),
        in_index=(2, 3),
        channels=512,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=True,
        construction=dict(
            threshold=0.8,
            num_representatives=8,
            divergence='bernoulli',
            line='interpolated'),
        interaction=dict(
            mode='released', scale=1.0, representative_kernel=3)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
