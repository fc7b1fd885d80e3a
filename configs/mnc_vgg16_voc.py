"""Short name of configs/mnc/mnc_vgg16_1xb1-25k_voc-sds.py."""
_base_ = './mnc/mnc_vgg16_1xb1-25k_voc-sds.py'
