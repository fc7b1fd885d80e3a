"""FCN with segmentation-aware convolutions in its head, LabelMeFacade, 600 iterations.

Start, data, seed and schedule are those of configs/peers/fcn_r18...; the recipe
is ours. The masks of its three 3x3 convolutions come from an embedding of the
backbone's own maps.
"""
_base_ = [
    '../_base_/models/segaware_fcn-r18-3stage.py',
    '../_base_/datasets/labelmefacade_360x480.py',
    '../_base_/schedules/schedule_600i_b4.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(decode_head=dict(head=dict(num_classes=8)))
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU']),
    dict(type='TrimapIoUMetric')
]
test_evaluator = val_evaluator
