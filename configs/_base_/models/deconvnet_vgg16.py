"""DeconvNet on VGG-16 (Noh, Hong, Han, ICCV 2015), 21 classes.

As published: VGG-16 to pool5, fc6 (7x7) and fc7, their mirror, five unpoolings with
the encoder's switches, batch normalisation everywhere, crops of 224. Ours:
torchvision's weights of VGG-16 with batch normalisation to start from, and windows
that slide over the image in testing; for proposals see the config beside it.
"""
vgg16 = 'torchvision://vgg16_bn'
norm_cfg = dict(type='SyncBN', requires_grad=True)
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(224, 224))
model = dict(
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='VGG16Switch',
        num_pools=5,
        frozen=False,
        norm_cfg=norm_cfg,
        init_cfg=dict(type='Pretrained', checkpoint=vgg16)),
    decode_head=dict(
        type='DeconvNetHead',
        in_channels=512,
        fc_channels=4096,
        fc_kernel=7,
        channels=((), (512, 512, 512), (512, 512, 256), (256, 256, 128),
                  (128, 64), (64, 64)),
        norm_cfg=norm_cfg,
        pretrained_fc=vgg16,
        num_classes=21,
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=(224, 224), stride=(112, 112)))
