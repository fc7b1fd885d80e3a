"""DeconvNet on VOC: network as published, recipe ours.

Published is a training in two stages, on crops around objects and then on object
proposals; here are random crops. Learning rate, batch size and length follow
accounts of the paper at second hand and were not verified.
"""
_base_ = [
    '../_base_/models/deconvnet_vgg16.py',
    '../_base_/datasets/voc_aug_jitter_224x224.py',
    '../_base_/schedules/schedule_step_60k_b64.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
train_dataloader = dict(batch_size=64)
