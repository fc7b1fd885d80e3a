"""DeconvNet on VOC, tested on object proposals.

As published: the 50 best boxes of an image, each resized to 224, their score maps
joined by the maximum. Training is that of the config this one inherits, whose
checkpoints load here. The boxes come from a file, see
``segaware_mm/transfernet/proposal_file.py``; none is delivered.
"""
_base_ = './deconvnet_vgg16_1xb64-60k_voc-aug-224x224.py'
model = dict(
    type='ProposalAggregation',
    proposals='{{$SEGAWARE_MM_DATA:data}}/VOCdevkit/VOC2012/'
    'proposals_val.npz',
    mode='max',
    topk=50,
    crop_size=(224, 224))
