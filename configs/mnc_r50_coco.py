"""Short name of configs/mnc/mnc_r50_fpn_8xb2-1x_coco.py."""
_base_ = './mnc/mnc_r50_fpn_8xb2-1x_coco.py'
