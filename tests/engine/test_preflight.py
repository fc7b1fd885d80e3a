"""Absent data and weights: one message that says everything."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from torch import nn

from segaware_mm.engine.config_nodes import leaf_datasets
from segaware_mm.engine.errors import CheckpointError, DataError
from segaware_mm.engine.hints import how_to_get
from segaware_mm.engine.preflight import check_inputs, find_missing
from segaware_mm.engine.pretrained import (
    check_start,
    missing_weights,
    named_downloads,
    pretrained_weights,
)
from segaware_mm.utils.checkpoint import is_remote


def dataset(root, **more):
    """Return a dataset config below ``root``."""
    return dict(
        type='CityscapesDataset', data_root=str(root),
        data_prefix=dict(img_path='img', seg_map_path='ann'), **more)


def config(train, **more):
    """Return a config with a training dataset."""
    return Config(dict(train_dataloader=dict(dataset=train), **more))


@pytest.fixture
def there(tmp_path):
    """A data root with both folders."""
    for name in ('img', 'ann'):
        (tmp_path / 'there' / name).mkdir(parents=True)
    return tmp_path / 'there'


def test_nothing_to_say_where_everything_is_there(there):
    assert find_missing(config(dataset(there)), ('train', 'val')) == []


def test_absent_root_is_one_entry_not_three(tmp_path):
    missing = find_missing(config(dataset(tmp_path / 'no')), ('train', ))
    assert [m.key for m in missing] == ['train_dataloader.dataset.data_root']


def test_absent_folder_and_list_are_named_by_their_keys(there):
    (there / 'ann').rmdir()
    missing = find_missing(
        config(dataset(there, ann_file='splits/train.txt')), ('train', ))
    assert {m.key: m.what for m in missing} == {
        'train_dataloader.dataset.data_prefix.seg_map_path': 'folder',
        'train_dataloader.dataset.ann_file': 'file'}


@pytest.mark.parametrize('wrap, key', [
    (lambda d: dict(type='RepeatDataset', times=2, dataset=d), 'dataset.dataset'),
    (lambda d: dict(type='ConcatDataset', datasets=[d, d]), 'dataset.datasets.1'),
    (lambda d: [d], 'dataset.0'),
    (lambda d: dict(type='A', dataset=dict(type='B', datasets=[d])),
     'dataset.dataset.datasets.0'),
], ids=['repeat', 'concat', 'list', 'nested'])
def test_wrapped_datasets_are_walked(wrap, key, tmp_path):
    cfg = config(wrap(dataset(tmp_path / 'no')))
    keys = [m.key for m in find_missing(cfg, ('train', ))]
    assert f'train_dataloader.{key}.data_root' in keys
    assert list(leaf_datasets(wrap({}), 'x'))


def test_annotations_of_a_metric_are_looked_for(there):
    cfg = config(dataset(there))
    cfg.val_dataloader = dict(dataset=dataset(there))
    cfg.val_evaluator = dict(type='CocoMetric', ann_file='no.json')
    missing = find_missing(cfg, ('train', 'val'))
    assert [m.key for m in missing] == ['val_evaluator.ann_file']


def test_remote_data_are_not_looked_for():
    cfg = config(dict(type='X', data_root='s3://bucket/x', ann_file='a.json'))
    assert find_missing(cfg, ('train', )) == []
    cfg = config(dict(type='X', data_root='bucket/x',
                      backend_args=dict(backend='petrel')))
    assert find_missing(cfg, ('train', )) == []


def test_message_says_what_where_and_how(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('SEGAWARE_MM_DATA', raising=False)
    cfg = config(dataset('data/cityscapes'), data_root='data/cityscapes')
    with pytest.raises(DataError) as caught:
        check_inputs(cfg, ('train', 'val'), weights=True)
    text = str(caught.value)
    for part in ('train_dataloader.dataset.data_root = data/cityscapes',
                 str(tmp_path / 'data' / 'cityscapes'), 'CityscapesDataset',
                 'SEGAWARE_MM_DATA is not set',
                 'make_scenes.py --layout cityscapes --out data/cityscapes',
                 '--cfg-options data_root=/path/to/cityscapes'):
        assert part in text, f'{part} is not in:\n{text}'


def test_scenes_for_image_labels_are_made_as_their_config_wants_them():
    """A scene of any kinds shows most classes; its labels would say little."""
    root = 'data/scenes_transfer'
    text = (Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets' /
            'scenes_transfer_128x160.py').read_text()
    wanted = f'--kinds 2 --train 3000 --out {root}'
    assert wanted in text and wanted in how_to_get('ScenesDataset', root, [])
    assert '--kinds' not in how_to_get('ScenesDataset', 'data/scenes', [])
    assert 'cocodataset.org' in how_to_get('COCOExclusiveDataset', 'data/coco', [])


def test_message_says_what_the_variable_is_set_to(tmp_path, monkeypatch):
    monkeypatch.setenv('SEGAWARE_MM_DATA', str(tmp_path / 'elsewhere'))
    with pytest.raises(DataError) as caught:
        check_inputs(config(dataset(tmp_path / 'no')), ('train', ), weights=True)
    assert f'set to {tmp_path}/elsewhere, a folder that does not exist' in str(
        caught.value)
    # Without a top-level variable the option is the dataset's own key.
    assert 'train_dataloader.dataset.data_root=/path/to' in str(caught.value)


def test_weights_are_found_under_every_key(tmp_path):
    weights = tmp_path / 'w.pth'
    cfg = Config(dict(
        load_from='a.pth',
        model=dict(
            pretrained='open-mmlab://resnet18_v1c',
            backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='b.pth')),
            heads=[dict(init_cfg=[
                dict(type='Normal', std=1),
                dict(type='Pretrained', checkpoint=str(weights))])])))
    assert dict(pretrained_weights(cfg)) == {
        'load_from': 'a.pth', 'model.pretrained': 'open-mmlab://resnet18_v1c',
        'model.backbone.init_cfg.checkpoint': 'b.pth',
        'model.heads.0.init_cfg.1.checkpoint': str(weights)}
    text = missing_weights(cfg)
    assert 'model.backbone.init_cfg=None' in text and 'b.pth' in text
    assert str(weights) in text and 'open-mmlab' not in text
    weights.touch()
    cfg.model.backbone = None
    assert missing_weights(cfg) == ''


@pytest.mark.parametrize('content, words', [
    ('no weights', 'another kind of file'), ('<html>', 'is a web page')])
def test_weights_that_cannot_be_read(content, words, tmp_path):
    path = tmp_path / 'w.pth'
    path.write_text(content)
    cfg = Config(dict(model=dict(backbone=dict(init_cfg=dict(
        type='Pretrained', checkpoint=str(path))))))
    with pytest.raises(CheckpointError, match=words) as caught:
        check_inputs(cfg, ('train', ), weights=True)
    assert 'model.backbone.init_cfg.checkpoint' in str(caught.value)
    assert '--cfg-options model.backbone.init_cfg=None' in str(caught.value)
    check_inputs(cfg, ('train', ), weights=False)


class Backbone(BaseModule):
    """A backbone of one layer."""

    def __init__(self, **init_cfg):
        super().__init__(init_cfg=dict(type='Pretrained', **init_cfg))
        self.conv = nn.Conv2d(1, 2, 3)


class Renaming(Backbone):
    """Loads weights in a way of its own."""

    def init_weights(self):
        raise NotImplementedError


def test_weights_that_match_nothing(tmp_path):
    path = str(tmp_path / 'w.pth')
    torch.save(dict(state_dict={'backbone.conv.weight': torch.zeros(2, 1, 3, 3),
                                'other': torch.zeros(1)}), path)

    def check(kind, **init_cfg):
        check_start(nn.ModuleDict(dict(backbone=kind(checkpoint=path, **init_cfg))))

    with pytest.raises(CheckpointError) as caught:
        check(Backbone)
    for words in (path, 'no weight of backbone', 'wanted: conv.weight',
                  'found:  backbone.conv.weight', "prefix='backbone.'"):
        assert words in str(caught.value)
    check(Backbone, prefix='backbone')
    check(Renaming)


def test_hints_of_coco(tmp_path):
    """The scenes have other categories; the two COCO-Stuff other converters."""
    assert 'make_scenes' not in how_to_get('CocoDataset', 'data/coco', ['a=b'])
    text = how_to_get('COCOStuffDataset', 'data/coco_stuff10k', ['a=b'])
    assert 'coco_stuff10k.py' in text and 'COCO 2014' in text


def test_absent_data_and_weights_are_one_message(tmp_path):
    cfg = config(dataset(tmp_path / 'no'), model=dict(pretrained='b.pth'))
    with pytest.raises(DataError) as caught:
        check_inputs(cfg, ('train', ), weights=True)
    text = str(caught.value)
    assert 'the dataset is not there' in text and 'b.pth' in text
    assert text.count('SEGAWARE_MM_DATA') == 1
    with pytest.raises(DataError) as caught:
        check_inputs(cfg, ('train', ), weights=False)
    assert 'b.pth' not in str(caught.value)


@pytest.mark.parametrize('path, remote', [
    ('open-mmlab://resnet101_v1c', True), ('torchvision://resnet18', True),
    ('https://example.org/a.pth', True), ('s3://b/a.pth', True),
    ('weights/a.pth', False), ('/a.pth', False), ('C:\\a.pth', False)])
def test_what_is_remote(path, remote):
    assert is_remote(path) is remote


def test_failed_download_says_how_to_train_without():
    from urllib.error import URLError
    cfg = Config(dict(model=dict(
        pretrained='open-mmlab://resnet18_v1c',
        backbone=dict(init_cfg=dict(
            type='Pretrained', checkpoint='https://example.org/a.pth')))))
    with pytest.raises(CheckpointError) as caught, named_downloads(cfg):
        raise URLError('no route to host')
    text = str(caught.value)
    for part in ('no route to host', '--cfg-options model.pretrained=None',
                 '--cfg-options model.backbone.init_cfg=None',
                 'model.backbone.init_cfg.checkpoint=/path/to'):
        assert part in text, f'{part} is not in:\n{text}'


def test_a_network_error_of_something_else_stays_what_it_is():
    with pytest.raises(ConnectionError), named_downloads(
            Config(dict(model=dict(type='X')))):
        raise ConnectionError('another thing')
