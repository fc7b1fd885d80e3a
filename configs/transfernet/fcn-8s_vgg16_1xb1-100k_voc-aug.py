"""FCN-8s on VOC, trained at once, image by image.

As published (the "heavy" training): whole images, batch 1, a sum over pixels, fixed
learning rate 1e-10, momentum 0.99. Ours: the number of iterations, weight decay,
mirrored images, torchvision's weights. The published figures are for other images
and another number of them; nothing was trained here.
"""
_base_ = [
    '../_base_/models/fcn-8s_vgg16.py', '../_base_/datasets/voc_aug.py',
    '../_base_/schedules/schedule_fixed_100k_b1.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
