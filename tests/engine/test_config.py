"""Reading configs, merging options, fitting to the machine."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import nn

from segaware_mm.engine import prepare
from segaware_mm.engine.config_file import merge_options, read_config, read_keys
from segaware_mm.engine.errors import ConfigError

ARGS = dict(config='a/b/net.py', work_dir=None, launcher='none', amp=False,
            auto_scale_lr=False, resume=None, checkpoint='c.pth')


def args(**changes):
    """Return parsed arguments of both tools."""
    return SimpleNamespace(**{**ARGS, **changes})


def small(**more):
    """Return a config with all that training and testing want."""
    loops = {f'{split}_{what}': dict(batch_size=2) for split in ('train', 'test')
             for what in ('dataloader', 'cfg', 'evaluator')}
    parts = dict(model=dict(type='X'), optim_wrapper=dict(type='OptimWrapper'))
    return Config({**parts, **loops, **more})


@pytest.fixture
def on_cpu(monkeypatch):
    """Tests of the CPU's adjustments hold on a machine with a GPU too."""
    monkeypatch.setattr(prepare, 'get_device', lambda: 'cpu')


@pytest.fixture
def on_gpu(monkeypatch):
    """Pretend to have a GPU."""
    monkeypatch.setattr(prepare, 'get_device', lambda: 'cuda')


def test_absent_config_gets_near_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'configs' / 'ranet').mkdir(parents=True)
    (tmp_path / 'configs' / 'ranet' / 'ranet_r18_camvid.py').touch()
    with pytest.raises(ConfigError) as caught:
        read_config('configs/ranet_r18_camvd.py')
    assert 'Did you mean configs/ranet/ranet_r18_camvid.py?' in str(caught.value)
    assert str(tmp_path / 'configs' / 'ranet_r18_camvd.py') in str(caught.value)


@pytest.mark.parametrize('text, words', [
    ('model = dict(', 'could not be read'),
    ('norm_cfg = dict()', 'has no `model`'),
    ("_base_ = './no.py'\nmodel = dict()", 'no.py'),
    ("model = dict()\ncustom_imports = dict(imports=['no_such_package'], "
     'allow_failed_imports=False)', 'no_such_package'),
    ('model = dict()\ndata = dict()\nrunner = dict()', '0.x'),
])
def test_config_that_cannot_be_used(text, words, tmp_path):
    path = tmp_path / 'c.py'
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(str(path))
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_unknown_option_is_remarked_upon_with_a_near_name():
    cfg = small()
    notes = merge_options(cfg, {'train_dataloder.batch_size': 4, 'model.a': 1})
    assert len(notes) == 1
    assert 'train_dataloder' in notes[0]
    assert 'Did you mean train_dataloader' in notes[0]
    assert cfg.model.a == 1


@pytest.mark.parametrize('key', [
    'load_from', 'randomness.seed', 'custom_hooks', 'label_check.num_batches',
    'find_unused_parameters', 'work_dir'])
def test_keys_that_the_runner_reads_are_known(key):
    assert merge_options(small(), {key: None}) == []


@pytest.mark.parametrize('key, place', [
    ('optimizer.lr', 'optim_wrapper.optimizer'),
    ('crop_size', 'train_dataloader.dataset.pipeline.1.crop_size')])
def test_a_variable_of_the_config_file_changes_nothing_and_is_remarked_upon(
        key, place):
    optimizer, crop = dict(type='SGD', lr=1), (9, 9)
    cfg = small(optimizer=optimizer, crop_size=crop, optim_wrapper=dict(
        optimizer=dict(optimizer)), train_dataloader=dict(dataset=dict(
            pipeline=[dict(type='L'), dict(type='RandomCrop', crop_size=crop)])))
    note, = merge_options(cfg, {key: 5})
    assert 'nothing reads it' in note and f'Set {place} instead' in note


def test_shipped_schedules_have_no_free_variables(repo):
    for path in (repo / 'configs' / '_base_' / 'schedules').glob('*.py'):
        assert set(Config.fromfile(path)) <= set(read_keys()), path


@pytest.mark.parametrize('name', [
    'coco-stuff10k-512x512', 'pascal-context-480x480', 'pascal-context-59-480x480'])
