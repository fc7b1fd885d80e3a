"""Errors of a data pipeline name the file."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmseg.datasets import BaseSegDataset
from mmseg.utils import register_all_modules
from PIL import Image

from segaware_mm.engine.config_nodes import leaf_datasets
from segaware_mm.engine.data_errors import NamingPipeline, check_not_empty, name_files
from segaware_mm.engine.errors import DataError, message_of


@pytest.fixture
def dataset(tiny_data):
    """The tiny training set with a pipeline that names files."""
    register_all_modules(init_default_scope=True)
    return make(tiny_data())


def make(root, **more):
    """Build the training set below ``root``."""
    built = BaseSegDataset(**{**dict(
        data_root=str(root), img_suffix='.png',
        data_prefix=dict(img_path='images/train',
                         seg_map_path='annotations/train'),
        metainfo=dict(classes=('a', 'b', 'c', 'd')),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                  dict(type='Resize', scale=(32, 32)),
                  dict(type='PackSegInputs')]), **more})
    name_files(built)
    return built


def cut(path):
    """Cut a file to half its size."""
    data = path.read_bytes()
    path.write_bytes(data[:len(data) // 2])
    return path


def error_of(dataset, index=0):
    """Return the message that loading one entry ends in."""
    with pytest.raises(DataError) as caught:
        dataset[index]
    return str(caught.value)


def root_of(dataset):
    """Return the data root as a path."""
    from pathlib import Path
    return Path(dataset.data_root)


def test_good_data_load_as_before(dataset):
    assert type(dataset.pipeline) is NamingPipeline
    assert isinstance(dataset.pipeline, Compose)
    assert dataset[0]['data_samples'].gt_sem_seg.data.shape[-1] == 32


@pytest.mark.parametrize('kind, folder', [('image', 'images'),
                                          ('label', 'annotations')])
def test_truncated_file(dataset, kind, folder):
    path = cut(root_of(dataset) / folder / 'train' / '00.png')
    text = error_of(dataset)
    assert f'{kind}: {path}   <- is cut short' in text
    assert f'Copy or write the {kind} again' in text


def test_truncated_jpeg(tiny_data):
    root = tiny_data()
    for path in sorted((root / 'images' / 'train').glob('*.png')):
        Image.open(path).save(path.with_suffix('.jpg'))
    register_all_modules(init_default_scope=True)
    built = make(root, img_suffix='.jpg')
    path = cut(root / 'images' / 'train' / '00.jpg')
    assert f'{path}   <- is cut short' in error_of(built)


def test_empty_file(dataset):
    path = root_of(dataset) / 'images' / 'train' / '00.png'
    path.write_bytes(b'')
    assert f'{path}   <- is empty' in error_of(dataset)


def test_absent_label_says_what_lies_there(dataset):
    folder = root_of(dataset) / 'annotations' / 'train'
    (folder / '00.png').rename(folder / '00_gt.png')
    text = error_of(dataset)
    assert '00.png   <- does not exist' in text
    assert '00_gt.png' in text and 'seg_map_suffix' in text


def test_label_of_another_size(dataset):
    path = root_of(dataset) / 'annotations' / 'train' / '00.png'
    Image.fromarray(np.zeros((20, 48), np.uint8)).save(path)
    text = error_of(dataset)
    assert 'another size' in text
    assert '48 x 40' in text and f'{path}   48 x 20' in text


def test_size_is_compared_with_the_file_not_with_a_resized_image(tiny_data):
    register_all_modules(init_default_scope=True)
    built = make(tiny_data(), pipeline=[
        dict(type='LoadImageFromFile'), dict(type='Resize', scale=(20, 20)),
        dict(type='LoadAnnotations'), dict(type='PackSegInputs')])
    assert built[0]['data_samples'].gt_sem_seg.data.shape == (1, 40, 48)


def test_message_survives_a_worker(dataset):
    """What a dataloader raises in the main process for an error of a worker."""
    from torch._utils import ExceptionWrapper
    cut(root_of(dataset) / 'images' / 'train' / '00.png')
    try:
        dataset[0]
    except DataError as error:
        plain, wrapped = message_of(error), ExceptionWrapper(where='in worker 0')
    with pytest.raises(DataError) as caught:
        wrapped.reraise()
    assert 'Traceback' in str(caught.value)
    assert message_of(caught.value) == plain
    assert 'Traceback' not in plain


def test_empty_dataset_says_what_lies_there(tiny_data):
    register_all_modules(init_default_scope=True)
    built = make(tiny_data(), img_suffix='.jpg', serialize_data=False)
    with pytest.raises(DataError) as caught:
        check_not_empty(built, 'train_dataloader.dataset')
    text = str(caught.value)
    assert 'train_dataloader.dataset: the dataset BaseSegDataset has no images' in text
    assert "img_suffix:     '.jpg'; the folder holds 8 of '.png'" in text


def test_wrapped_datasets_are_walked(dataset):
    from mmengine.dataset import ConcatDataset, RepeatDataset
    both = ConcatDataset([dataset, RepeatDataset(dataset, 2).dataset])
    nested = SimpleNamespace(dataset=SimpleNamespace(datasets=[both, dataset]))
    assert [leaf for _, leaf in leaf_datasets(nested)] == [dataset] * 3
    check_not_empty(nested, 'x')


def test_pipeline_is_sent_to_workers(dataset):
    copied = pickle.loads(pickle.dumps(dataset.pipeline))
    assert len(copied.transforms) == 4
