"""Small trained models, and data in the layout of every target of a submission."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mnc_models import CODER, detector_cfg
from PIL import Image

from segaware_mm.datasets.scenes.generate import generate_scenes
from segaware_mm.engine.train import main as train
from segaware_mm.submission.coco_classes import STUFF, THINGS

SIZE = (64, 80)
COUNT = 4
#: What things of the scenes are called in COCO.
COCO_NAMES = dict(tower='bus', bush='potted plant', rock='sheep', disc='car',
                  ring='bicycle', star='person')


class Case(NamedTuple):
    """A target with a model and images.

    Attributes:
        target: Its name.
        config, checkpoint: Of the model; the test set of the config is ``images``.
        images: The folder, or COCO's image information.
        root: Of the data set, labels included.
        names: The server's names of the images, sorted.
    """

    target: str
    config: Path
    checkpoint: Path
    images: Path
    root: Path
    names: List[str]


class Data(NamedTuple):
    """Data on the disk.

    Attributes:
        images: The folder, or COCO's image information.
        root: The data set.
        names: The server's names of the images.
        dataset: Config of mmseg's or mmdet's dataset.
        metrics: Configs of the metrics of its score.
    """

    images: Path
    root: Path
    names: List[str]
    dataset: Dict[str, Any]
    metrics: List[Dict[str, Any]]


def _scenes(root: Path, layout: str) -> Path:
    return generate_scenes(root, layout, 0, COUNT, SIZE, seed=2, progress=False)


def _segmentation(images: Path, root: Path, names: List[str], **dataset: Any) -> Data:
    # Not rounded, as mmseg's IoUMetric rounds.
    return Data(images, root, sorted(names), dict(dataset, data_root=str(root)),
                [dict(type='ClassGroupIoUMetric', groups=dict(a=[FIRST[
                    dataset['type']]]))])


#: A class of each dataset.
FIRST = dict(CityscapesDataset='road', PascalVOCDataset='background',
             ADE20KDataset='wall', BaseSegDataset='other')


def cityscapes(root: Path) -> Data:
    """Cityscapes' tree, labels of training."""
    _scenes(root, 'cityscapes')
    images = root / 'leftImg8bit' / 'val'
    names = [path.name[:-len('_leftImg8bit.png')] for path in images.rglob('*.png')]
    return _segmentation(images, root, names, type='CityscapesDataset', data_prefix=dict(
        img_path='leftImg8bit/val', seg_map_path='gtFine/val'))


def voc(root: Path) -> Data:
    """VOC's tree with VOC's names."""
    _scenes(root, 'voc')
    for path in sorted(root.rglob('val_*')):
        path.rename(path.with_name(path.name.replace('val_', '2008_')))
    images = root / 'JPEGImages'
    names = [path.stem for path in images.iterdir()]
    chosen = root / 'ImageSets' / 'Segmentation' / 'val.txt'
    chosen.write_text('\n'.join(sorted(names)))
    return _segmentation(
        chosen, root, names, type='PascalVOCDataset', data_prefix=dict(
            img_path='JPEGImages', seg_map_path='SegmentationClass'),
        ann_file='ImageSets/Segmentation/val.txt')


def ade(root: Path) -> Data:
    """Images and masks with ADE20K's names and ids: 0 is none."""
    _scenes(root / 'scenes', 'mmseg')
    for kind in ('images', 'annotations'):
        (root / kind).mkdir()
        for number, path in enumerate(sorted((root / 'scenes' / kind).rglob('*.png')), 1):
            name, image = f'ADE_val_{number:08d}', Image.open(path)
            if kind == 'images':
                image.save(root / kind / f'{name}.jpg')
            else:
                labels = np.asarray(image)
                Image.fromarray(np.where(labels == 255, 0, labels + 1).astype(np.uint8)
                                ).save(root / kind / f'{name}.png')
    names = [path.stem for path in (root / 'images').iterdir()]
    return _segmentation(root / 'images', root, names, type='ADE20KDataset',
                         data_prefix=dict(img_path='images', seg_map_path='annotations'))


def stuff(root: Path) -> Data:
    """COCO's tree; the masks have the first classes of COCO-Stuff."""
    _scenes(root, 'coco')
    names = [path.stem for path in (root / 'val2017').iterdir()]
    classes = root / 'classes.txt'
    classes.write_text('\n'.join([*STUFF, 'other']))
    return _segmentation(
        root / 'val2017', root, names, type='BaseSegDataset',
        metainfo=dict(classes=str(classes)), data_prefix=dict(
            img_path='val2017', seg_map_path='stuffthingmaps/val2017'))


def coco(root: Path) -> Data:
    """COCO's tree with COCO's categories."""
    _scenes(root, 'coco')
    file = root / 'annotations' / 'instances_val2017.json'
    content = json.loads(file.read_text())
    ids = {one['id']: THINGS[COCO_NAMES[one['name']]] for one in content['categories']}
    for one in content['annotations']:
        one['category_id'] = ids[one['category_id']]
    content['categories'] = [dict(id=number, name=name)
                             for name, number in THINGS.items()]
    file.write_text(json.dumps(content))
    return Data(file, root, sorted(path.stem for path in (root / 'val2017').iterdir()),
                dict(type='CocoDataset', data_root=str(root), ann_file=str(file),
                     data_prefix=dict(img='val2017/')),
                [dict(type='CocoMetric', ann_file=str(file), metric='segm')])


