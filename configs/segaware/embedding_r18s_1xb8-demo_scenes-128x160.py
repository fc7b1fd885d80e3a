"""Embedding pretraining on the procedural scenes, minutes on a CPU (ours).

The CamVid embedding with the slim backbone of configs/peers/fcn_r18s..., from
random weights. It starts segaware-refined_fcn-r18s... beside this.
"""
_base_ = [
    '../_base_/models/embedding_r18-3stage.py',
    '../_base_/datasets/scenes_128x160.py',
    '../_base_/schedules/schedule_demo_b8.py', '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
model = dict(
    data_preprocessor=dict(size=(128, 160)),
    backbone=dict(
        embedding=dict(
            in_channels=(32, 64, 128),
            backbone=dict(
                base_channels=32,
                stem_channels=32,
                strides=(1, 2, 1),
                dilations=(1, 1, 2),
                init_cfg=None))))
# The embedding has half the image's size: twice the dilations of the loss.
val_evaluator = dict(
    _delete_=True, type='EmbeddingPairMetric', dilations=(2, 4, 10))
test_evaluator = val_evaluator
