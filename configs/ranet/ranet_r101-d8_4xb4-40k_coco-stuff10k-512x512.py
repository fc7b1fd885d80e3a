"""RANet with ResNet-101 on COCO-Stuff 10k. The recipe is ours.

The paper's own was not released. Crop, batch and schedule are those upstream
uses for context heads on this dataset. The network is the one for Cityscapes,
with half the dilations in layer 4: on a map of 64x64 the outer taps of a
dilation of 64 would meet nothing but padding.
"""
_base_ = [
    '../_base_/models/ranet_r101-d8.py',
    '../_base_/datasets/coco_stuff10k_512x512.py',
    '../_base_/schedules/schedule_40k.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=12345)
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(multi_grid=(8, 16, 32)),
    decode_head=dict(num_classes=171, align_corners=False),
    test_cfg=dict(mode='whole'))
param_scheduler = [
    dict(
        type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=40000,
        by_epoch=False)
]
auto_scale_lr = dict(base_batch_size=16)
