"""Segmentor around a slim ResNet-18 of stride 8, from random weights.

Three stages at half the usual width (32, 64, 128 channels), for trainings of
minutes on a CPU: a fourth stage would triple the cost. The head is left to
the config that inherits this one.
"""
norm_cfg = dict(type='BN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(128, 160))
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=32,
        stem_channels=32,
        num_stages=3,
        out_indices=(0, 1, 2),
        strides=(1, 2, 1),
        dilations=(1, 1, 2),
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch'),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
