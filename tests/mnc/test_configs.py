"""MNC's configs: recipes, peers, and small trainings on generated data."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

pytest.importorskip('mmdet')

from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
FOLDER = REPO / 'configs' / 'mnc'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))


def load(name: str, folder: str = 'mnc') -> Config:
    return Config.fromfile(str(REPO / 'configs' / folder / f'{name}.py'))


@pytest.mark.parametrize('short, full', [
    ('mnc_vgg16_voc', 'mnc_vgg16_1xb1-25k_voc-sds'),
    ('mnc_r50_coco', 'mnc_r50_fpn_8xb2-1x_coco')])
def test_short_names_are_the_full_configs(short, full):
    alias = Config.fromfile(str(REPO / 'configs' / f'{short}.py'))
    assert alias.to_dict() == load(full).to_dict()


@pytest.mark.parametrize('name', NAMES)
def test_every_config_builds(name):
    from mmdet.registry import MODELS
    cfg = load(name)
    assert cfg.default_scope == 'mmdet' and cfg.custom_imports['imports'] == [
        'segaware_mm']
    with DefaultScope.overwrite_default_scope('mmdet'), torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert type(model).__name__ == 'MNC'
    assert model.roi_head.num_passes == 2


def test_the_network_is_the_published_one():
    cfg = load('mnc_vgg16_1xb1-25k_voc-sds')
    head = cfg.model.roi_head
    assert (head.mask_head.hidden_channels, head.mask_head.mask_size) == (256, 28)
    assert head.bbox_head.fc_out_channels == 4096
    warp = head.bbox_roi_extractor
    assert (warp.output_size, warp.pool, warp.featmap_strides) == (28, 2, [16])
    assert cfg.model.rpn_head.anchor_generator.scales == [8, 16, 32]
    rcnn = cfg.model.train_cfg.rcnn
    assert (rcnn.sampler.num, rcnn.sampler.pos_fraction) == (64, .3)
    assert cfg.optim_wrapper.accumulative_counts * cfg.train_dataloader.batch_size == 8
    assert cfg.train_cfg.max_iters == 8 * 25000
    assert cfg.param_scheduler[0].milestones == [8 * 20000]
    with DefaultScope.overwrite_default_scope('mmdet'), torch.device('meta'):
        from mmdet.registry import MODELS
        model = MODELS.build(cfg.model)
    sizes = {name: sum(p.numel() for p in getattr(model.roi_head, name)[0].parameters())
             for name in ('mask_head', 'bbox_head')}
    # The spec's counts: two paths, two classifiers of 21, the offsets of 20.
    assert sizes['mask_head'] == 25690368 + 201488
    assert sizes['bbox_head'] == 2 * 119545856 + 2 * 172053 + 655440


def test_the_released_settings():
    cfg = load('mnc_vgg16-released_1xb1-25k_voc-sds')
    head = cfg.model.roi_head
    assert head.mask_head.mask_size == 21 and head.mask_head.loss_mask.loss_weight == 2
    assert head.bbox_roi_extractor.sampling == head.gate_align == 'corner'
    for rpn in (cfg.model.train_cfg.rpn_proposal, cfg.model.test_cfg.rpn):
        assert rpn.min_bbox_size == 25


def test_the_released_limit_of_gradients_is_that_of_one_image():
    """The runner hands back the loss over the number of accumulated images."""
    from mmengine.optim import OptimWrapper
    cfg = load('mnc_vgg16-released_1xb1-25k_voc-sds')
    wrapper = OptimWrapper(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.),
                           accumulative_counts=cfg.optim_wrapper.accumulative_counts)
    wrapper.initialize_count_status(torch.nn.Linear(1, 1), 0, cfg.train_cfg.max_iters)
    scaled = wrapper.scale_loss(torch.tensor(1 / 512))
    assert cfg.model.rpn_head.offset_grad_clip == scaled.item()


@pytest.mark.parametrize('name', ['mnc_vgg16_1xb1-25k_voc-sds', 'mnc_vgg16_8xb1-40k_coco',
                                  'mnc_r101_8xb1-40k_coco'])
def test_every_object_has_its_best_anchor(name):
    """Small ones too: 20 pixels in an anchor of 128 are an IoU of .02."""
    from mmdet.registry import TASK_UTILS
    from mmengine.structures import InstanceData
    cfg = load(name).model.train_cfg.rpn.assigner
    with DefaultScope.overwrite_default_scope('mmdet'):
        assigner = TASK_UTILS.build(cfg)
    anchors = torch.tensor([[0., 0, 128, 128], [300, 300, 428, 428]])
    objects = torch.tensor([[50., 50, 70, 70], [500, 500, 520, 520]])
    found = assigner.assign(InstanceData(priors=anchors), InstanceData(
        bboxes=objects, labels=torch.zeros(2, dtype=torch.long)))
    assert found.gt_inds.tolist() == [1, 0]  # the second object touches no anchor


def test_all_nuclei_of_an_image_count(tmp_path):
    """pycocotools' first AP stops at 100 detections, whatever maxDets says."""
    from mmdet.registry import METRICS
    count, size = 150, (40, 110)
    masks = torch.zeros(count, *size, dtype=torch.bool)
    boxes = torch.tensor([[4 * (k % 25) + 1, 4 * (k // 25) + 1] for k in range(count)])
    for mask, (x, y) in zip(masks, boxes.tolist()):
        mask[y:y + 3, x:x + 3] = True
    path = tmp_path / 'val.json'
    path.write_text(json.dumps(dict(
        images=[dict(id=1, height=size[0], width=size[1], file_name='1.png')],
        categories=[dict(id=1, name='nucleus')],
        annotations=[dict(id=k + 1, image_id=1, category_id=1, iscrowd=0, area=9,
                          bbox=[x, y, 3, 3], segmentation=[
                              [x, y, x + 3, y, x + 3, y + 3, x, y + 3]])
                     for k, (x, y) in enumerate(boxes.tolist())])))
    cfg = load('mnc_r18_fpn_1xb2-600i_dsb2018').val_evaluator[0]
    metric = METRICS.build({**cfg, 'ann_file': str(path)})
    metric.dataset_meta = dict(classes=('nucleus', ))
    metric.process({}, [dict(img_id=1, ori_shape=size, pred_instances=dict(
        bboxes=torch.cat((boxes, boxes + 3), 1).float(), masks=masks,
        labels=torch.zeros(count, dtype=torch.long),
        scores=torch.linspace(.9, .1, count)))])
    scores = metric.evaluate(1)
    assert scores['coco/segm_mAP'] == scores['coco/bbox_mAP'] == 1


def test_the_folder_of_sbd_is_that_of_the_docs():
    root = load('mnc_vgg16_1xb1-25k_voc-sds').train_dataloader.dataset.data_root
    name = root.rsplit('/', 1)[-1]
    assert f'\n{name}/inst/ID.mat ' in (REPO / 'docs' / 'data.md').read_text()


@pytest.mark.parametrize('data', ['coco-mini', 'coco-mini-person', 'dsb2018'])
def test_peers_differ_in_the_cascade_alone(data):
    ours = load(f'mnc_r18_fpn_1xb2-600i_{data}').to_dict()
    peer = load(f'mask-rcnn_r18_fpn_1xb2-600i_{data}', 'peers').to_dict()
    models = [one.pop('model') for one in (ours, peer)]
    assert ours == peer
    for part in ('backbone', 'neck', 'data_preprocessor'):
        assert models[0][part] == models[1][part]
    rpn = [model['rpn_head'] for model in models]
    assert rpn[0].pop('type') == 'MNCRPNHead' and rpn[1].pop('type') == 'RPNHead'
    assert rpn[0] == rpn[1]
    sampler = [model['train_cfg']['rcnn']['sampler'] for model in models]
    assert sampler[0] == sampler[1]


def test_the_model_index_lists_every_config():
    index = yaml.safe_load((REPO / 'model-index.yml').read_text())
    assert 'configs/mnc/metafile.yaml' in index['Import']
    meta = yaml.safe_load((FOLDER / 'metafile.yaml').read_text())
    assert (REPO / meta['Collections'][0]['README']).is_file()
    assert sorted(model['Name'] for model in meta['Models']) == NAMES
    for model in meta['Models']:
        cfg = Config.fromfile(str(REPO / model['Config']))
        assert model['Metadata']['Batch Size'] == cfg.train_dataloader.batch_size
        assert model['Metadata']['Iterations'] == cfg.train_cfg.max_iters


def coco_json(root: Path, split: str, count: int, classes: int) -> None:
    """Images with two squares each, as COCO instances."""
    import cv2
    rng = np.random.default_rng(0)
    images, annotations = [], []
    (root / 'images' / split).mkdir(parents=True)
    for k in range(1, count + 1):
        image = rng.integers(0, 60, (64, 80, 3), dtype=np.uint8)
        images.append(dict(id=k, file_name=f'{k}.jpg', height=64, width=80))
        for j, (x, y) in enumerate(((6, 8), (44, 30))):
            image[y:y + 24, x:x + 28] += np.uint8(120 + 60 * j)
            kind = {0: [[x, y, x + 28, y, x + 28, y + 24, x, y + 24]],
                    1: dict(size=[64, 80], counts=runs(x, y))}[(k + j) % 2]
            annotations.append(dict(
                id=10 * k + j, image_id=k, category_id=1 + (k + j) % classes,
                bbox=[x, y, 28, 24], area=28 * 24, segmentation=kind,
                iscrowd=int(isinstance(kind, dict) and k == 3)))
        cv2.imwrite(str(root / 'images' / split / f'{k}.jpg'), image)
    images.append(dict(id=99, file_name='1.jpg', height=64, width=80))  # no object
    (root / f'{split}.json').write_text(json.dumps(dict(
        images=images, annotations=annotations,
        categories=[dict(id=k, name=name) for k, name in enumerate(
            ('a', 'b')[:classes], 1)])))


def runs(x: int, y: int) -> list:
    """COCO's uncompressed run lengths, down the columns, of a 28 x 24 box."""
    mask = np.zeros((64, 80), int)
    mask[y:y + 24, x:x + 28] = 1
    flat = mask.flatten(order='F')
    ends = np.flatnonzero(np.diff(flat)) + 1
    return np.diff([0, *ends.tolist(), flat.size]).tolist()


@pytest.fixture
def trained(tmp_path):
    """A function that trains a small config for two iterations."""

    def run(name: str, folder: str, classes: int) -> Runner:
        root = tmp_path / 'data'
        if not root.is_dir():
            coco_json(root, 'train', 4, classes)
            coco_json(root, 'val', 2, classes)
        cfg = load(name, folder)
        names = ('a', 'b')[:classes]
        cfg.merge_from_dict({
            'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'param_scheduler': [],
            'log_level': 'ERROR', 'vis_backends': [], 'visualizer.vis_backends': [],
            'work_dir': str(tmp_path / name), 'model.backbone.init_cfg': None,
            'experiment_name': f'{tmp_path.name}_{name}',
            'default_hooks.checkpoint.interval': 2})
        head = cfg.model.roi_head
        head.bbox_head.num_classes = classes
        if folder == 'peers':
            head.mask_head.num_classes = classes
        for split in ('train', 'val', 'test'):
            loader = cfg[f'{split}_dataloader']
            loader.update(num_workers=0, persistent_workers=False)
            part = 'train' if split == 'train' else 'val'
            loader.dataset.update(
                data_root=str(root), metainfo=dict(classes=names),
                ann_file=f'{part}.json', data_prefix=dict(img=f'images/{part}/'))
            for step in loader.dataset.pipeline:
                if step.type == 'Resize':
                    step.scale = (80, 64)
        cfg.val_evaluator[0].ann_file = str(root / 'val.json')
        cfg.test_evaluator[0].ann_file = str(root / 'val.json')
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner

    return run


@pytest.mark.parametrize('name, folder, classes', [
    ('mnc_r18_fpn_1xb2-600i_coco-mini', 'mnc', 2),
    ('mnc_r18_fpn_1xb2-600i_dsb2018', 'mnc', 1),
    ('mask-rcnn_r18_fpn_1xb2-600i_coco-mini', 'peers', 2)])
def test_small_configs_train_and_score(trained, name, folder, classes):
    """Polygons, run lengths, a crowd, an image without an object."""
    runner = trained(name, folder, classes)
    scalars = runner.message_hub.log_scalars
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == 2 and all(np.isfinite(losses))
    for key in ('val/coco/segm_mAP', 'val/coco/bbox_mAP', 'val/voc_inst/mAPr@0.5'):
        assert 0 <= scalars[key].data[0][-1] <= 1, key
