"""MNC on VGG-16 and PASCAL VOC with SBD's instances: the paper's network.

5623 images train and 5732 are validated, the split of SDS; the schedule is the
released one. Masks of 28x28 and a mask loss of weight 1 as in the paper.
"""
_base_ = [
    '../_base_/models/mnc_vgg16.py',
    '../_base_/datasets/voc_sds_instance.py',
    '../_base_/schedules/schedule_mnc_25k_b8.py',
    '../_base_/default_runtime_det.py'
]
