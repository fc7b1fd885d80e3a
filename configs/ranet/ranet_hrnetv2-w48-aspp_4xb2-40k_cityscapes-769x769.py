"""RANet with HRNetV2-W48 and ASPP on Cityscapes. The recipe is ours.

The paper reports this pair but nothing of it was released: how HRNet's maps
reach the region blocks, the ASPP and the schedule are unknown. Here the
joined maps (stride 8) feed the auxiliary branch, an ASPP of them the region
blocks; all else is as for ResNet-101.
"""
_base_ = [
    '../_base_/models/ranet_hrnetv2-w48-aspp.py',
    '../_base_/datasets/cityscapes_769x769.py',
    '../_base_/schedules/schedule_40k.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=12345)
model = dict(
    test_cfg=dict(mode='slide', crop_size=(769, 769), stride=(513, 513)))