def test_recipes_after_upstream_have_a_seed_and_upstreams_end(name, repo):
    cfg = read_config(str(repo / 'configs' / 'ranet' /
                          f'ranet_r101-d8_4xb4-40k_{name}.py'))
    scheduler, = cfg.param_scheduler
    assert (scheduler.eta_min, scheduler.end) == (1e-4, cfg.train_cfg.max_iters)
    assert cfg.randomness.seed is not None


def test_an_empty_data_variable_is_as_none(tmp_path, monkeypatch):
    path = tmp_path / 'c.py'
    path.write_text("model = dict()\nroot = '{{$SEGAWARE_MM_DATA:data}}/x'")
    monkeypatch.setenv('SEGAWARE_MM_DATA', '')
    assert read_config(str(path)).root == 'data/x'


def test_data_root_is_handed_down():
    data = dict(type='D', data_root='old/', ann_file='x.json')
    cfg = small(
        data_root='old/', train_dataloader=dict(dataset=dict(
            type='R', dataset=dict(data))),
        val_dataloader=dict(dataset=dict(data, data_root='other')),
        val_evaluator=dict(type='M', ann_file='old/x.json'))
    notes = merge_options(cfg, {'data_root': '/new'})
    assert cfg.train_dataloader.dataset.dataset.data_root == '/new'
    assert cfg.val_dataloader.dataset.data_root == 'other'
    assert cfg.val_evaluator.ann_file == '/new/x.json'
    assert 'train_dataloader.dataset.dataset.data_root' in notes[0]


def test_option_that_does_not_fit_the_structure():
    with pytest.raises(ConfigError, match='does not fit the config'):
        merge_options(small(hooks=[1, 2]), {'hooks.7': 1})


def test_work_dir_from_command_line_then_config_then_name():
    for given, inside, wanted in (('w', 'v', 'w'), (None, 'v', 'v'),
                                  (None, None, './work_dirs/net')):
        cfg = small(work_dir=inside)
        prepare.set_work_dir(cfg, args(work_dir=given))
        assert cfg.work_dir == wanted


def test_a_work_dir_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    for name in ('file', 'file/below'):
        with pytest.raises(ConfigError, match='file is a file.*--work-dir'):
            prepare.set_work_dir(small(), args(work_dir=str(tmp_path / name)))
    monkeypatch.setattr(prepare.os, 'access', lambda *_: False)
    with pytest.raises(ConfigError, match=f'{tmp_path} cannot be written to'):
        prepare.set_work_dir(small(), args(work_dir=str(tmp_path / 'new')))
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize('fit, script', [
    (prepare.prepare_train, 'dist_train.sh'), (prepare.prepare_test, 'dist_test.sh')])
def test_launcher_without_torchrun(fit, script, on_cpu, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(ConfigError, match=f'RANK is not set.*{script}'):
        fit(small(), args(launcher='pytorch'))


def sync():
    """Return a model config with three sync norms."""
    norm = dict(type='SyncBN', requires_grad=True)
    return dict(type='X', norm_cfg=dict(norm), heads=[
        dict(norm_cfg=dict(norm)), dict(deep=(dict(type='MMSyncBN'), ))])


def test_sync_bn_becomes_bn_in_one_process(on_gpu):
    cfg = small(model=sync())
    notes = prepare.use_plain_batchnorm(cfg)
    assert 'SyncBN' not in str(cfg.model) and '3 place(s)' in notes[0]
    assert cfg.model.norm_cfg.requires_grad is True


def test_sync_bn_given_as_a_class_becomes_bn(on_gpu):
    cfg = small(model=dict(type='X', norm_cfg=dict(type=nn.SyncBatchNorm)))
    prepare.use_plain_batchnorm(cfg)
    assert cfg.model.norm_cfg.type == 'BN'


def test_sync_bn_stays_in_a_group_of_gpus(on_gpu):
    cfg = small(model=sync(), launcher='pytorch')
    assert prepare.use_plain_batchnorm(cfg) == []
    assert str(cfg.model).count('SyncBN') == 3


def test_sync_bn_becomes_bn_in_a_group_on_the_cpu(on_cpu):
    cfg = small(model=sync(), launcher='pytorch', sync_bn='torch')
    assert 'CUDA' in prepare.use_plain_batchnorm(cfg)[0]
    assert 'SyncBN' not in str(cfg.model) and cfg.sync_bn is None


def test_group_on_the_cpu_takes_gloo(on_cpu):
    cfg = small(launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='nccl')))
    notes = prepare.use_cpu_group(cfg)
    assert cfg.env_cfg.dist_cfg.backend == 'gloo' and notes
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel', broadcast_buffers=False,
        find_unused_parameters=False, device_ids=None)


