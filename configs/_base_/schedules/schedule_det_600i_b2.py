"""AdamW 2e-4, warm-up, step at 500, 600 iterations: a short schedule (ours)."""
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-4, weight_decay=1e-4),
    clip_grad=dict(max_norm=35.))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.05, begin=0, end=50, by_epoch=False),
    dict(
        type='MultiStepLR',
        begin=0,
        end=600,
        milestones=[500],
        gamma=0.1,
        by_epoch=False)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=300)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=300, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='DetVisualizationHook'))
auto_scale_lr = dict(enable=False, base_batch_size=2)
