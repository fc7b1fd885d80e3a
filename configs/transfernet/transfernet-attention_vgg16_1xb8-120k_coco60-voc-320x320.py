"""TransferNet, stage 1: the attention, from image labels of COCO-60 and VOC alone.

As released: Adam 1e-3, 8 batches of 8 an update, 15000 updates (an iteration here is
a batch). No mask has a say, so the decoder does not learn.
"""
_base_ = [
    '../_base_/models/transfernet_vgg16.py',
    '../_base_/datasets/coco60_to_voc_320x320.py',
    '../_base_/schedules/schedule_adam_15k_b64.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(
    decode_head=dict(
        loss_seg=dict(
            type='CrossEntropyLoss', loss_weight=0.0, avg_non_ignore=True)))