def cityscapes_instances(root: Path) -> Data:
    """Cityscapes' tree and the annotations of its things."""
    data = cityscapes(root)
    file = next(root.rglob('instances*val*.json'))
    return data._replace(
        dataset=dict(type='CityscapesDataset', data_root=str(root), ann_file=str(file),
                     data_prefix=dict(img='leftImg8bit/val/')),
        metrics=[dict(type='CityScapesMetric', seg_prefix=str(root / 'gtFine/val'),
                      outfile_prefix=str(root / 'upstream'))])


DATA: Dict[str, Callable[[Path], Data]] = {
    'cityscapes-pixel': cityscapes, 'voc-comp5': voc, 'voc-comp6': voc, 'ade20k': ade,
    'coco-stuff': stuff, 'coco-instance': coco,
    'cityscapes-instance': cityscapes_instances}


def segmentor(classes: int) -> Dict[str, Any]:
    """A segmentor of 8 to 32 channels."""
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type='SegDataPreProcessor', mean=[127.5] * 3,
                               std=[64.] * 3, bgr_to_rgb=True, seg_pad_val=255,
                               size=SIZE, test_cfg=dict(size_divisor=1)),
        backbone=dict(type='ResNet', depth=18, base_channels=8, num_stages=3,
                      strides=(1, 2, 1), dilations=(1, 1, 2), out_indices=(0, 1, 2),
                      norm_cfg=dict(type='SyncBN')),
        decode_head=dict(type='FCNHead', in_channels=32, in_index=2, channels=16,
                         num_convs=1, num_classes=classes, align_corners=False,
                         norm_cfg=dict(type='SyncBN'), dropout_ratio=0.,
                         loss_decode=dict(type='CrossEntropyLoss')),
        test_cfg=dict(mode='whole'))


def detector(classes: int) -> Dict[str, Any]:
    """A Mask R-CNN of 8 to 16 channels."""
    roi = partial(dict, type='SingleRoIExtractor', out_channels=8,
                  featmap_strides=[4, 8], finest_scale=16)
    head = dict(
        type='StandardRoIHead',
        bbox_roi_extractor=roi(roi_layer=dict(type='RoIAlign', output_size=7)),
        bbox_head=dict(type='Shared2FCBBoxHead', in_channels=8, fc_out_channels=64,
                       num_classes=classes, bbox_coder=CODER),
        mask_roi_extractor=roi(roi_layer=dict(type='RoIAlign', output_size=14)),
        mask_head=dict(type='FCNMaskHead', num_convs=1, in_channels=8,
                       conv_out_channels=16, num_classes=classes,
                       loss_mask=dict(type='CrossEntropyLoss', use_mask=True)))
    model = detector_cfg(
        head, dict(type='RPNHead'), type='MaskRCNN',
        data_preprocessor=dict(type='DetDataPreprocessor', mean=[127.] * 3,
                               std=[64.] * 3, bgr_to_rgb=True, pad_mask=True,
                               pad_size_divisor=16))
    model.train_cfg.rcnn.mask_size = 28
    model.test_cfg.rcnn.update(score_thr=.02, mask_thr_binary=.5,
                               nms=dict(type='nms', iou_threshold=.5))
    return model.to_dict()


def write_config(path: Path, data: Data, classes: int, seg: bool, iters: int) -> Path:
    """Write the config of a model for data that it is trained and tested on."""
    first = [dict(type='LoadImageFromFile'),
             dict(type='LoadAnnotations', **({} if seg else dict(
                 with_bbox=True, with_mask=True)))]
    last = dict(type='PackSegInputs') if seg else dict(
        type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                                         'scale_factor'))
    resize = dict(type='Resize', scale=SIZE[::-1], keep_ratio=False)

    def loader(batch: int, steps: List[dict], **kwargs: Any) -> Dict[str, Any]:
        train = batch > 1
        return dict(batch_size=batch, num_workers=0, sampler=dict(
            type='InfiniteSampler' if train else 'DefaultSampler', shuffle=train),
            dataset=dict(data.dataset, pipeline=steps, **kwargs))

    Config(dict(
        default_scope='mmseg' if seg else 'mmdet',
        custom_imports=dict(imports=['segaware_mm'], allow_failed_imports=False),
        model=segmentor(classes) if seg else detector(classes),
        train_dataloader=loader(2, [*first, resize, last]),
        test_dataloader=loader(1, [first[0], resize, first[1], last],
                               **({} if seg else dict(test_mode=True))),
        test_evaluator=data.metrics,
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=4e-3)),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iters),
        test_cfg=dict(type='TestLoop'),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=iters)),
        log_processor=dict(by_epoch=False),
        randomness=dict(seed=1),
        env_cfg=dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
                     dist_cfg=dict(backend='nccl')),
        visualizer=dict(type='SegLocalVisualizer' if seg else 'DetLocalVisualizer',
                        name='visualizer', vis_backends=[dict(type='LocalVisBackend')])
    )).dump(str(path))
    return path


#: How many classes the models of the targets have.
CLASSES = {'cityscapes-pixel': 19, 'voc-comp5': 21, 'voc-comp6': 21, 'ade20k': 150,
           'coco-stuff': 92, 'coco-instance': 80, 'cityscapes-instance': 8}


def make_case(target: str, root: Path) -> Case:
    """Generate data, train a small model on it, and return both."""
    data = DATA[target](root / 'data')
    seg = 'instance' not in target
    iters = 40 if seg else 100
    config = write_config(root / f'{target.replace("-", "_")}.py', data, CLASSES[target],
                          seg, iters)
    assert train([str(config), '--work-dir', str(root / 'trained'), '--cfg-options',
                  f'experiment_name={target}']) == 0
    DefaultScope._instance_dict.clear()
    return Case(target, config, root / 'trained' / f'iter_{iters}.pth', data.images,
                root / 'data', data.names)