def test_group_of_gpus_stays_as_it_is(on_gpu):
    cfg = small(launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='nccl')))
    assert prepare.use_cpu_group(cfg) == []
    assert cfg.env_cfg.dist_cfg.backend == 'nccl'


def test_slurm_without_gpus_is_refused(on_cpu):
    with pytest.raises(ConfigError, match='dist_train.sh'):
        prepare.use_cpu_group(small(launcher='slurm'))


def test_amp_on_a_gpu_is_upstreams(on_gpu):
    cfg = small()
    prepare.enable_amp(cfg, True)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', loss_scale='dynamic')


def test_amp_on_the_cpu_is_bfloat16_and_says_so(on_cpu):
    cfg = small(optim_wrapper=dict(
        type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(lr=1)))
    notes = prepare.enable_amp(cfg, False)
    assert cfg.optim_wrapper == dict(
        type='CpuAmpOptimWrapper', optimizer=dict(lr=1))
    assert 'bfloat16' in notes[0]
    assert 'segaware_mm' in cfg.custom_imports.imports


def test_amp_of_a_work_dir_from_the_cpu_becomes_the_gpus(on_gpu):
    cfg = small(optim_wrapper=dict(type='CpuAmpOptimWrapper'))
    notes = prepare.enable_amp(cfg, False)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', loss_scale='dynamic')
    assert 'GPU' in notes[0]


@pytest.mark.parametrize('kind, after', [
    (OptimWrapper, 'CpuAmpOptimWrapper'), (AmpOptimWrapper, 'CpuAmpOptimWrapper')])
def test_optimizer_wrappers_given_as_classes(kind, after, on_cpu):
    cfg = small(optim_wrapper=dict(type=kind))
    prepare.enable_amp(cfg, True)
    assert cfg.optim_wrapper.type == after


def test_amp_with_another_wrapper_is_refused(on_cpu):
    with pytest.raises(ConfigError, match="'Other'"):
        prepare.enable_amp(small(optim_wrapper=dict(type='Other')), True)


def test_auto_scale_lr_needs_a_base(on_cpu):
    with pytest.raises(ConfigError, match='base_batch_size'):
        prepare.prepare_train(small(), args(auto_scale_lr=True))
    cfg = small(auto_scale_lr=dict(enable=False, base_batch_size=8))
    prepare.prepare_train(cfg, args(auto_scale_lr=True))
    assert cfg.auto_scale_lr.enable is True


def test_one_kept_checkpoint_becomes_two(on_cpu):
    cfg = small(default_hooks=dict(checkpoint=dict(max_keep_ckpts=1)))
    notes = prepare.prepare_train(cfg, args())
    assert cfg.default_hooks.checkpoint.max_keep_ckpts == 2
    assert any('two checkpoints' in note for note in notes)


@pytest.mark.parametrize('seed, exact', [(None, False), (0, True)])
def test_exact_resume_goes_with_a_seed(seed, exact, on_cpu):
    cfg = small(randomness=dict(seed=seed))
    prepare.prepare_train(cfg, args())
    assert cfg.exact_resume is exact
    assert cfg.label_check.num_batches == 20


def test_exact_resume_without_a_seed_is_refused(on_cpu):
    with pytest.raises(ConfigError, match='exact_resume=True needs a seed'):
        prepare.prepare_train(small(exact_resume=True), args())


def test_what_is_set_by_hand_stays(on_cpu):
    cfg = small(randomness=dict(seed=0), exact_resume=False,
                label_check=dict(num_batches=0))
    prepare.prepare_train(cfg, args())
    assert cfg.exact_resume is False and cfg.label_check.num_batches == 0


def test_config_without_training_part_is_refused(on_cpu):
    cfg = small(train_dataloader=None)
    with pytest.raises(ConfigError, match='train_dataloader'):
        prepare.prepare_train(cfg, args())
