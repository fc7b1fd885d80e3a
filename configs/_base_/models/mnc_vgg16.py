"""MNC on VGG-16, five stages (Dai, He, Sun, CVPR 2016), 20 classes.

As published: stride 16, 9 anchors (boxes of 128, 256, 512 pixels), RoIs warped
to 28x28 and pooled to 14x14, masks of 28x28, two paths of 4096. The released
settings (masks of 21x21, a mask loss that counts twice, corners of cells) are a
config of their own.
"""
vgg16 = 'torchvision://vgg16'
data_preprocessor = dict(
    type='DetDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_mask=True,
    pad_size_divisor=16)
model = dict(
    type='MNC',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='VGG16C5',
        frozen_stages=2,
        init_cfg=dict(type='Pretrained', checkpoint=vgg16)),
    rpn_head=dict(
        type='MNCRPNHead',
        in_channels=512,
        feat_channels=512,
        anchor_generator=dict(
            type='AnchorGenerator',
            scales=[8, 16, 32],
            ratios=[0.5, 1.0, 2.0],
            strides=[16]),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder',
            target_means=[.0, .0, .0, .0],
            target_stds=[1.0, 1.0, 1.0, 1.0]),
        loss_cls=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
        loss_bbox=dict(
            type='SmoothL1Loss', beta=1.0 / 9.0, loss_weight=1.0)),
    roi_head=dict(
        type='MNCRoIHead',
        num_passes=2,
        share_pass_weights=True,
        bbox_roi_extractor=dict(
            type='RoIWarpExtractor',
            out_channels=512,
            featmap_strides=[16],
            output_size=28,
            pool=2),
        mask_head=dict(
            type='MNCMaskHead',
            in_channels=512,
            roi_size=14,
            hidden_channels=256,
            mask_size=28),
        bbox_head=dict(
            type='MNCBBoxHead',
            in_channels=512,
            roi_feat_size=14,
            fc_out_channels=4096,
            num_classes=20,
            pretrained_fc=vgg16,
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder',
                target_means=[0., 0., 0., 0.],
                target_stds=[0.1, 0.1, 0.2, 0.2]),
            loss_cls=dict(
                type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0))),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=1e-3,  # the best anchor of every object
                match_low_quality=True,
                ignore_iof_thr=-1),
            sampler=dict(
                type='RandomSampler',
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False),
            allowed_border=0,
            pos_weight=-1,
            debug=False),
        rpn_proposal=dict(
            nms_pre=12000,
            max_per_img=300,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0),
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iof_thr=-1),
            # Of 64 RoIs 30 % are positive; 85 % of the others overlap an object.
            sampler=dict(
                type='CombinedSampler',
                num=64,
                pos_fraction=0.3,
                add_gt_as_proposals=True,
                pos_sampler=dict(type='RandomSampler'),
                neg_sampler=dict(
                    type='IoUBalancedNegSampler',
                    floor_thr=0.1,
                    floor_fraction=0.15,
                    num_bins=1)),
            pos_weight=-1,
            debug=False)),
    test_cfg=dict(
        rpn=dict(
            nms_pre=6000,
            max_per_img=300,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0),
        rcnn=dict(
            nms=dict(type='nms', iou_threshold=0.3),
            merge_iou=0.5,
            mask_thr_binary=0.4,
            max_per_img=100,
            vote=True)))
