"""AdamW 1e-3, backbone 3e-4, one cycle, 600 iterations: a shorter schedule (ours)."""
_base_ = './schedule_transfer_1200i_b8.py'
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.05, begin=0, end=60, by_epoch=False),
    dict(
        type='CosineAnnealingLR', begin=60, end=600, by_epoch=False)
]
train_cfg = dict(max_iters=600, val_interval=300)
default_hooks = dict(checkpoint=dict(interval=300))
