"""The configs of FCN-8s and DeconvNet: networks, recipes, index, a short training."""

from pathlib import Path

import pytest
import torch
import yaml

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402

import segaware_mm  # noqa: E402, F401

REPO = Path(__file__).resolve().parents[2]
FOLDER = REPO / 'configs' / 'transfernet'
FCN = 'fcn-8s_vgg16_1xb1-100k_voc-aug'
DECONV = 'deconvnet_vgg16_1xb64-60k_voc-aug-224x224'
PROPOSALS = 'deconvnet-proposals_vgg16_1xb64-60k_voc-aug-224x224'
SHORT = ('fcn-8s_r18_1xb4-600i_camvid-360x480',
         'deconvnet_r18_1xb4-600i_camvid-360x480')


def load(name: str, folder: str = 'transfernet') -> Config:
    return Config.fromfile(str(REPO / 'configs' / folder / f'{name}.py'))


def build(cfg: Config) -> torch.nn.Module:
    """Build a model without memory for its weights."""
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device('meta'):
        return MODELS.build(cfg.model)


def test_fcn_8s_is_the_published_heavy_training():
    cfg = load(FCN)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum) == (1e-10, .99)
    assert cfg.train_dataloader.batch_size == 1 and not cfg.param_scheduler
    assert not any('Crop' in step.type or 'Resize' in step.type
                   for part in cfg.train_dataloader.dataset.datasets
                   for step in part.pipeline)
    model = build(cfg)
    assert model.decode_head.scales == pytest.approx([1, .01, .0001])
    assert model.decode_head.loss_decode.reduction == 'sum'
    assert model.backbone.dropout.p == .5 and model.backbone.offset == 0


def test_deconvnet_is_the_published_network():
    model = build(load(DECONV))
    assert round(sum(p.numel() for p in model.parameters()) / 1e6) == 252
    assert model.backbone.num_pools == 5 and not model.backbone.frozen
    assert model.decode_head.fc6[0].kernel_size == (7, 7)
    convs = [m for m in model.modules() if isinstance(
        m, (torch.nn.Conv2d, torch.nn.ConvTranspose2d))]
    norms = [m for m in model.modules() if isinstance(m, torch.nn.SyncBatchNorm)]
    assert len(norms) == len(convs) - 1  # all but the scores


def test_proposals_change_the_test_alone():
    plain, ours = load(DECONV), load(PROPOSALS)
    extra = {k: ours.model.pop(k) for k in ('proposals', 'mode', 'topk', 'crop_size')}
    assert extra['topk'] == 50 and extra['mode'] == 'max'
    assert ours.model.pop('type') == 'ProposalAggregation'
    assert plain.model.pop('type') == 'EncoderDecoder'
    assert ours.to_dict() == plain.to_dict()


@pytest.mark.parametrize('name', SHORT)
def test_short_trainings_differ_from_the_peer_in_the_model_alone(name):
    ours, peer = load(name).to_dict(), load('fcn_r18-d16_1xb4-600i_camvid-360x480',
                                            'peers').to_dict()
    mine, theirs = ours.pop('model'), peer.pop('model')
    assert ours == peer
    encoder = mine['backbone'].get('backbone', mine['backbone'])
    assert encoder == theirs['backbone']
    assert mine['data_preprocessor'] == theirs['data_preprocessor']


@pytest.mark.parametrize('name', [FCN, DECONV, PROPOSALS, *SHORT])
def test_the_model_index_lists_it(name):
    index = yaml.safe_load((REPO / 'model-index.yml').read_text())
    assert 'configs/transfernet/metafile.yaml' in index['Import']
    meta = yaml.safe_load((FOLDER / 'metafile.yaml').read_text())
    model, = (m for m in meta['Models'] if m['Name'] == name)
    cfg = load(name)
    assert Path(model['Config']).stem == name
    assert model['In Collection'] == meta['Collections'][0]['Name']
    assert model['Metadata']['Batch Size'] == cfg.train_dataloader.batch_size
    assert model['Metadata']['Iterations'] == cfg.train_cfg.max_iters
    assert not model.get('Results')


@pytest.mark.parametrize('name', SHORT)
def test_short_trainings_train(name, tiny_data, tmp_path):
    """Two iterations on images of 40x48, and a validation."""
    root = tiny_data(train=4, val=1)
    cfg = load(name)
    backbone = 'model.backbone' + ('.backbone' if 'deconvnet' in name else '')
    cfg.merge_from_dict({
        'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'param_scheduler': [],
        'log_level': 'ERROR', 'vis_backends': [], 'visualizer.vis_backends': [],
        'work_dir': str(tmp_path / name), 'experiment_name': f'{tmp_path.name}_{name}',
        'model.data_preprocessor.size': (40, 48), 'train_dataloader.batch_size': 2,
        'default_hooks.checkpoint.interval': 2, f'{backbone}.init_cfg': None})
    for split in ('train', 'val', 'test'):
        cfg.merge_from_dict({f'{split}_dataloader': dict(
            num_workers=0, persistent_workers=False,
            dataset=dict(data_root=str(root), img_suffix='.png'))})
    steps = cfg.train_dataloader.dataset.pipeline
    steps[2].scale, steps[3].crop_size = (48, 40), (40, 48)
    runner = Runner.from_cfg(cfg)
    before = {k: v.clone() for k, v in runner.model.named_parameters()}
    runner.train()
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 2 and all(0 < loss < 20 for loss in losses)
    assert 0 <= runner.message_hub.get_scalar('val/mIoU').data[0][-1] <= 100
    after = dict(runner.model.named_parameters())
    assert not [k for k in before if torch.equal(before[k], after[k])]
    assert (tmp_path / name / 'iter_2.pth').is_file()
