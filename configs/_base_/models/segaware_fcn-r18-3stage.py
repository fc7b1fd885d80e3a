"""FCNHead with segmentation-aware convolutions on a three-stage ResNet-18 (ours).

The head is that of the plain FCN, by ``conv_cfg``; the embedding is read from
the backbone's own maps and has a loss of its own. At hardness 0 this is FCN.
"""
_base_ = './encoder_r18-3stage.py'
model = dict(
    decode_head=dict(
        type='SegAwareHead',
        embedding=dict(
            type='EmbeddingHead',
            in_channels=(64, 128, 256),
            in_index=(0, 1, 2),
            channels=16),
        loss_embed=dict(
            type='EmbeddingLoss', loss_weight=0.1, other_weight=5.),
        head=dict(
            type='FCNHead',
            in_channels=256,
            in_index=2,
            channels=128,
            num_convs=2,
            concat_input=True,
            dropout_ratio=0.1,
            num_classes=11,
            conv_cfg=dict(type='SegAwareConv2d', hardness=0.05),
            norm_cfg={{_base_.norm_cfg}},
            align_corners=False,
            loss_decode=dict(
                type='CrossEntropyLoss', loss_weight=1.0,
                avg_non_ignore=True))))
