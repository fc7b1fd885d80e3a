"""As segaware-flownets_w16, the embedding also learns from the layers.

It is given what the plain network is not: which pixels of the first image belong
to one layer, as the published embeddings learn from segmentations. The recipe is
ours.
"""
_base_ = ['./segaware-flownets_w16_1xb8-5000i_flow-80x96.py']
model = dict(loss_embed=dict(type='EmbeddingLoss', loss_weight=0.1))
train_pipeline = [
    dict(type='LoadFlowPair', with_layers=True),
    dict(type='FlowRandomCrop', crop_size=(64, 80)),
    dict(type='FlowRandomFlip', prob=0.5),
    dict(type='FlowPhotometricJitter'),
    dict(type='PackFlowInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
