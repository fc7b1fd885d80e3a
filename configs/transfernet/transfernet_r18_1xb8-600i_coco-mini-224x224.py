"""TransferNet on a few hundred COCO images: masks of 60 classes, labels of VOC's (ours).

A ResNet-18 of stride 8 that learns, 600 iterations.
"""
_base_ = [
    '../_base_/models/transfernet_r18-3stage-d8.py',
    '../_base_/datasets/coco_mini_transfer.py',
    '../_base_/schedules/schedule_transfer_600i_b8.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(
    decode_head=dict(num_classes=81), eval_labels=tuple(range(1, 21)))
