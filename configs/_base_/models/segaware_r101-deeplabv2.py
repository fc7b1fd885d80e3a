"""The released refinement pipeline of Harley et al. (ICCV 2017).

A frozen DeepLab v2; beside it the published embedding network at half
resolution; on its logits two steps of mean field (13x13 taps 9 apart, and 5x5)
and, in testing alone, two passes of a 9x9 filter of hardness 50.
"""
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[104.008, 116.669, 122.675],
    std=[1.0, 1.0, 1.0],
    bgr_to_rgb=False,
    pad_val=0,
    seg_pad_val=255,
    size=(321, 321))
model = dict(
    type='SegAwareRefinedSegmentor',
    data_preprocessor=data_preprocessor,
    frozen=True,
    segmentor=dict(
        type='MultiScaleMaxSegmentor',
        scales=(1., 0.75, 0.5),
        backbone=dict(
            type='ResNet',
            depth=101,
            num_stages=4,
            out_indices=(3, ),
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
            norm_cfg=dict(type='BN', requires_grad=True),
            norm_eval=True,
            style='caffe'),
        decode_head=dict(
            type='DeepLabV2Head',
            in_channels=2048,
            in_index=0,
            dilations=(6, 12, 18, 24),
            num_classes=21,
            align_corners=True),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/deeplabv2_r101-d8_1xb10-20k_voc-aug-321x321/'
            'iter_20000.pth')),
    embedding=dict(
        type='EmbeddingNet',
        stride=2,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/embedding_vgg16_1xb20-24k_voc-aug-161x161/'
            'iter_24000.pth',
            prefix='backbone.embedding.')),
    mean_field=dict(
        num_iters=2,
        bilateral_kernel=13,
        bilateral_dilation=9,
        spatial_kernel=5,
        embedding_scale=200.,
        bilateral_xy_scale=0.05,
        spatial_xy_scale=0.05),
    filters=dict(
        kernel_size=9, passes=2, hardness=50., skip_in_training=True),
    test_cfg=dict(mode='whole'))
