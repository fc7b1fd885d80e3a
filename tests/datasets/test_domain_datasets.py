"""Two data sets in one list of classes; no mask of the target leaves its wrapper."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('mmseg')

from mmcv.transforms import BaseTransform  # noqa: E402
from mmengine.dataset import ConcatDataset  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmseg.registry import DATASETS, TRANSFORMS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

import segaware_mm  # noqa: E402, F401
from segaware_mm.engine.errors import DataError  # noqa: E402

JOINT = ('background', 'sofa', 'dog', 'truck', 'cup')
INNER = ('cup', 'background', 'couch', 'truck', 'zebra')  # ids of another order
LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
META = ('img_path', 'seg_map_path', 'image_labels', 'label_set', 'condition_label',
        'domain', 'gt_seg_map', 'stolen', 'instances', 'reduce_zero_label')
PACK = dict(type='PackSegInputs', meta_keys=META)
SIZE = (6, 8)


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture
def root(tmp_path):
    """Four images; the values of mask i are 0, 1, 2, 3, 255 and i."""
    rng = np.random.default_rng(0)
    for kind in ('img', 'ann'):
        (tmp_path / kind).mkdir()
    for i in range(4):
        Image.fromarray(rng.integers(0, 255, (*SIZE, 3), np.uint8)).save(
            tmp_path / 'img' / f'{i}.png')
        label = np.full(SIZE, 1, np.uint8)
        label[0, :4] = 2
        label[1] = [0, 3, 255, 2, 4, i, i, i]
        Image.fromarray(label).save(tmp_path / 'ann' / f'{i}.png')
    (tmp_path / 'labels.json').write_text(json.dumps(
        {'0': ['couch'], '1': [1, 2], '2': ['zebra', 'cup'], '3': []}))
    return tmp_path


def inner(root, pipeline=LOAD, **kwargs):
    return dict(type='BaseSegDataset', data_root=str(root), img_suffix='.png',
                data_prefix=dict(img_path='img', seg_map_path='ann'),
                metainfo=dict(classes=INNER), pipeline=pipeline, **kwargs)


def subset(root, pipeline=(PACK, ), **kwargs):
    options = dict(type='MaskSubsetDataset', dataset=inner(root), classes=JOINT,
                   pipeline=list(pipeline))
    return DATASETS.build({**options, **kwargs})


def target(root, pipeline=(PACK, ), **kwargs):
    options = dict(type='ImageLabelDataset', dataset=inner(root), classes=JOINT,
                   pipeline=list(pipeline))
    return DATASETS.build({**options, **kwargs})


def seg(data):
    return data['data_samples'].gt_sem_seg.data[0].numpy()


def test_masks_are_mapped_by_name(root):
    data = subset(root)
    assert len(data) == 4 and data.label_set == (1, 3, 4)
    got = seg(data[0])
    assert (got[0] == [1] * 4 + [0] * 4).all()  # couch is sofa
    #       cup, truck, void, couch, zebra, cup cup cup
    assert (got[1] == [4, 3, 255, 1, 0, 4, 4, 4]).all()
    sample = data[0]['data_samples']
    assert sample.label_set == (1, 3, 4) and sample.domain == 'source'
    assert sample.reduce_zero_label is False
    ignored = subset(root, others='ignore', keep=('truck', ))
    assert (seg(ignored[0])[1] == [255, 3, 255, 255, 255, 255, 255, 255]).all()
    assert (seg(ignored[0])[2] == 0).all()  # background stays background
    assert subset(root, exclude=('sofa', )).label_set == (3, 4)


def test_labels_of_the_kept_masks(root):
    data = subset(root, [dict(type='LoadImageLabels'), PACK], keep=('cup', 'couch'))
    assert data[1]['data_samples'].image_labels.tolist() == [1, 4]


def test_a_packed_sample_is_mapped_too(root):
    whole = subset(root)
    packed = subset(root, [], dataset=inner(root, [*LOAD, PACK]))
    for i in range(4):
        assert (seg(packed[i]) == seg(whole[i])).all()
    assert packed[0]['data_samples'].label_set == (1, 3, 4)


def test_a_built_data_set_and_wrappers_can_be_wrapped(root):
    built = DATASETS.build(inner(root))
    assert (seg(subset(root, dataset=built)[2]) == seg(subset(root)[2])).all()
    several = dict(type='ConcatDataset', datasets=[inner(root), inner(root)])
    assert len(subset(root, dataset=several)) == 8
    assert (seg(subset(root, dataset=several)[6]) == seg(subset(root)[2])).all()
    assert len(target(root, dataset=several)) == 8
    lazy = subset(root, dataset=inner(root, lazy_init=True), lazy_init=True)
    assert len(lazy) == 4


def test_both_domains_join_in_one_data_set(root):
    """mmengine wants equal metainfo."""
    both = DATASETS.build(dict(type='ConcatDataset', datasets=[
        dict(type='ImageLabelDataset', dataset=inner(root), classes=JOINT,
             keep=('couch', ), pipeline=[PACK]),
        dict(type='MaskSubsetDataset', dataset=inner(root), classes=JOINT,
             pipeline=[PACK])]))
    assert isinstance(both, ConcatDataset) and len(both) == 8
    assert both.metainfo['classes'] == JOINT and len(both.metainfo['palette']) == 5
    assert [both[i]['data_samples'].domain for i in (3, 4)] == ['target', 'source']
    assert both[0]['data_samples'].label_set == (1, )


def test_voc_as_target_of_coco(root):
    """The class lists of whole data sets."""
    names = DATASETS.get('PascalVOCDataset').METAINFO['classes']
    data = target(root, classes='COCOExclusiveDataset', keep='PascalVOCDataset',
                  dataset=dict(inner(root), metainfo=dict(classes=names)))
    assert data.label_set == tuple(range(1, 21)) and len(data.metainfo['classes']) == 81
    assert data[3]['data_samples'].image_labels.tolist() == [1, 2, 3, 4]
    others = subset(root, classes='COCOExclusiveDataset', exclude='PascalVOCDataset')
    assert [others.classes[i] for i in others.label_set] == ['truck', 'zebra', 'cup']


@pytest.mark.parametrize('kwargs, text', [
    (dict(keep=('truk', )), r"'truk', which BaseSegDataset has not. Did you mean truck"),
    (dict(keep=('zebra', )), "keep has the class 'zebra', which classes has not"),
    (dict(keep=('cup', ), exclude=('cup', )), 'keep and exclude were given'),
    (dict(exclude=('sofa', 'truck', 'cup')), 'no class is left'),
    (dict(classes=('background', 'cat')), 'no class is left: BaseSegDataset has cup'),
    (dict(classes=('cup', 'truck')), "must begin with 'background'"),
    (dict(palette=[[0, 0, 0]]), 'palette has 1 colours for 5 classes'),
    (dict(domain='both'), "domain must be one of 'source', 'target'"),
])
@pytest.mark.parametrize('make', [subset, target])
def test_wrong_classes(root, make, kwargs, text):
    with pytest.raises(ValueError, match=text):
        make(root, **kwargs)


def test_a_data_set_without_classes(root):
    with pytest.raises(ValueError, match='BaseSegDataset names no classes'):
        subset(root, dataset=dict(inner(root), metainfo=None))


@pytest.mark.parametrize('make', [subset, target])
def test_a_value_outside_the_classes_of_the_inner_data_set(root, make):
    Image.fromarray(np.full(SIZE, 7, np.uint8)).save(root / 'ann' / '1.png')
    with pytest.raises(DataError, match=r'img/1.png has the value 7; BaseSegDataset has '
                                        r'the classes 0..4, and 255'):
        make(root)[1]


def test_masks_that_are_loaded_again_are_refused(root):
    data = subset(root, [dict(type='LoadAnnotations'), PACK], keep=('truck', ))
    with pytest.raises(DataError, match='gave the mask of .*img/0.png the value 1, which'
                                        ' is no class of `keep`'):
        data[0]
    with pytest.raises(KeyError, match='put LoadAnnotations into the pipeline of'):
        subset(root, dataset=inner(root, LOAD[:1]))[0]


def test_a_binary_mask_is_no_foreign_class(root):
    pipeline = [dict(type='LoadImageLabels'), dict(type='SampleConditionLabel'),
                dict(type='BinaryMaskFromLabel'), PACK]
    got = subset(root, pipeline, keep=('truck', ))[0]
    assert got['data_samples'].condition_label == 3
    assert (seg(got)[1] == [0, 1, 255, 0, 0, 0, 0, 0]).all()


def test_image_labels_from_mask_file_or_inner_pipeline(root):
    of_mask = target(root)
    wanted = [[1, 3, 4], [1, 3, 4], [1, 3, 4], [1, 3, 4]]
    assert [of_mask[i]['data_samples'].image_labels.tolist() for i in range(4)] == wanted
    assert target(root, min_pixels=4)[0]['data_samples'].image_labels.tolist() == [1, 4]
    own = target(root, dataset=inner(root, [
        *LOAD, dict(type='LoadImageLabels', background=1)]))
    assert own[0]['data_samples'].image_labels.tolist() == [1, 3, 4]
    packed = target(root, [], dataset=inner(root, [*LOAD, PACK]))
    assert packed[0]['data_samples'].image_labels.tolist() == [1, 3, 4]
    with pytest.raises(KeyError, match='finds no labels of .*: give label_file'):
        target(root, dataset=inner(root, LOAD[:1]))[0]


def test_image_labels_of_a_file_need_no_mask(root):
    for mask in (root / 'ann').iterdir():
        mask.unlink()
    file_only = target(root, dataset=inner(root, LOAD[:1]), label_file='labels.json',
                       file_classes=('background', 'couch', 'zebra', 'truck', 'cup'))
    samples = [file_only[i]['data_samples'] for i in range(4)]
    # zebra (also id 2 of the file) is none of the joint classes
    assert [one.image_labels.tolist() for one in samples] == [[1], [1], [4], []]
    assert samples[3].image_labels.dtype == np.int64


def test_images_without_label_can_be_passed_over(root):
    pipeline = [dict(type='SampleConditionLabel', no_label='another'), PACK]
    options = dict(dataset=inner(root, LOAD[:1]), label_file='labels.json',
                   file_classes=('background', 'couch', 'zebra', 'truck', 'cup'))
    data = target(root, pipeline, **options)
    np.random.seed(0)
    for _ in range(8):
        assert len(data[3]['data_samples'].image_labels)
    (root / 'labels.json').write_text(json.dumps(dict.fromkeys('0123', [])))
    with pytest.raises(DataError, match='its pipeline gave no sample. Does any image '
                                        'have a label of sofa, truck, cup'):
        target(root, pipeline, max_refetch=3, **options)[0]


@TRANSFORMS.register_module()
class _Steal(BaseTransform):
    """Hide the mask wherever a sample can carry something."""

    def transform(self, results):
        mask = results.get('gt_seg_map')
        if mask is None:
            return results
        mask = mask.copy()
        results.update(
            gt_edge_map=mask, gt_depth_map=mask.astype(np.float32), stolen=mask,
            instances=[dict(mask=mask.tolist())], flip_direction=mask.tolist(),
            scale_factor=mask, img_id=mask.tobytes(), crop_size=dict(mask=mask),
            gt_seg_map_2=mask)
        results.setdefault('seg_fields', []).append('gt_edge_map')
        return results


FIELDS = ('img', 'gt_seg_map', 'gt_edge_map', 'gt_depth_map')


class _Pack(BaseTransform):
    """Pack it all, in data fields and in metainfo."""

    def transform(self, results):
        packed = TRANSFORMS.build(dict(type='PackSegInputs', meta_keys=tuple(
            key for key in results if key not in FIELDS)))(results)
        if 'stolen' in results:
            packed['data_samples'].set_data(dict(hidden=torch.as_tensor(
                results['stolen'].astype(np.int64))))
            packed['stolen'] = results['stolen']
        return packed


INNER_PIPELINES = {
    'plain': LOAD,
    'stealing': [*LOAD, dict(type='_Steal')],
    'packing': [*LOAD, PACK],
    'stealing and packing': [*LOAD, dict(type='_Steal'), _Pack()],
    'stealing, with labels': [
        *LOAD, dict(type='LoadImageLabels', background=1), dict(type='_Steal')],
}
OUTER_PIPELINES = {
    'none': [],
    'packing': [PACK],
    'padding by a class': [dict(type='Pad', size=(12, 12), pad_val=dict(seg=1)), PACK],
    'packing everything': [
        dict(type='Resize', scale=(12, 9), keep_ratio=False),
        dict(type='RandomFlip', prob=1.0), dict(type='_Steal'), _Pack()],
}


def pixels(value):
    """Everything in a sample but the image, as plain values."""
    if isinstance(value, SegDataSample):
        return {key: pixels(item) for key, item in value.to_dict().items()}
    if isinstance(value, dict):
        return {key: pixels(item) for key, item in value.items()
                if key not in ('img', 'inputs')}
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return (tuple(value.shape), np.asarray(value).tolist())
    return value


@pytest.mark.parametrize('way, outer', [
    (way, outer) for way in INNER_PIPELINES for outer in OUTER_PIPELINES
    # A packed sample has no further pipeline.
    if 'packing' not in way or outer == 'none'])
def test_no_mask_leaves_whatever_the_pipelines_do(root, way, outer):
    """Two sets of masks with the same image labels give the same samples, bit for bit."""
    def collect():
        data = target(root, OUTER_PIPELINES[outer],
                      dataset=inner(root, INNER_PIPELINES[way]))
        return [data[i] for i in range(4)]

    first = collect()
    for path in (root / 'ann').iterdir():
        mask = np.asarray(Image.open(path))
        moved = np.random.default_rng(1).permutation(mask.ravel()).reshape(mask.shape)
        assert (moved != mask).any()
        Image.fromarray(moved).save(path)
    second = collect()
    for one, other in zip(first, second):
        assert pixels(one) == pixels(other)
        text = str(pixels(one))
        assert 'stolen' not in text and '/ann/' not in text and 'edge' not in text
        labels = one['data_samples'].image_labels if 'data_samples' in one else \
            one['image_labels']
        assert labels.tolist() == [1, 3, 4]  # the labels alone are left
        assert (one['data_samples'].gt_sem_seg.data if 'data_samples' in one else
                torch.as_tensor(one['gt_seg_map'])).unique().tolist() == [255]


def test_the_test_above_can_fail(root):
    """The same transforms without the guard let the mask through."""
    stolen = DATASETS.build(inner(root, INNER_PIPELINES['stealing and packing']))[0]
    assert 2 in stolen['data_samples'].gt_sem_seg.data
    assert 'stolen' in stolen['data_samples'].metainfo
    assert 2 in stolen['data_samples'].hidden


def test_the_entry_of_an_image_names_no_mask(root):
    entry = target(root).get_data_info(0)
    assert 'seg_map_path' not in entry and entry['img_path'].endswith('0.png')
    assert 'seg_map_path' in subset(root).get_data_info(0)


def test_allowed_keys_pass_where_they_are_small(root):
    data = target(root, [PACK], allowed_keys=('stolen', ),
                  dataset=inner(root, [*LOAD, dict(type='_Steal')]))
    assert 'stolen' not in data[0]['data_samples'].metainfo


@pytest.mark.parametrize('weight', [1., 0.4])
def test_no_gradient_of_a_target_batch(root, weight):
    """What reaches a pixel loss is 255: loss and gradient are 0, whatever the mask."""
    from mmseg.models.losses import CrossEntropyLoss
    data = target(root)
    truth = torch.stack([data[i]['data_samples'].gt_sem_seg.data[0] for i in range(4)])
    logits = torch.randn(4, len(JOINT), *SIZE, requires_grad=True)
    loss = CrossEntropyLoss(avg_non_ignore=True, loss_weight=weight)(
        logits, truth, ignore_index=255)
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()
    data = subset(root)
    truth = torch.stack([data[i]['data_samples'].gt_sem_seg.data[0] for i in range(4)])
    assert CrossEntropyLoss(avg_non_ignore=True)(logits, truth, ignore_index=255) > 0


def test_errors_name_the_files(root):
    """The runner's naming of files reaches the wrapped data set."""
    from segaware_mm.engine.data_errors import check_not_empty, name_files
    data = target(root)
    name_files(data)
    check_not_empty(data, 'train_dataloader.dataset')
    (root / 'ann' / '2.png').write_bytes(b'')
    with pytest.raises(DataError, match=r'ann/2.png\s+<- is empty'):
        data[2]


