"""Embedding pretraining on VOC: the released solver, on other images.

As released: network, loss (L1, 0.5 and 2, dilations 1, 2, 5), crop 161, batch
20, Adam 1e-3, 24000 iterations, mirrored. Released: on COCO. Ours: VOC, void
takes no part (released: it is a class), VGG-16 weights to start from.
"""
_base_ = [
    '../_base_/models/embedding_vgg16.py',
    '../_base_/datasets/voc_aug_161x161.py',
    '../_base_/schedules/schedule_embedding_24k.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
