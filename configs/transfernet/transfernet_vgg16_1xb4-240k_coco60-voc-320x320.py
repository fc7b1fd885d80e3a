"""TransferNet, stage 2: masks of COCO-60 and image labels of both; from stage 1.

As released: Adam 5e-4, 16 batches of 4 an update, 15000 updates (an iteration here
is a batch).
"""
_base_ = './transfernet-attention_vgg16_1xb8-120k_coco60-voc-320x320.py'
model = dict(decode_head=dict(loss_seg=dict(loss_weight=2.0)))
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(accumulative_counts=16, optimizer=dict(lr=5e-4))
train_cfg = dict(max_iters=240000, val_interval=16000)
load_from = ('work_dirs/transfernet-attention_vgg16_1xb8-120k_coco60-voc-320x320/'
             'iter_120000.pth')
