"""TransferNet on a three-stage ResNet-18 of stride 8 that does not learn (ours).

For photographs: as published, the encoder keeps the features of ImageNet. It was trained
at stride 16; dilated, it responds the same at every second position.
"""
_base_ = './transfernet_r18-3stage-d8.py'
frozen = dict(
    type='AtrousResNet',
    strides=(1, 2, 2),
    output_stride=8,
    frozen_stages=3)
encoder = frozen
model = dict(backbone=dict(backbone=frozen))
