"""TransferNet on a three-stage ResNet-18 of stride 8 that learns (ours).

Switches of every channel of the map of stride 4; the decoder upsamples from there
to the image. Labels that are absent are asked for too, so that the head itself says
which labels an image has. For trainings of minutes on a CPU.
"""
norm_cfg = dict(type='BN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=8,
    test_cfg=dict(size_divisor=8))
encoder = dict(
    type='ResNet',
    depth=18,
    num_stages=3,
    strides=(1, 2, 1),
    dilations=(1, 1, 1),
    out_indices=(0, 2),
    norm_cfg=norm_cfg,
    norm_eval=False,
    style='pytorch',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='{{$SEGAWARE_MM_DATA:data}}/weights/'
        'resnet18_stem_layer1-3_imagenet_torchvision.pth'))
model = dict(
    type='TransferNet',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='SwitchedBackbone',
        finest_stride=4,
        switches='channel',
        backbone=encoder),
    decode_head=dict(
        type='TransferNetHead',
        num_classes=9,
        in_channels=256,
        attention=dict(
            type='LabelAttention',
            att_type='conv',
            embed_channels=256,
            feat_scale=1.0),  # behind batch norm, features are near [0, 1] already
        classifier_channels=256,
        loss_cls=None,
        loss_presence=dict(
            type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        num_absent=3,
        decoder=dict(
            type='UnpoolDecoder',
            in_channels=1,
            out_channels=2,
            channels=((64, 64), (64, 32), (32, )),
            norm_cfg=norm_cfg,
            init_cfg=dict(type='Kaiming', layer=['ConvTranspose2d', 'Conv2d']))),
    label_source='cls_head',
    label_thr=0.5,
    pair_chunk=8)
