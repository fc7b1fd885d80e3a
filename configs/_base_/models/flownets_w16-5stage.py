"""FlowNetS with a quarter of the channels and five stages of stride 2 (ours).

For small images on the CPU. FlowNetS itself: base_channels=64, num_stages=6.
"""
model = dict(
    type='FlowNetS',
    base_channels=16,
    num_stages=5,
    norm_cfg=None,
    data_preprocessor=dict(
        type='FlowDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True))
