"""FlowNetS with a quarter of the channels and four stages of stride 2 (ours).

For small images and motions on the CPU. FlowNetS itself: base_channels=64,
num_stages=6, flow_scale=20.
"""
model = dict(
    type='FlowNetS',
    base_channels=16,
    num_stages=4,
    flow_scale=4.0,
    data_preprocessor=dict(
        type='FlowDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True))
