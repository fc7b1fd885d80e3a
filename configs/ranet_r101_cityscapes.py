"""RANet with ResNet-101 on Cityscapes: short name of the paper's model."""
_base_ = './ranet/ranet_r101-d8_4xb2-40k_cityscapes-769x769.py'
