"""SGD 2.5e-4, poly 0.9, 20000 iterations of batch 10; the classifier ten times."""
_base_ = './schedule_40k.py'
optim_wrapper = dict(
    optimizer=dict(lr=2.5e-4),
    paramwise_cfg=dict(custom_keys={'conv_seg': dict(lr_mult=10.)}))
param_scheduler = [
    dict(
        type='PolyLR', eta_min=0, power=0.9, begin=0, end=20000,
        by_epoch=False)
]
train_cfg = dict(max_iters=20000, val_interval=4000)
auto_scale_lr = dict(base_batch_size=10)
