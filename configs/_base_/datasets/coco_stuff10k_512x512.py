"""COCO-Stuff 10k, 171 classes, crop 512x512.

In $SEGAWARE_MM_DATA/coco_stuff10k with the labels as upstream's converter
writes them: annotations/{train,test}2014/*_labelTrainIds.png, where 0 is
unlabelled (hence reduce_zero_label) and 1..171 are the classes. 9000 images
for training and 1000 for testing.
"""
_base_ = './coco_stuff164k_512x512.py'
data_root = '{{$SEGAWARE_MM_DATA:data}}/coco_stuff10k'
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        reduce_zero_label=True,
        data_prefix=dict(
            img_path='images/train2014',
            seg_map_path='annotations/train2014')))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        reduce_zero_label=True,
        data_prefix=dict(
            img_path='images/test2014', seg_map_path='annotations/test2014')))
test_dataloader = val_dataloader
