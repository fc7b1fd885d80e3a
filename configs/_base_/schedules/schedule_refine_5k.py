"""SGD 2.5e-4, poly 0.9: 5000 steps, each of ten images one by one, as released.

mmengine counts images: 50000 iterations of batch 1, gradients of ten averaged.
Hardnesses and scales do not decay (ours; released: they do).
"""
optim_wrapper = dict(
    type='OptimWrapper',
    accumulative_counts=10,
    optimizer=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(
        custom_keys={
            'scale': dict(decay_mult=0.),
            'hardness': dict(decay_mult=0.)
        }),
    clip_grad=None)
param_scheduler = [
    dict(
        type='PolyLR', eta_min=0, power=0.9, begin=0, end=50000,
        by_epoch=False)
]
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=50000, val_interval=10000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=5000,
        max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'))
auto_scale_lr = dict(enable=False, base_batch_size=1)
