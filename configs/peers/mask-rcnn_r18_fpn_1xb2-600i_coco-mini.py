"""Mask R-CNN beside configs/mnc/mnc_r18_fpn_1xb2-600i_coco-mini.py.

Backbone, neck, RPN, data, schedule and seed are the same.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r18-3stage_fpn.py',
    '../_base_/datasets/coco_mini_instance.py',
    '../_base_/schedules/schedule_det_600i_b2.py',
    '../_base_/default_runtime_det.py'
]
randomness = dict(seed=0)
