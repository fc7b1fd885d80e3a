"""SGD 1e-4, divided by 10 every 120000 of 360000 iterations of batch 1.

Biases learn twice as fast and do not decay, the classifier ten times as fast,
as in the released solver. Hardnesses do not decay (ours; released: they do).
"""
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-4, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(
        bias_lr_mult=2.,
        bias_decay_mult=0.,
        custom_keys={
            'hardness': dict(decay_mult=0.),
            'decode_head.conv_seg.weight': dict(lr_mult=10.),
            'decode_head.conv_seg.bias': dict(lr_mult=20., decay_mult=0.)
        }),
    clip_grad=None)
param_scheduler = [
    dict(
        type='MultiStepLR', milestones=[120000, 240000], gamma=0.1,
        begin=0, end=360000, by_epoch=False)
]
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=360000, val_interval=20000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=20000,
        max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'))
auto_scale_lr = dict(enable=False, base_batch_size=1)
