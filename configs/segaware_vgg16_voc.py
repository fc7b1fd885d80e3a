"""Segmentation-aware VGG-16 LargeFOV on VOC: short name of the paper's model."""
_base_ = './segaware/segaware_vgg16-largefov_1xb1-360k_voc-aug-321x321.py'
