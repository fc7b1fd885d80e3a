"""FCN-8s on VGG-16 (Long, Shelhamer, Darrell, CVPR 2015), 21 classes.

As published: scores of pool3, pool4 and fc7, x2 upsamplings learned, the last one
fixed, dropout 0.5 behind fc6 and fc7; all at once, the scores of pool4 scaled by
0.01 and those of pool3 by 0.0001; the loss is a sum over pixels. Ours: maps aligned
without padding the image by 100 (``backbone.pad=100 decode_head.offset=3`` has it),
torchvision's weights.
"""
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='VGG16FC',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://vgg16')),
    decode_head=dict(
        type='FCNSkipHead',
        in_channels=(256, 512, 4096),
        in_index=(0, 1, 2),
        stride=8,
        at_once=True,
        num_classes=21,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', loss_weight=1.0, reduction='sum')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
