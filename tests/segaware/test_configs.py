"""The segmentation-aware configs: recipes, starts, and trainings one on another."""

from pathlib import Path

import pytest
import torch
import yaml

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402

from segaware_mm.engine.pretrained import missing_weights  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
FOLDER = REPO / 'configs' / 'segaware'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))
R101 = 'segaware_r101-deeplabv2_1xb1-50k_voc-aug-321x321'
REAL = ('camvid', 'labelmefacade')


def load(name: str, folder: str = 'segaware') -> Config:
    return Config.fromfile(str(REPO / 'configs' / folder / f'{name}.py'))


@pytest.mark.parametrize('short, full', [
    ('segaware_r101_voc', R101),
    ('segaware_vgg16_voc', 'segaware_vgg16-largefov_1xb1-360k_voc-aug-321x321')])
def test_short_names_are_the_full_configs(short, full):
    alias = Config.fromfile(str(REPO / 'configs' / f'{short}.py'))
    assert alias.to_dict() == load(full).to_dict()


def test_the_released_pipeline_has_the_released_numbers():
    cfg = load(R101)
    wrapper = cfg.optim_wrapper
    assert wrapper.optimizer == dict(
        type='SGD', lr=2.5e-4, momentum=.9, weight_decay=5e-4)
    assert wrapper.accumulative_counts * cfg.train_dataloader.batch_size == 10
    assert cfg.train_cfg.max_iters == 5000 * wrapper.accumulative_counts
    (poly, ) = cfg.param_scheduler
    assert (poly.power, poly.eta_min, poly.end) == (.9, 0, cfg.train_cfg.max_iters)
    cfg.model.segmentor.init_cfg = cfg.model.embedding.init_cfg = None
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device('meta'), \
            pytest.warns(UserWarning, match='without a checkpoint'):
        model = MODELS.build(cfg.model)
    assert not any(p.requires_grad for p in model.segmentor.parameters())
    trained = {name.split('.')[0] for name, p in model.named_parameters()
               if p.requires_grad}
    assert trained == {'source', 'refinement'}
    field, filters = model.refinement.mean_field, model.refinement.filters
    assert field.windows == dict(bilateral_kernel=13, bilateral_dilation=9,
                                 spatial_kernel=5, spatial_dilation=1)
    assert field.num_iters == filters.passes == 2
    assert filters.kernel_size == 9 and filters.skip_in_training
    assert not filters.hardness.requires_grad
    assert model.source.module.hypercolumn.in_channels == (3, 64, 128, 256)
    assert [c.dilation[0] for c in model.segmentor.decode_head.conv_seg] == [
        6, 12, 18, 24]


def test_the_released_pipeline_refines_the_base_that_a_peer_trains():
    base = load('deeplabv2_r101-d8_1xb10-20k_voc-aug-321x321', 'peers')
    inner = load(R101).model.segmentor.to_dict()
    outer = base.model.to_dict()
    work_dir, last = inner.pop('init_cfg')['checkpoint'].split('/')[1:]
    assert (REPO / 'configs' / 'peers' / f'{work_dir}.py').is_file()
    assert last == f'iter_{base.train_cfg.max_iters}.pth'
    for part in (outer, inner):
        part['decode_head'].pop('loss_decode', None)
    outer['backbone'].pop('init_cfg')
    outer.pop('data_preprocessor')
    assert inner == outer


@pytest.mark.parametrize('data', REAL)
def test_the_refiner_refines_the_fcn_of_the_benchmark(data):
    fcn = load(f'fcn_r18-d16_1xb4-600i_{data}-360x480', 'peers')
    cfg = load(f'segaware-refined_fcn-r18-d16_1xb2-600i_{data}-360x480')
    inner, outer = cfg.model.segmentor.to_dict(), fcn.model.to_dict()
    outer['backbone'].pop('init_cfg')
    assert outer.pop('data_preprocessor') == cfg.model.data_preprocessor
    work_dir, last = inner.pop('init_cfg')['checkpoint'].split('/')[1:]
    assert (REPO / 'configs' / 'peers' / f'{work_dir}.py').is_file()
    assert last == f'iter_{fcn.train_cfg.max_iters}.pth'
    assert inner == outer


@pytest.mark.parametrize('data', REAL)
def test_the_refiner_reads_the_embedding_that_was_trained(data):
    one = load(f'embedding_r18_1xb4-600i_{data}-360x480')
    net = one.model.backbone.embedding.to_dict()
    cfg = load(f'segaware-refined_fcn-r18-d16_1xb2-600i_{data}-360x480')
    own = cfg.model.embedding.to_dict()
    work_dir, last = own.pop('init_cfg')['checkpoint'].split('/')[1:]
    assert (FOLDER / f'{work_dir}.py').is_file()
    assert last == f'iter_{one.train_cfg.max_iters}.pth'
    net['backbone'].pop('init_cfg')
    assert own == net


@pytest.mark.parametrize('aware, plain', [
    ('segaware_fcn-r18-d16_1xb4-600i_camvid-360x480',
     'fcn_r18-d16_1xb4-600i_camvid-360x480'),
    ('segaware_fcn-r18-d16_1xb4-600i_labelmefacade-360x480',
     'fcn_r18-d16_1xb4-600i_labelmefacade-360x480'),
    ('segaware_fcn-r18s-d8_1xb8-demo_scenes-128x160',
     'fcn_r18s-d8_1xb8-demo_scenes-128x160')])
