"""VGG-16 LargeFOV with the 14 aware layers of Harley et al. (ICCV 2017).

Images are BGR, 0..255, less their mean, as the VGG-16 weights of Caffe want
them; so is the embedding network's input, which is divided by 255 where it
enters the hypercolumn.
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
    type='EncoderDecoder',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='SegAwareBackbone',
        embedding=dict(type='EmbeddingNet'),
        backbone=dict(
            type='VGG16LargeFOV',
            init_cfg=dict(
                type='Pretrained', checkpoint='open-mmlab://vgg16_caffe')),
        convert=[
            'features.0', 'features.2', 'features.5', 'features.7',
            'features.10', 'features.12', 'features.14', 'features.17',
            'features.19', 'features.21', 'features.24', 'features.26',
            'features.28', 'fc6'
        ],
        conv_options=dict(hardness=0.05)),
    decode_head=dict(
        type='FCNHead',
        in_channels=1024,
        in_index=0,
        channels=1024,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0,
        num_classes=21,
        align_corners=True,
        loss_decode=dict(
            type='CrossEntropyLoss', loss_weight=1.0, avg_non_ignore=True)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
