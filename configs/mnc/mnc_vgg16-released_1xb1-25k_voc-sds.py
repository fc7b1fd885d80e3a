"""MNC on VGG-16 and PASCAL VOC with the settings of the released code.

Masks of 21x21, a mask loss that counts twice, sample points at the corners of
cells. The release rounds RoIs to map pixels
in the forward pass alone; that, and its other slips, are not repeated (see
docs/mnc.md).
"""
_base_ = [
    '../_base_/models/mnc_vgg16.py',
    '../_base_/datasets/voc_sds_instance.py',
    '../_base_/schedules/schedule_mnc_25k_b8.py',
    '../_base_/default_runtime_det.py'
]
model = dict(
    roi_head=dict(
        gate_align='corner',
        bbox_roi_extractor=dict(sampling='corner'),
        mask_head=dict(
            mask_size=21,
            loss_mask=dict(
                type='CrossEntropyLoss', use_mask=True, loss_weight=2.0))))
