"""TransferNet on VGG-16 (Hong, Oh, Lee, Han, CVPR 2016), 80 labels, 320x320.

As released: frozen encoder with Caffe's weights, whose images are BGR minus a mean,
flat attention over 20x20 positions with 1024 channels, features times 0.004 (those of
torchvision's weights are of another size), decoder without normalisation, loss of figure
and ground times 2, ground counts half. As published, the classifier that names the
labels of a test image is another network, a ``MultiLabelClassifier`` trained by itself
(the cam_... configs show one); here the head's own is asked.
``model.label_source=gt`` tests with the true labels.
"""
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[104.007, 116.669, 122.679],
    std=[1.0, 1.0, 1.0],
    bgr_to_rgb=False,
    pad_val=0,
    seg_pad_val=255,
    size=(320, 320),
    test_cfg=dict(size=(320, 320)))
model = dict(
    type='TransferNet',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='VGG16Switch',
        frozen=True,
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://vgg16_caffe')),
    decode_head=dict(type='TransferNetHead', num_classes=81),
    eval_labels=tuple(range(1, 21)),
    label_source='cls_head')
