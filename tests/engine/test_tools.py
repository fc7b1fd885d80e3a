"""The tools from the command line in: what they do, and every clear error.

All run in this process through ``main``; the scripts themselves are run by
the tests of resuming and of several processes.
"""

import json
import pickle
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from segaware_mm.engine.test import main as run_test
from segaware_mm.engine.train import main as run_train

_names = count()


@pytest.fixture
def train(tmp_path, capfd):
    """Train; returns (exit code, what was printed, work dir)."""

    def run(config, *args, options=()):
        work = tmp_path / 'work'
        code = run_train([
            str(config), '--work-dir', str(work), *map(str, args),
            '--cfg-options', f'experiment_name=t{next(_names)}', *options])
        out, err = capfd.readouterr()
        return code, out + err, work

    return run


@pytest.fixture
def trained(train, tiny_config):
    """A config, its work dir, and a checkpoint of four iterations."""
    config = tiny_config(iters=4)
    code, text, work = train(config)
    assert code == 0, text
    return config, work, work / 'iter_4.pth'


@pytest.fixture
def test(tmp_path, capfd):
    """Test; returns (exit code, what was printed)."""

    def run(*args, options=()):
        code = run_test([
            *map(str, args), '--work-dir', str(tmp_path / 'tested'),
            '--cfg-options', f'experiment_name=t{next(_names)}', *options])
        out, err = capfd.readouterr()
        return code, out + err

    return run


def fails(result, *parts):
    """Check for one message without a traceback, and nothing written."""
    code, text = result[0], result[1]
    assert code == 2
    assert text.count('error: ') == 1 and 'Traceback' not in text, text
    for part in parts:
        assert str(part) in text, f'{part} is not in:\n{text}'


def test_training_reports_what_runs_and_where_it_is(train, tiny_config, losses):
    config = tiny_config(iters=4, options={
        'default_hooks.checkpoint.save_best': 'mIoU'})
    code, text, work = train(config)
    assert code == 0, text
    assert f'{config} | scope mmseg | 1 x ' in text
    assert 'images: train 8, val 2 | seed 3' in text
    assert f'last checkpoint: {work / "iter_4.pth"}' in text
    assert f'best checkpoint: {work / "best_mIoU_iter_4.pth"}' in text
    assert sorted(losses(work)) == [1, 2, 3, 4]
    used = Config.fromfile(str(work / config.name))
    assert used.model.backbone.norm_cfg.type == 'BN'
    assert used.label_check.num_batches == 20


@pytest.mark.skipif(torch.cuda.is_available(), reason='the CPU\'s form of --amp')
def test_mixed_precision_trains_on_the_cpu(train, tiny_config, losses):
    code, text, work = train(tiny_config(iters=2), '--amp')
    assert code == 0, text
    assert 'autocast to bfloat16' in text
    mixed = losses(work)
    assert len(mixed) == 2 and all(np.isfinite(list(mixed.values())))
    plain = losses(train(tiny_config(iters=2, name='plain'))[2])
    assert plain != mixed
    assert plain[1] == pytest.approx(mixed[1], rel=0.02)


def test_label_outside_the_classes_ends_before_the_first_step(
        train, tiny_config, tiny_data):
    root = tiny_data()
    for path in (root / 'annotations' / 'train').glob('*.png'):
        Image.fromarray(np.asarray(Image.open(path)) + 1).save(path)
    code, text, work = train(tiny_config(root=root))
    fails((code, text), root / 'annotations' / 'train', 'found:   4',
          'reduce_zero_label=True', '    4: ')
    assert not list(work.glob('*.pth'))
    code, text, _ = train(tiny_config(iters=1, root=root, name='reduced'), options=[
        'train_dataloader.dataset.reduce_zero_label=True'])
    assert code == 0, text


def test_label_check_can_be_turned_off(train, tiny_config, tiny_data):
    root = tiny_data()
    for path in (root / 'annotations' / 'train').glob('*.png'):
        Image.fromarray(np.asarray(Image.open(path)) + 9).save(path)
    with pytest.raises(Exception, match='Target|out of bounds|index'):
        train(tiny_config(root=root), options=['label_check.num_batches=0'])


def test_no_dataset(train, tiny_config, tmp_path):
    config = tiny_config()
    code, text, work = train(config, options=[f'data_root={tmp_path / "no"}'])
    fails((code, text), 'the dataset is not there', tmp_path / 'no',
          'train_dataloader.dataset.data_root', 'SEGAWARE_MM_DATA',
          'val_dataloader.dataset.data_root')
    assert not work.exists()


