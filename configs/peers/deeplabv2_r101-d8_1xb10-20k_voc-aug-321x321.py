"""DeepLab v2, ResNet-101, on VOC: the network that the released pipeline refines.

Network as published (three scales, dilations 6, 12, 18, 24); the recipe is
ours, and so are the start weights: ImageNet.
"""
_base_ = [
    '../_base_/models/deeplabv2_r101-d8.py',
    '../_base_/datasets/voc_aug_jitter_321x321.py',
    '../_base_/schedules/schedule_poly_20k_b10.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
train_dataloader = dict(batch_size=10)
