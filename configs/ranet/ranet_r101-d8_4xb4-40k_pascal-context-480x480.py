"""RANet with ResNet-101 on PASCAL Context, 60 classes. The recipe is ours.

The paper's own was not released. Crop, batch and schedule are those upstream
uses for context heads on this dataset. The network is the one for Cityscapes,
with half the dilations in layer 4: on a map of 60x60 the outer taps of a
dilation of 64 would meet nothing but padding.
"""
_base_ = [
    '../_base_/models/ranet_r101-d8.py',
    '../_base_/datasets/pascal_context_480x480.py',
    '../_base_/schedules/schedule_40k.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=12345)
model = dict(
    data_preprocessor=dict(size=(480, 480)),
    backbone=dict(multi_grid=(8, 16, 32)),
    decode_head=dict(num_classes=60, align_corners=False),
    test_cfg=dict(mode='slide', crop_size=(480, 480), stride=(320, 320)))
optim_wrapper = dict(optimizer=dict(lr=0.004, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=40000,
        by_epoch=False)
]
auto_scale_lr = dict(base_batch_size=16)
