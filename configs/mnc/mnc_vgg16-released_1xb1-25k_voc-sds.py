"""MNC on VGG-16 and PASCAL VOC with the settings of the released code.

Masks of 21x21, a mask loss that counts twice, sample points at the corners of
cells, gradients of offsets within 1 / 512, proposals of 16 pixels or more. The
release rounds RoIs to map pixels in the forward pass alone; that, and its other
slips, are not repeated (see docs/mnc.md).
"""
_base_ = [
    '../_base_/models/mnc_vgg16.py',
    '../_base_/datasets/voc_sds_instance.py',
    '../_base_/schedules/schedule_mnc_25k_b8.py',
    '../_base_/default_runtime_det.py'
]
model = dict(
    # Of the loss of one image; the runner divides it by accumulative_counts.
    rpn_head=dict(offset_grad_clip=1 / 512 / 8),
    roi_head=dict(
        gate_align='corner',
        bbox_roi_extractor=dict(sampling='corner'),
        mask_head=dict(
            mask_size=21,
            loss_mask=dict(
                type='CrossEntropyLoss', use_mask=True, loss_weight=2.0))),
    # 16 pixels of an image of 375 rows, which is brought to 600.
    train_cfg=dict(rpn_proposal=dict(min_bbox_size=25)),
    test_cfg=dict(rpn=dict(min_bbox_size=25)))