def test_the_aware_head_is_the_plain_one_by_conv_cfg(aware, plain):
    ours, peer = load(aware).to_dict(), load(plain, 'peers').to_dict()
    head = ours['model'].pop('decode_head')['head']
    assert head.pop('conv_cfg')['type'] == 'SegAwareConv2d'
    assert head == peer['model'].pop('decode_head')
    for one in (ours, peer):
        for key in ('val_evaluator', 'test_evaluator'):
            one.pop(key)
    assert ours == peer


def test_the_model_index_lists_every_config():
    index = yaml.safe_load((REPO / 'model-index.yml').read_text())
    assert 'configs/segaware/metafile.yaml' in index['Import']
    meta = yaml.safe_load((FOLDER / 'metafile.yaml').read_text())
    (collection, ) = meta['Collections']
    assert (REPO / collection['README']).is_file()
    assert sorted(model['Name'] for model in meta['Models']) == NAMES
    for model in meta['Models']:
        assert model['In Collection'] == collection['Name']
        assert Path(model['Config']).stem == model['Name']
        cfg = Config.fromfile(str(REPO / model['Config']))
        assert model['Metadata']['Batch Size'] == cfg.train_dataloader.batch_size
        assert model['Metadata']['Iterations'] == cfg.train_cfg.max_iters
        assert not model.get('Results')


@pytest.fixture
def train(tiny_data, tmp_path):
    """Train a config of the project for two iterations on 40x48 images."""
    root = tiny_data(train=4, val=1)

    def run(name: str, folder: str = 'segaware', **options) -> Runner:
        cfg = load(name, folder)
        cfg.merge_from_dict({
            'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2,
            'param_scheduler': [], 'log_level': 'ERROR', 'vis_backends': [],
            'visualizer.vis_backends': [], 'work_dir': str(tmp_path / name),
            'experiment_name': f'{tmp_path.name}_{name}',
            'model.data_preprocessor.size': (40, 48), 'train_dataloader.batch_size': 2,
            'default_hooks.checkpoint.interval': 2,
            **{key.replace('__', '.'): value for key, value in options.items()}})
        for split in ('train', 'val', 'test'):
            cfg.merge_from_dict({f'{split}_dataloader': dict(
                num_workers=0, persistent_workers=False,
                dataset=dict(data_root=str(root), img_suffix='.png'))})
        steps = cfg.train_dataloader.dataset.pipeline
        steps[2].scale, steps[3].crop_size = (48, 40), (40, 48)
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner

    return run


def changed(runner: Runner, start: dict) -> set:
    """The parts of the model whose weights are not those of ``start``."""
    return {name.split('.')[0] for name, weight in runner.model.state_dict().items()
            if name in start and not torch.equal(weight, start[name])}


def test_embedding_then_refiner_train_on_camvid(train, tmp_path):
    """A plain FCN, an embedding, and the refiner that starts from both."""
    fcn = train('fcn_r18-d16_1xb4-600i_camvid-360x480', 'peers',
                model__backbone__init_cfg=None)
    embedding = train('embedding_r18_1xb4-600i_camvid-360x480',
                      model__backbone__embedding__backbone__init_cfg=None)
    pairs = embedding.message_hub.get_scalar('val/embedding/balanced').data[0]
    assert 0 <= pairs[-1] <= 100
    files = [Path(one.work_dir) / 'iter_2.pth' for one in (fcn, embedding)]
    refiner = train('segaware-refined_fcn-r18-d16_1xb2-600i_camvid-360x480',
                    model__segmentor__init_cfg__checkpoint=str(files[0]),
                    model__embedding__init_cfg__checkpoint=str(files[1]))
    losses = refiner.message_hub.get_scalar('train/loss_refined').data[0]
    assert len(losses) == 2 and all(0 < loss < 20 for loss in losses)
    base = {f'segmentor.{k}': v for k, v in fcn.model.state_dict().items()}
    assert base and not changed(refiner, base)
    start = {k.replace('backbone.embedding.', 'source.module.'): v
             for k, v in embedding.model.state_dict().items()}
    assert changed(refiner, start) == {'source'}
    field = refiner.model.refinement.mean_field
    assert not torch.equal(field.bilateral_weight, torch.eye(11))
    hub = refiner.message_hub
    assert 0 <= hub.get_scalar('val/mIoU').data[0][-1] <= 100
    assert 'val/trimap/mIoU@3' in hub.log_scalars


def test_the_aware_head_trains_on_camvid(train):
    runner = train('segaware_fcn-r18-d16_1xb4-600i_camvid-360x480',
                   model__backbone__init_cfg=None)
    assert (runner.message_hub.get_scalar('train/decode.loss_embed').data[0] > 0).all()
    hardness = [p for name, p in runner.model.named_parameters() if 'hardness' in name]
    assert len(hardness) == 3 and all(p.item() != .05 for p in hardness)


def test_the_refiner_names_the_weights_that_it_wants():
    text = missing_weights(load('segaware-refined_fcn-r18-d16_1xb2-600i_camvid-360x480'))
    assert 'model.segmentor.init_cfg.checkpoint = work_dirs/fcn_r18' in text
    assert 'model.embedding.init_cfg.checkpoint = work_dirs/embedding_r18' in text
    assert '--cfg-options model.embedding.init_cfg=None' in text
