"""The released pipeline on VOC: frozen DeepLab v2, embedding, mean field, filters.

As released: crop 321, batch 1 with the gradients of ten averaged, SGD 2.5e-4,
5000 such steps, images resized by 0.5 to 1.5 and mirrored; trained are the
embedding, three scales and three matrices; the filters stand in testing alone.
Ours: the images of val are not trained on, so that they can be tested on; the
loss is taken at image size. Wants the weights of two trainings before it:
configs/peers/deeplabv2_... and embedding_vgg16_... beside this.
"""
_base_ = [
    '../_base_/models/segaware_r101-deeplabv2.py',
    '../_base_/datasets/voc_aug_jitter_321x321.py',
    '../_base_/schedules/schedule_refine_5k.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
