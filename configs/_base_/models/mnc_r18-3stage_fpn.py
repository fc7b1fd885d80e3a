"""MNC's cascade on a three-stage ResNet-18 with a small pyramid (ours).

For trainings of minutes on a CPU: strides 4, 8, 16 and a pooled 32, 128
channels, RoIs of 8x8 (warped to 16x16 and pooled), paths of 256.
"""
_base_ = './mnc_r50_fpn.py'
model = dict(
    backbone=dict(
        depth=18,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        init_cfg=dict(
            checkpoint='{{$SEGAWARE_MM_DATA:data}}/weights/'
            'resnet18_stem_layer1-3_imagenet_torchvision.pth')),
    neck=dict(in_channels=[64, 128, 256], out_channels=128, num_outs=4),
    rpn_head=dict(
        in_channels=128,
        feat_channels=128,
        anchor_generator=dict(scales=[4, 8], strides=[4, 8, 16, 32])),
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=128,
            featmap_strides=[4, 8, 16],
            output_size=16,
            pool=2,
            finest_scale=28),
        mask_head=dict(
            in_channels=128, roi_size=8, hidden_channels=256, mask_size=28),
        bbox_head=dict(
            in_channels=128, roi_feat_size=8, fc_out_channels=256)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=1000, max_per_img=200),
        rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(nms_pre=1000, max_per_img=100)))
