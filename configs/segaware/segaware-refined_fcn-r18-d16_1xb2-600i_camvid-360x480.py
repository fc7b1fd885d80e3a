"""A trained ResNet-18 FCN on CamVid, frozen, refined by a learned mean field.

The recipe is ours, after the released pipeline: embedding, mean field and
filters learn, the FCN does not. Wants the weights of two trainings before it:
configs/peers/fcn_r18... and embedding_r18... beside this; other files by
``model.segmentor.init_cfg.checkpoint`` and ``model.embedding.init_cfg.checkpoint``.
"""
_base_ = [
    '../_base_/models/segaware_refined_fcn-r18-3stage.py',
    '../_base_/datasets/camvid_360x480.py',
    '../_base_/schedules/schedule_refine_600i_b2.py',
    '../_base_/default_runtime.py'
]
randomness = dict(seed=0)
train_dataloader = dict(batch_size=2)
model = dict(
    segmentor=dict(
        init_cfg=dict(
            checkpoint='work_dirs/fcn_r18-d16_1xb4-600i_camvid-360x480/'
            'iter_600.pth')),
    embedding=dict(
        init_cfg=dict(
            checkpoint='work_dirs/embedding_r18_1xb4-600i_camvid-360x480/'
            'iter_600.pth')))
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU']),
    dict(type='TrimapIoUMetric')
]
test_evaluator = val_evaluator
