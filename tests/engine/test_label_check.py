"""The label check: one test per cause, and none where labels are right."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.registry import HOOKS
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from PIL import Image
from torch import nn

from segaware_mm.engine.errors import LabelError
from segaware_mm.engine.label_check import LabelCheckHook, classes_of, samples_in
from segaware_mm.engine.label_diagnosis import likely_cause


def make_runner(num_classes=4, ignore_index=255, dataset_classes=4, **heads):
    """Return what the hook looks at: a model, a dataset and a logger."""
    model = nn.Module()
    for name, count in {'decode_head': num_classes, **heads}.items():
        head = nn.Module()
        head.num_classes, head.ignore_index = count, ignore_index
        setattr(model, name, head)
    meta = dict(classes=[f'c{i}' for i in range(dataset_classes)])
    return SimpleNamespace(
        model=model, logger=logging.getLogger('label_check'),
        train_dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo=meta)))


def make_batch(*labels, path='/data/ann/a.png', **meta):
    """Return a batch as a dataloader gives it."""
    samples = []
    for label in labels:
        sample = SegDataSample(metainfo=dict(
            img_path='/data/img/a.jpg', seg_map_path=str(path), **meta))
        sample.gt_sem_seg = PixelData(data=torch.as_tensor(label)[None].long())
        samples.append(sample)
    return dict(inputs=[torch.zeros(3, 4, 4)] * len(labels), data_samples=samples)


def check(batch, runner=None, **kwargs):
    """Run one batch through a fresh hook."""
    runner = runner or make_runner()
    hook = LabelCheckHook(**kwargs)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0, batch)
    return hook


def grid(*values):
    """Return a 4 x 4 label that holds these values, the first one most."""
    label = np.full((4, 4), values[0])
    label.flat[:len(values)] = values
    return label


def test_right_labels_pass():
    hook = check(make_batch(grid(0, 1, 2, 3, 255)))
    assert hook._seen == {0: 12, 1: 1, 2: 1, 3: 1, 255: 1}


def test_it_is_registered_in_the_root():
    assert HOOKS.get('LabelCheckHook') is LabelCheckHook


def test_message_names_files_values_histogram_and_how_to_turn_it_off():
    with pytest.raises(LabelError) as caught:
        check(make_batch(grid(0, 0), grid(1, 9, 17)))
    text = str(caught.value)
    for part in ('/data/ann/a.png', '/data/img/a.jpg', '9, 17', '0..3',
                 '4 classes', '14 pixels   87.5 %', 'likely cause',
                 'label_check.num_batches=0'):
        assert part in text, f'{part} is not in:\n{text}'


@pytest.mark.parametrize('values, kwargs, words', [
    ((1, 2, 3, 4), {}, 'reduce_zero_label=True'),
    ((1, 2, 3, 4, 255), {}, 'count from 1 to 4'),
    ((0, 1, 4), {}, 'one value too many'),
    ((0, 1, 5), dict(dataset_classes=6), 'num_classes=6'),
    ((0, 255), dict(ignore_index=254), 'map 255 to 1'),
    ((0, 1, 255), dict(ignore_index=254), 'Set ignore_index=255'),
    ((0, -1), {}, 'negative'),
    ((0, 9), dict(path='a.jpg'), 'JPEG'),
    ((0, 7, 26), dict(path='x_gtFine_labelIds.png'), 'trainIds'),
    (tuple(range(60)), {}, 'instance map'),
    ((0, 128, 192), {}, 'colours or grey'),
    ((0, 1, 2, 3, 5), {}, 'another list of classes'),
])
def test_causes(values, kwargs, words):
    text = likely_cause({v: 1 for v in values}, 4, **{
        'ignore_index': 255, **kwargs})
    assert words in text


def test_after_reduce_zero_label_it_is_not_proposed_again():
    histogram = {0: 5, 1: 5, 4: 1}
    assert 'reduce_zero_label' in likely_cause(histogram, 4)
    assert 'reduce_zero_label' not in likely_cause(
        histogram, 4, reduce_zero_label=True)


def test_masks_of_0_and_255_are_an_error_after_the_last_batch(tmp_path):
    path = tmp_path / 'mask.png'
    Image.fromarray(grid(0, 255).astype(np.uint8)).save(path)
    runner = make_runner(num_classes=2, dataset_classes=2)
    hook = LabelCheckHook(num_batches=2)
    hook.before_train(runner)
    batch = make_batch(grid(0, 255), path=path)
    hook.before_train_iter(runner, 0, batch)
    with pytest.raises(LabelError) as caught:
        hook.before_train_iter(runner, 1, batch)
    assert '255 is the ignore index: your foreground is ignored' in str(caught.value)
    assert 'Map 255 to 1' in str(caught.value)
    assert str(path) in str(caught.value)


def test_crops_of_0_and_255_pass_where_the_files_hold_more(tmp_path):
    path = tmp_path / 'label.png'
    Image.fromarray(grid(0, 1, 255).astype(np.uint8)).save(path)
    hook = check(make_batch(grid(0, 255), path=path), num_batches=1)
    assert hook._done == 1


def test_masks_in_a_training_shorter_than_the_check_are_warned_about(caplog):
    runner = make_runner()
    hook = check(make_batch(grid(0, 255)), runner)
    with caplog.at_level(logging.WARNING):
        hook.after_train(runner)
    assert 'your foreground is ignored' in caplog.text


def test_an_ignored_image_is_a_warning_said_once(caplog):
    runner = make_runner()
    with caplog.at_level(logging.WARNING):
        check(make_batch(grid(255), grid(255)), runner)
    assert caplog.text.count('is 255 (ignored) everywhere') == 1
    assert '/data/ann/a.png' in caplog.text


def test_other_number_of_classes_than_the_dataset_is_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        check(make_batch(grid(0)), make_runner(dataset_classes=7))
    assert 'num_classes=4' in caplog.text and '7 classes' in caplog.text


def test_colour_label_is_described_from_the_disk(tmp_path):
    path = tmp_path / 'colour.png'
    Image.new('RGB', (4, 4), (128, 64, 128)).save(path)
    sample = make_batch(grid(0), path=path)
    sample['data_samples'][0].gt_sem_seg = PixelData(
        data=torch.full((3, 4, 4), 64))
    with pytest.raises(LabelError, match='one channel') as caught:
        check(sample)
    assert 'mode RGB' in str(caught.value)


def test_only_the_first_batches_are_looked_at():
    runner = make_runner()
    hook = LabelCheckHook(num_batches=1)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0, make_batch(grid(0)))
    hook.before_train_iter(runner, 1, make_batch(grid(77)))
    with pytest.raises(LabelError):
        check(make_batch(grid(77)))


def test_instances_outside_the_classes_name_the_image():
    from mmdet.structures import DetDataSample
    sample = DetDataSample(metainfo=dict(img_path='/data/img/b.jpg'))
    sample.gt_instances = InstanceData(labels=torch.tensor([0, 5]))
    runner = make_runner(bbox_head=3)
    with pytest.raises(LabelError) as caught:
        check(dict(data_samples=[sample]), runner)
    assert '/data/img/b.jpg' in str(caught.value)
    assert 'found:   5' in str(caught.value)
    sample.gt_instances = InstanceData(labels=torch.tensor([0, 2]))
    check(dict(data_samples=[sample]), runner)


def test_classes_of_a_cascade_are_those_of_the_last_head():
    model = nn.Module()
    heads = [nn.Module(), nn.Module()]
    heads[0].num_classes, heads[1].num_classes = 3, 5
    model.decode_head = nn.ModuleList(heads)
    assert classes_of(model) == (5, 255, None)


@pytest.mark.parametrize('num_classes', [1, 2])
def test_one_sigmoid_has_two_classes(num_classes):
    runner = make_runner(num_classes=num_classes, dataset_classes=2)
    runner.model.decode_head.out_channels = 1
    check(make_batch(grid(0, 1, 255)), runner)
    with pytest.raises(LabelError, match='0..1'):
        check(make_batch(grid(0, 2)), runner)


def test_samples_are_found_in_nested_batches():
    batch = make_batch(grid(0), grid(1))
    nested = dict(data_samples=dict(sup=batch['data_samples'], other=[1, 'x']))
    assert len(list(samples_in(nested))) == 2


def test_an_image_of_the_target_domain_has_no_mask_on_purpose(caplog):
    with caplog.at_level(logging.WARNING):
        check(make_batch(grid(255), domain='target'), make_runner())
    assert 'everywhere' not in caplog.text
