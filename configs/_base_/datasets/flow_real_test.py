"""Real pairs for testing, each folder a data set of its own.

``flow/FOLDER/`` with the names of FlyingChairs, Sintel, Middlebury or KITTI
(``segaware_mm/datasets/flow/naming.py``). SEGAWARE_MM_DATA names the data root.
"""
test_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='FlowPairs',
        data_root='{{$SEGAWARE_MM_DATA:data}}/flow',
        pipeline=[dict(type='LoadFlowPair'), dict(type='PackFlowInputs')]))
test_evaluator = dict(type='EndPointErrorMetric')
