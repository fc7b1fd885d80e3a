"""Adam 1e-3, fixed, 15000 updates of 8 batches of 8; biases twice that, no decay.

The last layer of the label's classifier learns ten times as fast, as released.
"""
optim_wrapper = dict(
    type='OptimWrapper',
    accumulative_counts=8,
    optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.999)),
    paramwise_cfg=dict(
        bias_lr_mult=2.,
        custom_keys={
            'decode_head.classifier.2.weight': dict(lr_mult=10.),
            'decode_head.classifier.2.bias': dict(lr_mult=20.)
        }))
param_scheduler = []
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=120000, val_interval=8000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=8000, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'))
auto_scale_lr = dict(enable=False, base_batch_size=64)
