"""Segmentor around a three-stage ResNet-18: strides 4, 8, 16.

The head is left to the config that inherits this one. The ImageNet weights
hold no fourth stage; see the section "CamVid" of docs/data.md.
"""
norm_cfg = dict(type='BN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(360, 480))
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNet',
        depth=18,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='{{$SEGAWARE_MM_DATA:data}}/weights/'
            'resnet18_stem_layer1-3_imagenet_torchvision.pth')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
