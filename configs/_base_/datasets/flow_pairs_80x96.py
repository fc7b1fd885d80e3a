"""Procedural flow pairs of 80x96 pixels, crops of 64x80.

``python tools/make_flow.py --out data/flow_pairs`` makes them.
"""
dataset_type = 'FlowPairs'
data_root = 'data/flow_pairs'
crop_size = (64, 80)  # height, width
train_pipeline = [
    dict(type='LoadFlowPair'),
    dict(type='FlowRandomCrop', crop_size=crop_size),
    dict(type='FlowRandomFlip', prob=0.5),
    dict(type='FlowPhotometricJitter'),
    dict(type='PackFlowInputs')
]
test_pipeline = [dict(type='LoadFlowPair'), dict(type='PackFlowInputs')]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='train'),
        dataset_name='procedural',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='val'),
        dataset_name='procedural',
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(type='EndPointErrorMetric')
test_evaluator = val_evaluator
