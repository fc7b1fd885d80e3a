"""MNC on a few hundred COCO images, ResNet-18 of three stages, 600 iterations (ours).

A check that it learns, in minutes on a CPU; its numbers compare with those of
configs/peers/mask-rcnn_r18..., the same backbone, data, iterations and seed.
"""
_base_ = [
    '../_base_/models/mnc_r18-3stage_fpn.py',
    '../_base_/datasets/coco_mini_instance.py',
    '../_base_/schedules/schedule_det_600i_b2.py',
    '../_base_/default_runtime_det.py'
]
randomness = dict(seed=0)
