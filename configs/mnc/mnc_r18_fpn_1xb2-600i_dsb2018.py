"""MNC on nuclei, hundreds an image, ResNet-18 of three stages (ours).

Detections are kept and scored up to 400 an image; COCO's 100 would cut them off.
"""
_base_ = [
    '../_base_/models/mnc_r18-3stage_fpn.py',
    '../_base_/datasets/dsb2018_instance.py',
    '../_base_/schedules/schedule_det_600i_b2.py',
    '../_base_/default_runtime_det.py'
]
randomness = dict(seed=0)
# Up to 369 nuclei an image, most below 32 pixels.
model = dict(
    rpn_head=dict(anchor_generator=dict(scales=[2, 4, 8])),
    roi_head=dict(bbox_head=dict(num_classes=1)),
    train_cfg=dict(rpn_proposal=dict(max_per_img=600),
                   rcnn=dict(sampler=dict(num=128))),
    test_cfg=dict(
        rpn=dict(nms_pre=2000, max_per_img=600), rcnn=dict(max_per_img=400)))
