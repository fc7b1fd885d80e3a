"""TransferNet on procedural scenes: masks of four classes, image labels of four (ours).

A ResNet-18 of stride 8 that learns, 1200 iterations.
"""
_base_ = [
    '../_base_/models/transfernet_r18-3stage-d8.py',
    '../_base_/datasets/scenes_transfer_128x160.py',
    '../_base_/schedules/schedule_transfer_1200i_b8.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