def test_empty_split(train, tiny_config):
    config = tiny_config(options={'train_dataloader.dataset.img_suffix': '.jpg'})
    code, text, work = train(config)
    fails((code, text), 'train_dataloader.dataset', 'has no images', "8 of '.png'")
    assert not list(work.glob('*.pth'))


def test_truncated_image_in_a_worker(train, tiny_config, tiny_data):
    root = tiny_data()
    for path in (root / 'images' / 'train').glob('*.png'):
        path.write_bytes(path.read_bytes()[:900])
    code, text, _ = train(tiny_config(root=root, workers=1))
    fails((code, text), root / 'images' / 'train', 'cut short')


def test_unknown_part_of_a_model(train, tiny_config):
    config = tiny_config(options={'model.decode_head.type': 'FCNHed'})
    fails(train(config), 'FCNHed', 'Did you mean FCNHead')


def test_config_that_does_not_exist(train, tiny_config):
    config = tiny_config(name='my_net')
    fails(train(config.with_name('my_nett.py')), 'my_nett.py', f'Did you mean {config}')


def test_mistyped_option_is_remarked_upon(train, tiny_config):
    code, text, _ = train(tiny_config(iters=1), options=['optim_wraper.x=1'])
    assert code == 0
    assert 'Did you mean optim_wrapper' in text


def test_option_without_a_value(tiny_config, capfd):
    with pytest.raises(SystemExit) as ended:
        run_train([str(tiny_config()), '--cfg-options', 'a'])
    assert ended.value.code == 2
    assert "wants KEY=VALUE, got 'a'" in capfd.readouterr().err


def test_resume_without_a_checkpoint_starts_anew(train, tiny_config, losses):
    code, text, work = train(tiny_config(iters=1), '--resume')
    assert code == 0, text
    assert 'starting anew' in text and sorted(losses(work)) == [1]


@pytest.mark.parametrize('damage, words', [
    ('other', 'belongs to another model'), ('cut', 'cut short'),
    ('text', 'another kind of file'), ('weights', 'weights alone'),
    ('unknown', 'unknown to the model: 1 (more.weight)'),
    ('optimizer', 'the state of its optimizer'),
    ('absent', 'does not exist')])
def test_resume_from_a_wrong_checkpoint(damage, words, train, trained):
    config, work, good = trained
    bad = work / 'bad.pth'
    if damage == 'cut':
        bad.write_bytes(good.read_bytes()[:-2000])
    elif damage == 'text':
        bad.write_text('no checkpoint')
    elif damage != 'absent':
        content = torch.load(good, weights_only=False)
        if damage == 'other':
            content['state_dict'] = dict(list(content['state_dict'].items())[:40])
        elif damage == 'unknown':
            content['state_dict']['more.weight'] = torch.zeros(1)
        elif damage == 'optimizer':
            content['optimizer']['param_groups'][0]['params'].pop()
        else:
            content = dict(state_dict=content['state_dict'])
        torch.save(content, bad)
    before = good.read_bytes()
    fails(train(config, '--resume', bad), bad, words)
    assert good.read_bytes() == before


def test_testing_writes_predictions(trained, test, tmp_path):
    config, _, checkpoint = trained
    out = tmp_path / 'out'
    code, text = test(config, checkpoint, '--out', out)
    assert code == 0, text
    assert 'mIoU' in text and 'scope mmseg' in text
    assert sorted(p.name for p in out.iterdir()) == ['00.png', '01.png']
    assert np.asarray(Image.open(out / '00.png')).shape == (40, 48)


def test_testing_dumps_and_paints(trained, test, tmp_path):
    config, _, checkpoint = trained
    code, text = test(
        config, checkpoint, '--out', tmp_path / 'all.pkl', '--show-dir',
        tmp_path / 'painted', options=[
            'default_hooks.visualization.type=SegVisualizationHook',
            'default_hooks.visualization.interval=1'])
    assert code == 0, text
    assert len(pickle.loads((tmp_path / 'all.pkl').read_bytes())) == 2
    assert len(list((tmp_path / 'painted').rglob('*.png'))) == 2


def test_testing_with_another_models_weights(trained, test, tiny_config):
    _, _, checkpoint = trained
    wide = tiny_config(name='wide', options={
        'model.backbone.base_channels': 16, 'model.decode_head.in_channels': 64})
    fails(test(wide, checkpoint), 'weights of the model', 'of another shape',
          'belongs to another model')


