"""The configs of TransferNet: the released recipe, the small networks."""

from pathlib import Path

import pytest
import torch
import yaml

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402

import segaware_mm  # noqa: E402, F401

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'transfernet'
STAGES = ('transfernet-attention_vgg16_1xb8-120k_coco60-voc-320x320',
          'transfernet_vgg16_1xb4-240k_coco60-voc-320x320')
SMALL = ('transfernet_r18_1xb8-600i_coco-mini-224x224',
         'transfernet_r18_1xb8-1200i_scenes-128x160')
BOUNDS = tuple(name.replace('transfernet', kind) for kind in ('transfernet-full', 'cam')
               for name in SMALL)


def load(name: str) -> Config:
    return Config.fromfile(str(FOLDER / f'{name}.py'))


def build(cfg: Config, device: str = 'meta') -> torch.nn.Module:
    with DefaultScope.overwrite_default_scope('mmseg'), torch.device(device):
        return MODELS.build(cfg.model)


@pytest.mark.parametrize('name, batch, group, rate, weight', [
    (STAGES[0], 8, 8, 1e-3, 0), (STAGES[1], 4, 16, 5e-4, 2)])
def test_the_stages_are_the_released_ones(name, batch, group, rate, weight):
    cfg = load(name)
    optim = cfg.optim_wrapper
    assert (cfg.train_dataloader.batch_size, optim.accumulative_counts) == (batch, group)
    assert cfg.train_cfg.max_iters == 15000 * group
    assert (optim.optimizer.type, optim.optimizer.lr) == ('Adam', rate)
    assert optim.paramwise_cfg.bias_lr_mult == 2 and not cfg.param_scheduler
    assert cfg.model.decode_head.loss_seg.loss_weight == weight


@pytest.mark.parametrize('name, rate', [(STAGES[0], 1e-3), (STAGES[1], 5e-4)])
def test_learning_rates_of_the_layers(name, rate):
    """Biases twice the rate; the classifier's last layer 10 and 20 times."""
    from mmengine.optim import build_optim_wrapper
    cfg = load(name)
    model = build(cfg)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).param_groups
    rates = {id(p): group['lr'] / rate for group in groups for p in group['params']}
    for key, p in model.named_parameters():
        last = 10 if key.startswith('decode_head.classifier.2') else 1
        if p.requires_grad:
            assert rates[id(p)] == pytest.approx(last * (1 + key.endswith('bias'))), key


def test_the_second_stage_begins_with_the_first():
    first, second = (load(name) for name in STAGES)
    assert second.load_from == (f'work_dirs/{STAGES[0]}/'
                                f'iter_{first.train_cfg.max_iters}.pth')


def test_the_network_is_the_released_one():
    model = build(load(STAGES[1]))
    head = model.decode_head
    count = {name: sum(p.numel() for p in part.parameters())
             for name, part in head.named_children()}
    assert count['decoder'] == 7_675_202
    assert count['attention'] == 209_716_224 + 82_944 + 1_049_600 + 410_000
    assert count['classifier'] == 262_656 + 41_040
    assert not any(p.requires_grad for p in model.backbone.parameters())


@pytest.mark.parametrize('name', STAGES + SMALL + BOUNDS)
def test_the_model_index_lists_it(name):
    meta = yaml.safe_load((FOLDER / 'metafile.yaml').read_text())
    model, = (m for m in meta['Models'] if m['Name'] == name)
    cfg = load(name)
    assert Path(model['Config']).stem == name
    assert model['Metadata']['Batch Size'] == cfg.train_dataloader.batch_size
    assert model['Metadata']['Iterations'] == cfg.train_cfg.max_iters


@pytest.mark.parametrize('name', SMALL)
def test_small_networks_learn_masks_and_labels(name):
    """A batch of each domain: the target's has no say on figures."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    cfg = load(name)
    cfg.model.backbone.backbone.init_cfg = None
    torch.manual_seed(0)
    model = build(cfg, 'cpu').train()
    for domain in ('target', 'source'):
        seg = torch.full((1, 64, 96), 255)
        if domain == 'source':
            seg[:] = 0
            seg[:, 20:40, 30:60] = 6
        sample = SegDataSample(metainfo=dict(
            image_labels=[6], img_shape=(64, 96), ori_shape=(64, 96), domain=domain))
        sample.gt_sem_seg = PixelData(data=seg)
        losses = model.loss(torch.randn(1, 3, 64, 96), [sample])
        seg_loss = sum(v for k, v in losses.items() if 'loss_seg' in k)
        assert bool(seg_loss > 0) == (domain == 'source')
        total = sum(v for k, v in losses.items() if 'loss' in k)
        total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all()
               for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize('name, rates', [
    (SMALL[0], {'decode_head.attention': 3, 'decode_head.classifier': 3}),
    (BOUNDS[2], {'label_layer': 30})])
def test_photographs_keep_the_features_of_imagenet(name, rates):
    """Nothing of the encoder changes in a step; the layers of labels learn faster."""
    from mmengine.optim import build_optim_wrapper
    cfg = load(name)
    encoder = cfg.model.backbone.get('backbone', cfg.model.backbone)
    encoder.init_cfg = None
    model = build(cfg, 'cpu')
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    found = {id(p): group['lr'] for group in wrapper.param_groups
             for p in group['params']}
    left = set(rates)
    for key, p in model.named_parameters():
        begins = [one for one in rates if key.startswith(f'{one}.')]
        left -= set(begins)
        if p.requires_grad:
            rate = rates[begins[0]] if begins else 1
            assert found[id(p)] == pytest.approx(1e-3 * rate)
    assert not left
    before = {key: one.clone() for key, one in model.backbone.state_dict().items()}
    model.train()
    model.backbone(torch.randn(2, 3, 64, 64))
    assert not any(p.requires_grad for p in model.backbone.parameters())
    for key, one in model.backbone.state_dict().items():
        assert torch.equal(one, before[key]), key


@pytest.mark.parametrize('name', BOUNDS)
def test_rows_of_a_table_differ_in_what_they_say_alone(name):
    """The same backbone, batch, schedule and validation; masks of all, or of none.

    Rates of the layers that are not shared may differ.
    """
    ours = load('transfernet_' + name.split('_', 1)[1])
    other = load(name)
    if name.startswith('cam'):
        for cfg in (ours, other):
            for part in ('attention', 'classifier'):
                cfg.optim_wrapper.paramwise_cfg.custom_keys.pop(
                    f'decode_head.{part}', None)
        other.optim_wrapper.paramwise_cfg.custom_keys.pop('label_layer', None)
    for key in ('train_cfg', 'optim_wrapper', 'param_scheduler', 'val_dataloader',
                'val_evaluator', 'randomness'):
        assert ours[key] == other[key], key
    assert ours.train_dataloader.batch_size == other.train_dataloader.batch_size
    encoder = other.model.backbone
    assert ours.model.backbone.backbone == encoder.get('backbone', encoder)
    dataset = other.train_dataloader.dataset
    if name.startswith('cam'):
        assert dataset == ours.train_dataloader.dataset
        assert other.model.type == 'MultiLabelClassifier' and other.model.cam
    else:
        assert other.model == ours.model
        assert 'datasets' not in dataset and dataset.get('keep') is None
        assert dataset.pipeline == ours.train_dataloader.dataset.datasets[1].pipeline
    build(other)