def test_shipped_scenes_config(tmp_path, repo, monkeypatch):
    from mmengine.config import Config

    from segaware_mm.datasets.scenes.generate import generate_scenes
    monkeypatch.chdir(tmp_path)
    generate_scenes(Path('data/scenes_transfer'), 'mmseg', 6, 2, (128, 160), seed=3,
                    progress=False)
    config = Config.fromfile(
        repo / 'configs/_base_/datasets/scenes_transfer_128x160.py')
    both = DATASETS.build(config.train_dataloader.dataset)
    assert len(both) == 12
    for i in range(12):
        sample = both[i]['data_samples']
        assert both[i]['inputs'].shape == (3, 128, 160)
        values = set(sample.gt_sem_seg.data.unique().tolist())
        if i < 6:
            assert values == {255} and sample.label_set == (1, 2, 3, 4)
        else:
            assert values <= {0, 255, 5, 6, 7, 8} and sample.label_set == (5, 6, 7, 8)
        # All labels of a scene take part.
        assert 'condition_label' not in sample
        assert set(sample.image_labels.tolist()) <= set(sample.label_set)
    val = DATASETS.build(config.val_dataloader.dataset)
    assert len(val) == 2 and val.test_mode
    assert val[0]['data_samples'].label_set == tuple(range(1, 9))
    for i in range(2):
        assert set(np.unique(seg(val[i]))) <= set(range(9))  # of both domains
