"""The published embedding network alone: VGG-16 to conv3_3, 451 channels to 64.

Its weights stand under ``backbone.embedding``, as in the networks that use it
behind SegAwareBackbone.
"""
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[104.008, 116.669, 122.675],
    std=[1.0, 1.0, 1.0],
    bgr_to_rgb=False,
    pad_val=0,
    seg_pad_val=255,
    size=(161, 161))
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='SegAwareBackbone',
        embedding=dict(
            type='EmbeddingNet',
            backbone=dict(
                type='VGG16Taps',
                init_cfg=dict(
                    type='Pretrained',
                    checkpoint='open-mmlab://vgg16_caffe')))),
    decode_head=dict(
        type='EmbeddingHead',
        in_channels=64,
        in_index=0,
        channels=64,
        project=False,
        loss_decode=dict(
            type='EmbeddingLoss', alpha=0.5, beta=2.0, dilations=(1, 2, 5))),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
