"""RANet with ResNet-101 on Cityscapes: the recipe of the released code.

As released: crop 769, scales 0.7..2.1, flip, no colour jitter, SGD .01, weight
decay 5e-4, poly 0.9, 40000 iterations of batch 8, four losses, sliding test.
Not as released: mmseg's v1c weights and stem, so images are divided by the
standard deviation too (released: a 64/64/128 stem, means subtracted, BGR, no
division); SyncBN instead of in-place BN; boundary maps by our rule
(docs/ranet.md). Which recipe gave the paper's test number is unknown.
"""
_base_ = [
    '../_base_/models/ranet_r101-d8.py',
    '../_base_/datasets/cityscapes_769x769.py',
    '../_base_/schedules/schedule_40k.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=12345)
model = dict(
    test_cfg=dict(mode='slide', crop_size=(769, 769), stride=(513, 513)))
