"""The released refinement of a ResNet-101 on VOC: short name."""
_base_ = './segaware/segaware_r101-deeplabv2_1xb1-50k_voc-aug-321x321.py'
