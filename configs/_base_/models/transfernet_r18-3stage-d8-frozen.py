"""TransferNet on a three-stage ResNet-18 of stride 8 that does not learn (ours).

For photographs: as published, the encoder keeps the features of ImageNet. The last stage,
trained at stride 16, is dilated, so that its filters see what they were trained on.
"""
_base_ = './transfernet_r18-3stage-d8.py'
fixed = dict(dilations=(1, 1, 2), frozen_stages=3, norm_eval=True)
encoder = fixed
model = dict(backbone=dict(backbone=fixed))