def test_testing_with_a_file_that_is_no_checkpoint(trained, test):
    config, _, checkpoint = trained
    fails(test(config, checkpoint.with_name('iter_5.pth')), 'does not exist',
          'iter_4.pth')
    checkpoint.write_bytes(checkpoint.read_bytes()[:-3000])
    fails(test(config, checkpoint), checkpoint, 'cut short')


@pytest.mark.parametrize('args, words', [
    (['--tta'], 'tta_model and tta_pipeline'),
    (['--show-dir', 'x'], 'visualization hook'),
])
def test_testing_with_what_the_config_lacks(args, words, trained, test):
    config, _, checkpoint = trained
    fails(test(config, checkpoint, *args), words)


def test_painting_needs_a_visualizer(trained, test, tmp_path):
    config, _, checkpoint = trained
    fails(test(config, checkpoint, '--show-dir', tmp_path / 'x', options=[
        'visualizer=None', 'default_hooks.visualization.type=SegVisualizationHook']),
        'need the visualizer')


def detection_config(tmp_path) -> Path:
    """Write a tiny detection dataset and a config of mmdet."""
    (tmp_path / 'img').mkdir()
    images, boxes = [], []
    for i in range(4):
        Image.new('RGB', (64, 64), (40 * i, 90, 20)).save(tmp_path / 'img' / f'{i}.png')
        images.append(dict(id=i, file_name=f'{i}.png', width=64, height=64))
        boxes.append(dict(id=i + 1, image_id=i, category_id=1, area=400,
                          bbox=[10, 10, 20, 20], iscrowd=0))
    (tmp_path / 'a.json').write_text(json.dumps(dict(
        images=images, annotations=boxes, categories=[dict(id=1, name='box')])))
    steps = [dict(type='LoadImageFromFile'),
             dict(type='LoadAnnotations', with_bbox=True),
             dict(type='Resize', scale=(64, 64)), dict(type='PackDetInputs')]
    data = dict(type='CocoDataset', data_root=str(tmp_path), ann_file='a.json',
                data_prefix=dict(img='img'), metainfo=dict(classes=('box', )),
                pipeline=steps)
    head = dict(
        type='FCOSHead', num_classes=1, in_channels=8, feat_channels=8,
        stacked_convs=1, strides=[8, 16, 32], regress_ranges=(
            (-1, 32), (32, 64), (64, 1e8)),
        norm_cfg=dict(type='SyncBN'))
    loaders = {
        f'{split}_dataloader': dict(
            batch_size=2, num_workers=0, dataset=data,
            sampler=dict(type='DefaultSampler', shuffle=split == 'train'))
        for split in ('train', 'test')
    }
    cfg = Config(dict(
        default_scope='mmdet',
        model=dict(
            type='FCOS', data_preprocessor=dict(type='DetDataPreprocessor'),
            backbone=dict(type='ResNet', depth=18, base_channels=8,
                          norm_cfg=dict(type='SyncBN'), norm_eval=False),
            neck=dict(type='FPN', in_channels=[16, 32, 64], start_level=0,
                      out_channels=8, num_outs=3),
            bbox_head=head,
            test_cfg=dict(nms_pre=50, score_thr=0.0, max_per_img=5,
                          nms=dict(type='nms', iou_threshold=0.5))),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.001)),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=2),
        test_cfg=dict(type='TestLoop'),
        test_evaluator=dict(
            type='CocoMetric', ann_file=str(tmp_path / 'a.json'), metric='bbox'),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        randomness=dict(seed=0),
        visualizer=dict(type='DetLocalVisualizer',
                        vis_backends=[dict(type='LocalVisBackend')]),
        **loaders))
    cfg.model.backbone.out_indices = (1, 2, 3)
    path = tmp_path / 'det.py'
    cfg.dump(str(path))
    return path


def test_configs_of_mmdet_train_resume_and_test(train, test, tmp_path, losses):
    config = detection_config(tmp_path)
    code, text, work = train(config)
    assert code == 0, text
    assert 'scope mmdet' in text
    whole = losses(work)
    assert sorted(whole) == [1, 2, 3, 4]
    # Resumed at an epoch: the losses of the second one again.
    code, text, work = train(config, '--resume', work / 'epoch_1.pth')
    assert code == 0, text
    again = losses(work, last=True)
    assert again == {step: whole[step] for step in (3, 4)}
    code, text = test(config, work / 'epoch_2.pth', '--out', tmp_path / 'det.pkl')
    assert code == 0, text
    assert 'bbox_mAP' in text and (tmp_path / 'det.pkl').is_file()
