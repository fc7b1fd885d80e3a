"""FlowNetS with a segmentation-aware contracting part on procedural pairs.

Differs from flownets_w16_1xb8-5000i_flow-80x96.py in the masks and the embedding
of the first image alone. The embedding learns from the flow, no segments are
given. The recipe is ours.
"""
_base_ = ['./flownets_w16_1xb8-5000i_flow-80x96.py']
model = dict(
    conv_cfg=dict(type='SegAwareConv2d'),
    embedding=dict(
        type='EmbeddingNet',
        channels=16,
        # 1 / 255 of the image before it was divided by the standard deviation
        image_scale=0.224,
        in_channels=(32, 16, 8),
        backbone=dict(
            type='UNet',
            in_channels=3,
            base_channels=8,
            num_stages=3,
            strides=(1, 1, 1),
            enc_num_convs=(1, 1, 1),
            dec_num_convs=(1, 1),
            downsamples=(True, True),
            enc_dilations=(1, 1, 1),
            dec_dilations=(1, 1),
            norm_cfg=dict(type='BN', requires_grad=True))))
