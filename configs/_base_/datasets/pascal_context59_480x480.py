"""PASCAL Context, 59 classes, crop 480x480: background is ignored.

The same files as for 60 classes: the dataset class sets reduce_zero_label,
which turns 0 into 255 and 1..59 into 0..58.
"""
_base_ = './pascal_context_480x480.py'
dataset_type = 'PascalContextDataset59'
train_dataloader = dict(dataset=dict(type=dataset_type))
val_dataloader = dict(dataset=dict(type=dataset_type))
test_dataloader = val_dataloader
