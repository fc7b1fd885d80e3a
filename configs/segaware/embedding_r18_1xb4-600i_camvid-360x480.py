"""Embedding pretraining on CamVid with a ResNet-18, 600 iterations.

The loss is the published one but for the weight of different pairs; network and
schedule are ours. Its weights start segaware-refined_fcn-r18_... beside this.
"""
_base_ = [
    '../_base_/models/embedding_r18-3stage.py',
    '../_base_/datasets/camvid_360x480.py',
    '../_base_/schedules/schedule_600i_b4.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=1e-4))
# The embedding has half the image's size: twice the dilations of the loss.
val_evaluator = dict(
    _delete_=True, type='EmbeddingPairMetric', dilations=(2, 4, 10))
test_evaluator = val_evaluator
