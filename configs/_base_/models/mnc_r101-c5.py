"""MNC on a ResNet-101 of stride 16, 80 classes (after the paper's; ours in parts).

The fifth stage is dilated and keeps stride 16; a 1x1 layer brings its 2048
channels to the 512 of VGG-16, and the rest is as there, with 12 anchors.
"""
_base_ = './mnc_vgg16.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=101,
        num_stages=4,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        out_indices=(3, ),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(
            type='Pretrained', checkpoint='torchvision://resnet101')),
    neck=dict(
        type='ChannelMapper',
        in_channels=[2048],
        out_channels=512,
        kernel_size=1),
    rpn_head=dict(anchor_generator=dict(scales=[4, 8, 16, 32])),
    roi_head=dict(
        bbox_head=dict(num_classes=80, fc_out_channels=1024,
                       pretrained_fc=None)))
