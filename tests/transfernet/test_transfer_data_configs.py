"""The data of the TransferNet configs, on real images."""

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.dataset import pseudo_collate  # noqa: E402
from mmengine.registry import DATA_SAMPLERS, DefaultScope  # noqa: E402
from mmseg.registry import DATASETS, METRICS  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

import segaware_mm  # noqa: E402, F401
from segaware_mm.engine.sampler_check import tell_batch_size  # noqa: E402

FOLDER = 'configs/_base_/datasets'
VOC = tuple(range(1, 21))


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture
def mini(real_data, repo):
    return Config.fromfile(repo / FOLDER / 'coco_mini_transfer.py')


def test_coco_mini_batches(mini):
    """A data loader as the runner builds it: one domain a batch, no mask in the first."""
    settings = tell_batch_size(mini.train_dataloader)
    data = DATASETS.build(settings['dataset'])
    target, source = data.datasets
    assert (len(target), len(source)) == (343, 306)
    sampler = DATA_SAMPLERS.build(settings['sampler'],
                                  default_args=dict(dataset=data, seed=0))
    loader = DataLoader(data, batch_size=settings['batch_size'], sampler=sampler,
                        collate_fn=pseudo_collate)
    for number, batch in zip(range(4), loader):
        assert len(batch['inputs']) == 8
        for image, sample in zip(batch['inputs'], batch['data_samples']):
            values = set(sample.gt_sem_seg.data.unique().tolist())
            assert image.shape == (3, 224, 224) == (3, *sample.gt_sem_seg.shape)
            assert sample.condition_label in sample.image_labels
            if number % 2:
                assert sample.domain == 'source' and sample.label_set[0] == 21
                assert values <= {0, 255, *range(21, 81)}
                # The crop looks for the object.
                assert sample.condition_label in values
            else:
                assert sample.domain == 'target' and sample.label_set == VOC
                assert values == {255} and max(sample.image_labels) <= 20
                assert 'seg_map_path' not in sample.metainfo


def test_coco_mini_target_reads_no_mask(mini):
    from mmseg.datasets.transforms import LoadAnnotations
    target = mini.train_dataloader.dataset.datasets[0]
    assert 'seg_map_path' not in target.dataset.data_prefix
    built = DATASETS.build(target)
    steps = (*built.pipeline.transforms, *built.dataset.pipeline.transforms)
    assert not any(isinstance(step, LoadAnnotations) for step in steps)


def test_coco_mini_validation(mini):
    """A perfect prediction has IoU and mAP 100 over VOC's classes alone."""
    data = DATASETS.build(mini.val_dataloader.dataset)
    assert len(data) == 206 and data.test_mode
    metrics = [METRICS.build(one) for one in mini.val_evaluator]
    for index in range(0, 206, 20):
        sample = data[index]['data_samples']
        truth = sample.gt_sem_seg.data
        assert truth.shape[1:] == sample.ori_shape == sample.valid_shape
        assert sample.square_side == max(sample.ori_shape)
        present = set(np.unique(truth)) - {0, 255}
        assert present <= set(sample.image_labels.tolist()) <= set(VOC)
        scores = torch.zeros(80)
        scores[sample.image_labels - 1] = 1
        result = dict(sample.to_dict(), pred_label_scores=scores,
                      pred_sem_seg=dict(data=truth.where(truth != 255, 0)))
        for metric in metrics:
            metric.dataset_meta = data.metainfo
            metric.process({}, [result])
    got = {}
    for metric in metrics:
        got.update(metric.evaluate(len(range(0, 206, 20))))
    assert got['group/mIoU_target'] == got['group/mIoU'] == got['multi_label/mAP'] == 100


def test_the_config_of_the_paper(repo, tmp_path, monkeypatch):
    """On a made-up root of one image each."""
    import json

    from PIL import Image
    monkeypatch.setenv('SEGAWARE_MM_DATA', str(tmp_path))
    voc = tmp_path / 'VOCdevkit/VOC2012'
    for folder in (voc / 'JPEGImages', voc / 'SegmentationClass',
                   voc / 'SegmentationClassAug', voc / 'ImageSets/Segmentation',
                   tmp_path / 'coco/train2017', tmp_path / 'coco/annotations'):
        folder.mkdir(parents=True)
    image = Image.fromarray(np.full((375, 500, 3), 9, np.uint8))
    image.save(voc / 'JPEGImages/a.jpg')
    label = np.zeros((375, 500), np.uint8)
    label[100:300, 100:300] = 15
    label[0] = 255
    for folder in ('SegmentationClass', 'SegmentationClassAug'):
        Image.fromarray(label).save(voc / folder / 'a.png')
    for split in ('train', 'aug', 'val'):
        (voc / f'ImageSets/Segmentation/{split}.txt').write_text('a\n')
    rows = []
    for number, category in ((1, 8), (2, 1)):  # a truck; a person
        image.save(tmp_path / f'coco/train2017/{number}.jpg')
        rows.append(dict(image_id=number, category_id=category, area=1e4, iscrowd=0,
                         segmentation=[[90, 90, 290, 90, 290, 290, 90, 290]]))
    (tmp_path / 'coco/annotations/instances_train2017.json').write_text(json.dumps(dict(
        images=[dict(id=i, file_name=f'{i}.jpg', height=375, width=500)
                for i in (1, 2)], annotations=rows,
        categories=[dict(id=1, name='person'), dict(id=8, name='truck')])))
    config = Config.fromfile(repo / FOLDER / 'coco60_to_voc_320x320.py')
    data = DATASETS.build(config.train_dataloader.dataset)
    assert [len(part) for part in data.datasets] == [2, 1]
    target, source = data[1], data[2]
    for one, label, values in ((target, 15, {255}), (source, 21, {0, 21, 255})):
        sample = one['data_samples']
        assert one['inputs'].shape == (3, 320, 320)
        assert sample.image_labels.tolist() == [label] == [sample.condition_label]
        assert set(sample.gt_sem_seg.data.unique().tolist()) == values
    val = DATASETS.build(config.val_dataloader.dataset)[0]
    sample = val['data_samples']
    assert val['inputs'].shape == (3, 320, 320) and (val['inputs'][:, 240:] == 0).all()
    assert (sample.square_side, sample.valid_shape) == (500, (375, 500))
    assert sample.gt_sem_seg.shape == (375, 500)
    assert sample.label_set == VOC and sample.image_labels.tolist() == [15]
