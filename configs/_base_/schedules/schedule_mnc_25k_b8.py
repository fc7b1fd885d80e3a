"""SGD 1e-3, x 0.1 at 20k, 25k steps of 8 images, one at a time (released).

The gradients of 8 images, one at a time, are averaged (accumulative_counts), so the
loop runs 200k iterations; biases learn twice as fast and do not decay.
"""
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(bias_lr_mult=2., bias_decay_mult=0.),
    accumulative_counts=8,
    clip_grad=None)
param_scheduler = [
    dict(
        type='MultiStepLR',
        begin=0,
        end=200000,
        milestones=[160000],
        gamma=0.1,
        by_epoch=False)
]
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=200000, val_interval=40000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        by_epoch=False,
        interval=10000,
        max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='DetVisualizationHook'))
auto_scale_lr = dict(enable=False, base_batch_size=8)
