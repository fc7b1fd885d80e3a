"""SGD 0.01, divided by 10 twice in 60000 iterations of batch 64."""
_base_ = './schedule_40k.py'
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = [
    dict(
        type='MultiStepLR', milestones=[40000, 52000], gamma=0.1,
        begin=0, end=60000, by_epoch=False)
]
train_cfg = dict(max_iters=60000, val_interval=6000)
auto_scale_lr = dict(base_batch_size=64)
