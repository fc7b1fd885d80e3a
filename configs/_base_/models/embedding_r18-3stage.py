"""An embedding of 16 dimensions at half resolution from a ResNet-18 (ours).

Taps: the image and three stages, at strides 1, 4, 8, 16. In the loss, pairs of
different labels, of which there are few, weigh ten times (published: once).
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
        type='SegAwareBackbone',
        embedding=dict(
            type='EmbeddingNet',
            channels=16,
            stride=2,
            image_scale=0.224,
            in_channels=(64, 128, 256),
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
                    'resnet18_stem_layer1-3_imagenet_torchvision.pth')))),
    decode_head=dict(
        type='EmbeddingHead',
        in_channels=16,
        in_index=0,
        channels=16,
        project=False,
        loss_decode=dict(
            type='EmbeddingLoss', alpha=0.5, beta=2.0, dilations=(1, 2, 5),
            other_weight=10.)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
