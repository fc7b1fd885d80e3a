"""A frozen ResNet-18 FCN, refined: learned embedding, mean field, filters (ours).

The released pipeline made small: the embedding has 16 dimensions, the mean
field looks at 7x7 taps 9 apart, the filters at 5x5, all at half resolution.
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
    type='SegAwareRefinedSegmentor',
    data_preprocessor=data_preprocessor,
    frozen=True,
    segmentor=dict(
        type='EncoderDecoder',
        backbone=dict(
            type='ResNet',
            depth=18,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(0, 1, 2),
            norm_cfg=norm_cfg,
            norm_eval=False,
            style='pytorch'),
        decode_head=dict(
            type='FCNHead',
            in_channels=256,
            in_index=2,
            channels=128,
            num_convs=2,
            concat_input=True,
            dropout_ratio=0.1,
            num_classes=11,
            norm_cfg=norm_cfg,
            align_corners=False,
            loss_decode=dict(
                type='CrossEntropyLoss', loss_weight=1.0,
                avg_non_ignore=True)),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
        init_cfg=dict(type='Pretrained', checkpoint='fcn.pth')),
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
            style='pytorch'),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='embedding.pth',
            prefix='backbone.embedding.')),
    mean_field=dict(
        num_iters=2,
        bilateral_kernel=7,
        bilateral_dilation=9,
        spatial_kernel=5,
        embedding_scale=10.,
        bilateral_xy_scale=0.05,
        spatial_xy_scale=0.05),
    filters=dict(kernel_size=5, passes=2, hardness=2.),
    test_cfg=dict(mode='whole'))
