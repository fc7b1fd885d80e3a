"""The RANet configs: networks, crops, labels, recipe, and training by the tool.

That every config of the project loads, names known parts and builds is tested
in tests/stack; here is what is particular to RANet's.
"""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.dataset import Compose  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402
from mmseg.registry import DATASETS, MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

from segaware_mm.datasets.scenes.generate import generate_scenes  # noqa: E402
from segaware_mm.engine.prepare import use_plain_batchnorm  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
ALIAS = 'configs/ranet_r101_cityscapes.py'
R101 = 'ranet_r101-d8_4xb2-40k_cityscapes-769x769'
HRNET = 'ranet_hrnetv2-w48-aspp_4xb2-40k_cityscapes-769x769'
NAMES = sorted(path.stem for path in (REPO / 'configs' / 'ranet').glob('*.py'))
DEMO = ('configs/ranet/ranet_r18s-d8_1xb8-demo_scenes-128x160.py',
        'configs/peers/fcn_r18s-d8_1xb8-demo_scenes-128x160.py')


@pytest.fixture(autouse=True)
def scope():
    """Parts are looked up in mmseg, as the Runner does."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def load(name: str, **changes) -> Config:
    """Load a config by its stem, without weights to fetch."""
    cfg = Config.fromfile(str(REPO / 'configs' / 'ranet' / f'{name}.py'))
    cfg.model.pop('pretrained', None)
    cfg.model.backbone.pop('init_cfg', None)
    cfg.merge_from_dict({key.replace('__', '.'): value
                         for key, value in changes.items()})
    return cfg


def build(cfg: Config, device: str = 'meta') -> torch.nn.Module:
    """Build the model; on 'meta' without memory for its weights."""
    with torch.device(device):
        return MODELS.build(deepcopy(cfg.model)).eval()


def classes(cfg: Config) -> int:
    """The number of classes that the training data have."""
    return len(DATASETS.get(cfg.train_dataloader.dataset.type).METAINFO['classes'])


def test_all_models_of_the_zoo_are_there():
    found = {(name.split('_')[1], name.split('_')[3].split('-')[0])
             for name in NAMES}
    assert found >= {
        ('r101-d8', 'cityscapes'), ('hrnetv2-w48-aspp', 'cityscapes'),
        ('r101-d8', 'pascal'), ('r101-d8', 'coco'), ('r18-d16', 'camvid'),
        ('r18s-d8', 'scenes')}


@pytest.mark.parametrize('name', NAMES)
def test_network_fits(name):
    """The head reads what the backbone gives; classes, crops and slide agree."""
    cfg = load(name)
    head = cfg.model.decode_head
    assert head.type == 'RANetHead'
    assert head.num_classes == classes(cfg)
    crop = tuple(cfg.model.data_preprocessor.size)
    pipeline = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert tuple(pipeline['RandomCrop'].crop_size) == crop
    test = cfg.model.test_cfg
    if test.mode == 'slide':
        assert tuple(test.crop_size) == crop
        assert tuple(test.stride) == (2 * (crop[0] + 1) // 3, ) * 2
    # Upstream's rule: corners are aligned where the crop is odd.
    assert head.align_corners == bool(crop[0] % 2)

    model = build(cfg)
    maps = model.extract_feat(torch.empty(1, 3, *crop, device='meta'))
    read = model.decode_head._select(maps)
    assert [x.shape[1] for x in read] == [
        c if isinstance(c, int) else sum(c) for c in head.in_channels]
    # Regions are built at stride 8 in every model.
    assert tuple(read[0].shape[2:]) == tuple(-(-size // 8) for size in crop)


def test_the_stated_numbers_of_classes():
    numbers = {name.split('_', 3)[3]: load(name).model.decode_head.num_classes
               for name in NAMES}
    assert numbers == {
        'cityscapes-769x769': 19, 'pascal-context-480x480': 60,
        'pascal-context-59-480x480': 59, 'coco-stuff10k-512x512': 171,
        'coco-stuff164k-512x512': 171, 'camvid-360x480': 11,
        'scenes-128x160': 10}


@pytest.mark.parametrize('name', [R101, HRNET])
def test_cityscapes_has_the_released_recipe(name):
    cfg = load(name)
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=.01, momentum=.9, weight_decay=5e-4)
    assert 'paramwise_cfg' not in cfg.optim_wrapper
    (poly, ) = cfg.param_scheduler
    assert (poly.type, poly.power, poly.eta_min, poly.end) == ('PolyLR', .9, 0, 40000)
    assert cfg.train_cfg.max_iters == 40000
    assert cfg.train_dataloader.batch_size * 4 == cfg.auto_scale_lr.base_batch_size == 8
    steps = cfg.train_dataloader.dataset.pipeline
    kinds = [step.type for step in steps]
    assert 'PhotoMetricDistortion' not in kinds
    assert kinds.index('GenerateRegionBoundary') < kinds.index('RandomChoice')
    scales = [choice[0].scale_factor
              for choice in steps[kinds.index('RandomChoice')].transforms]
    assert scales == pytest.approx(np.arange(7, 22) / 10)
    assert tuple(cfg.model.test_cfg.stride) == (513, 513)
    head = build(cfg).decode_head
    assert (head.construction.threshold, head.construction.num_representatives) == (.8, 8)
    assert (head.interaction.mode, head.interaction.scale) == ('released', 1)
    assert head.interaction.after_collect.conv.kernel_size == (3, )
    weights = [getattr(head, name).loss_weight for name in (
        'loss_decode', 'loss_aux', 'loss_boundary', 'loss_aux_boundary')]
    assert weights == [1, .4, .2, .08]


def test_dilations_are_the_released_ones():
    backbone = build(load(R101)).backbone
    assert [block.conv2.dilation[0] for block in backbone.layer3] == [2] * 23
    assert [block.conv2.dilation[0] for block in backbone.layer4] == [16, 32, 64]
    assert all(block.conv2.stride == (1, 1) for block in backbone.layer4)


def test_the_alias_is_the_full_config():
    alias = Config.fromfile(str(REPO / ALIAS))
    full = Config.fromfile(str(REPO / f'configs/ranet/{R101}.py'))
    assert alias.to_dict() == full.to_dict()


def test_the_demo_and_its_peer_differ_in_the_head_alone():
    ours, peer = (Config.fromfile(str(REPO / path)).to_dict() for path in DEMO)
    assert ours['model'].pop('decode_head') != peer['model'].pop('decode_head')
    assert ours == peer


@pytest.mark.parametrize('scale, bands', [(.7, {2, 3}), (2., {8})])
def test_boundary_maps_are_made_before_the_image_is_resized(scale, bands):
    """A band of four pixels at full size grows and shrinks with the image."""
    steps = load(R101).train_dataloader.dataset.pipeline
    kinds = [step.type for step in steps]
    choice = steps[kinds.index('RandomChoice')]
    choice.transforms = [c for c in choice.transforms if c[0].scale_factor == scale]
    crop = (24, int(60 * scale))
    steps[kinds.index('RandomCrop')].crop_size = crop
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 1
    out = Compose(steps[2:-1])(dict(
        img=np.zeros((40, 60, 3), np.uint8), gt_seg_map=labels,
        seg_fields=['gt_seg_map'], img_shape=(40, 60), ori_shape=(40, 60)))
    edges, labels = out['gt_edge_map'], out['gt_seg_map']
    assert edges.shape == labels.shape == crop
    assert set((edges == 1).sum(1)) <= bands
    step = int(np.argmax(np.diff(labels[0].astype(int)) != 0))
    assert edges[:, step].all() and edges[:, step + 1].all()


@pytest.mark.parametrize('name, suffix, stored, wanted', [
    ('pascal-context-480x480', '', [0, 1, 59], [0, 1, 59]),
    ('pascal-context-59-480x480', '', [0, 1, 59], [255, 0, 58]),
    ('coco-stuff10k-512x512', '_labelTrainIds', [0, 1, 171], [255, 0, 170]),
    ('coco-stuff164k-512x512', '_labelTrainIds', [0, 170, 255], [0, 170, 255]),
])
def test_stored_labels_become_classes(name, suffix, stored, wanted, tmp_path):
    (full, ) = [one for one in NAMES if one.endswith(f'_{name}')]
    node = load(full).train_dataloader.dataset
    for kind, content, tail in (
        ('img_path', np.zeros((9, 30, 3), np.uint8), '.jpg'),
        ('seg_map_path', np.repeat(stored, 10)[None].repeat(9, 0), f'{suffix}.png')):
        folder = tmp_path / node.data_prefix[kind]
        folder.mkdir(parents=True)
        Image.fromarray(content.astype(np.uint8)).save(folder / f'one{tail}')
    if 'ann_file' in node:
        listed = tmp_path / node.ann_file
        listed.parent.mkdir(parents=True)
        listed.write_text('one\n')
    node.data_root = str(tmp_path)
    node.pipeline = node.pipeline[:3]
    dataset = DATASETS.build(node)
    assert len(dataset) == 1
    labels = dataset[0]['gt_seg_map'][4, 5::10].tolist()
    edges = dataset[0]['gt_edge_map'][4].tolist()
    assert labels == wanted
    assert max(value for value in labels if value != 255) < classes(load(full))
    assert [edge == 255 for edge in edges[5::10]] == [value == 255 for value in wanted]
    assert 1 in edges and 0 in edges


def test_hrnet_trains_a_step():
    """All parts are there, with a tenth of the channels."""
    widths = [4, 8, 16, 32]
    cfg = load(HRNET, model__backbone__extra__stage2__num_channels=widths[:2],
               model__backbone__extra__stage3__num_channels=widths[:3],
               model__backbone__extra__stage4__num_channels=widths,
               model__neck__in_channels=widths, model__neck__channels=8,
               model__decode_head__in_channels=[60, 40],
               model__decode_head__channels=16)
    use_plain_batchnorm(cfg)
    torch.manual_seed(0)
    model = build(cfg, 'cpu').train()
    samples = [SegDataSample(gt_sem_seg=PixelData(
        data=torch.randint(0, 19, (1, 65, 65)))) for _ in range(2)]
    losses = model.loss(torch.randn(2, 3, 65, 65), samples)
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert torch.isfinite(model.neck.branches[2].conv.weight.grad).all()
    assert model.backbone.conv1.weight.grad.abs().sum() > 0


def sizes(crop: int, iters: int) -> list:
    """The options of the docs: a small network, crop and schedule."""
    side = f'({crop},{crop})'
    return [
        'model.backbone.depth=18', 'model.pretrained=None',
        'model.decode_head.in_channels=[256,512]', 'model.decode_head.channels=32',
        f'model.data_preprocessor.size={side}',
        f'train_dataloader.dataset.pipeline.4.crop_size={side}',
        f'model.test_cfg.crop_size={side}', f'model.test_cfg.stride={side}',
        f'train_cfg.max_iters={iters}', f'train_cfg.val_interval={iters}',
        'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False',
        'default_hooks.logger.interval=1']


def test_cityscapes_trains_on_scenes_in_its_layout(tmp_path, run_command, losses):
    """The short name, a folder of scenes, and options for sizes; no more."""
    data = generate_scenes(tmp_path / 'data' / 'cityscapes', 'cityscapes', train=4,
                           val=1, size=(64, 96), progress=False)
    work = tmp_path / 'work'
    done = run_command(
        'tools/train.py', REPO / ALIAS, '--work-dir', work, '--cfg-options',
        *sizes(65, 2), f'data_root={data}', timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    values = losses(work)
    assert sorted(values) == [1, 2] and all(0 < v < 100 for v in values.values())
    assert 'mIoU' in done.stdout + done.stderr
    assert (work / 'iter_2.pth').is_file()


def test_without_the_dataset_there_is_one_clear_error(tmp_path, run_command):
    done = run_command('tools/train.py', REPO / ALIAS, '--cfg-options',
                       'data_root=nowhere')
    text = done.stdout + done.stderr
    assert done.returncode == 2
    assert text.count('error: ') == 1 and 'Traceback' not in text, text
    for part in (tmp_path / 'nowhere', 'make_scenes.py --layout cityscapes',
                 'https://www.cityscapes-dataset.com'):
        assert str(part) in text
    assert not (tmp_path / 'work_dirs').exists()


def test_the_model_index_lists_every_config():
    index = yaml.safe_load((REPO / 'model-index.yml').read_text())
    assert index['Import'][0] == 'configs/ranet/metafile.yaml'
    meta = yaml.safe_load((REPO / index['Import'][0]).read_text())
    (collection, ) = meta['Collections']
    assert (REPO / collection['README']).is_file()
    assert sorted(model['Name'] for model in meta['Models']) == NAMES
    for model in meta['Models']:
        assert model['In Collection'] == collection['Name']
        cfg = Config.fromfile(str(REPO / model['Config']))
        assert Path(model['Config']).stem == model['Name']
        gpus = int(model['Name'].split('xb')[0].rsplit('_', 1)[1])
        assert model['Metadata']['Batch Size'] == gpus * cfg.train_dataloader.batch_size
        assert model['Metadata']['Iterations'] == cfg.train_cfg.max_iters
        # No numbers without a measurement of ours behind them.
        results = model.get('Results') or []
        for result in results if isinstance(results, list) else [results]:
            assert (REPO / 'benchmarks' / result['Measured in']).is_file()
