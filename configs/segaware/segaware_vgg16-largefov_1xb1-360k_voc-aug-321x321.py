"""Segmentation-aware VGG-16 LargeFOV on VOC: the released solver's recipe.

As released: 14 aware layers, masks not normalised, hardness 0.05 at the start,
crop 321, batch 1, mirrored images, SGD 1e-4 with two steps in 360000
iterations; the embedding is trained by the segmentation loss alone. It should
start from weights of embedding pretraining, see `embedding_...py` beside this;
how the authors carried theirs over is unknown. fc6 and fc7 start anew here
(released: from DeepLab's weights).
"""
_base_ = [
    '../_base_/models/segaware_vgg16-largefov.py',
    '../_base_/datasets/voc_aug_321x321.py',
    '../_base_/schedules/schedule_step_360k.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
