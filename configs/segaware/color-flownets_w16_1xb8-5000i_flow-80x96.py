"""FlowNetS whose convolutions attend to equal colours of the first image.

Colours stand in for a learned embedding. The recipe is ours.
"""
_base_ = ['./flownets_w16_1xb8-5000i_flow-80x96.py']
model = dict(
    conv_cfg=dict(type='SegAwareConv2d'),
    # an image of standard deviation 1
    embedding=dict(type='ColorEmbedding', color_scale=7.5))
