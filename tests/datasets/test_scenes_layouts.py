"""Every layout is read by the upstream classes it was made for."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segaware_mm.datasets.scenes import SCENE_CLASSES, render_scene
from segaware_mm.datasets.scenes.encoding import rle, voc_colormap
from segaware_mm.datasets.scenes.generate import generate_scenes
from segaware_mm.datasets.scenes.layouts import LAYOUTS

ROOT = Path(__file__).parents[2]
SIZE = (64, 96)
TRAIN, VAL = 4, 2


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes')
    return {
        name: generate_scenes(root / 'VOC2012' if name == 'voc' else root /
                              name, name, TRAIN, VAL, SIZE, seed=3,
                              progress=False)
        for name in LAYOUTS
    }


def scene(split, index):
    return render_scene(3, index, SIZE, split)


def read(path):
    return np.array(Image.open(path))


def load(dataset, index):
    """Run the upstream loading transforms on one sample."""
    from mmseg.registry import TRANSFORMS
    data = dataset.get_data_info(index)
    for kind in ('LoadImageFromFile', 'LoadAnnotations'):
        data = TRANSFORMS.build(dict(type=kind, _scope_='mmseg'))(data)
    return data['img'][..., ::-1], data['gt_seg_map']


def mapped(layout, semantic):
    table = np.array([LAYOUTS[layout].class_ids[i]
                      for i in range(len(SCENE_CLASSES))])
    return table[semantic]


def test_mmseg_layout_is_read_by_our_dataset(folders):
    pytest.importorskip('mmseg')
    from segaware_mm.datasets.scenes_dataset import ScenesDataset
    for split, count in (('train', TRAIN), ('val', VAL)):
        dataset = ScenesDataset(
            data_root=str(folders['mmseg']),
            data_prefix=dict(img_path=f'images/{split}',
                             seg_map_path=f'annotations/{split}'))
        assert len(dataset) == count
        for index in range(count):
            image, label = load(dataset, index)
            assert (image == scene(split, index).image).all()
            assert (label == scene(split, index).semantic).all()
    assert list(dataset.metainfo['classes']) == [c.name for c in SCENE_CLASSES]


def test_shipped_config_reads_the_mmseg_layout(folders):
    pytest.importorskip('mmseg')
    from mmengine.config import Config
    from mmseg.registry import DATASETS

    import segaware_mm.datasets.scenes_dataset  # noqa: F401  registers it
    config = Config.fromfile(
        ROOT / 'configs' / '_base_' / 'datasets' / 'scenes_128x160.py')
    for part, count in (('train', TRAIN), ('val', VAL)):
        settings = config[f'{part}_dataloader'].dataset
        assert settings.data_root == 'data/scenes'
        settings.data_root = str(folders['mmseg'])
        settings._scope_ = 'mmseg'
        dataset = DATASETS.build(settings)
        assert len(dataset) == count
        sample = dataset[0]
        label = sample['data_samples'].gt_sem_seg.data
        assert sample['inputs'].shape[1:] == label.shape[1:]
        assert set(np.unique(label)) <= set(range(len(SCENE_CLASSES))) | {255}


def test_cityscapes_layout_is_read_by_mmseg(folders):
    mmseg = pytest.importorskip('mmseg.datasets')
    dataset = mmseg.CityscapesDataset(
        data_root=str(folders['cityscapes']),
        data_prefix=dict(img_path='leftImg8bit/val',
                         seg_map_path='gtFine/val'))
    assert len(dataset) == VAL
    assert dataset.metainfo['classes'] == LAYOUTS['cityscapes'].class_names
    for index in range(VAL):
        image, label = load(dataset, index)
        assert (image == scene('val', index).image).all()
        assert (label == mapped('cityscapes',
                                scene('val', index).semantic)).all()


def test_cityscapes_instance_ids_follow_the_official_code(folders):
    fine = folders['cityscapes'] / 'gtFine' / 'train' / 'scenestrain'
    objects = 0
    for index in range(TRAIN):
        stem = f'scenestrain_{index:06d}_000000_gtFine'
        labels = read(fine / f'{stem}_labelIds.png').astype(int)
        coded = read(fine / f'{stem}_instanceIds.png').astype(int)
        single = coded >= 1000
        assert (np.where(single, coded // 1000, coded) == labels).all()
        assert np.isin(labels[single], (24, 26, 33)).all()
        assert not np.isin(labels[~single], (24, 26, 33)).any()
        drawn = scene('train', index)
        for value in np.unique(coded[single]):
            assert len(np.unique(drawn.instance_map[coded == value])) == 1
            objects += 1
    assert objects > 0


def test_cityscapes_layout_is_read_by_mmdet(folders):
    mmdet = pytest.importorskip('mmdet.datasets')
    dataset = mmdet.CityscapesDataset(
        data_root=str(folders['cityscapes']),
        ann_file='annotations/instancesonly_filtered_gtFine_train.json',
        data_prefix=dict(img='leftImg8bit/train/'),
        pipeline=[])
    assert len(dataset) == TRAIN
    names = {dataset.metainfo['classes'][item['bbox_label']]
             for i in range(TRAIN)
             for item in dataset.get_data_info(i)['instances']}
    assert names and names <= {'person', 'car', 'bicycle'}
    assert read(dataset.get_data_info(0)['img_path']).shape == SIZE + (3, )


def test_voc_layout_is_read_by_mmseg(folders):
    mmseg = pytest.importorskip('mmseg.datasets')
    dataset = mmseg.PascalVOCDataset(
        ann_file='ImageSets/Segmentation/train.txt',
        data_root=str(folders['voc']),
        data_prefix=dict(img_path='JPEGImages',
                         seg_map_path='SegmentationClass'))
    assert len(dataset) == TRAIN
    assert dataset.metainfo['classes'] == LAYOUTS['voc'].class_names
    for index in range(TRAIN):
        image, label = load(dataset, index)
        void = label == 255
        wanted = mapped('voc', scene('train', index).semantic)
        assert 0 < void.mean() < 0.4
        assert (label[~void] == wanted[~void]).all()
        difference = np.abs(image.astype(int) - scene('train', index).image)
        assert np.median(difference) < 10  # JPEG


def test_voc_objects_contours_and_boxes(folders):
    mmdet = pytest.importorskip('mmdet.datasets')
    dataset = mmdet.VOCDataset(
        ann_file=f'{folders["voc"].name}/ImageSets/Main/val.txt',
        data_root=str(folders['voc'].parent),
        data_prefix=dict(sub_data_root=f'{folders["voc"].name}/'),
        test_mode=True,
        pipeline=[])
    assert len(dataset) == VAL
    for index in range(VAL):
        drawn = scene('val', index)
        classes = read(folders['voc'] / f'SegmentationClass/val_{index:06d}.png')
        objects = read(folders['voc'] / f'SegmentationObject/val_{index:06d}.png')
        void = classes == 255
        assert (void == (objects == 255)).all()
        assert (objects[~void] == drawn.instance_map[~void]).all()
        assert ((objects > 0) == (classes > 0)).all()
        boxes = [item['bbox'] for item in
                 dataset.get_data_info(index)['instances']]
        wanted = [[x, y, x + w, y + h]
                  for x, y, w, h in (item.bbox for item in drawn.instances)]
        # VOC's box includes its last pixel, mmdet only takes one off the first
        assert np.abs(np.array(boxes) - wanted).max() <= 1


def test_voc_without_void_border_has_every_pixel_labelled():
    semantic, objects = LAYOUTS['voc'](void_border=False).label_maps(
        scene('train', 0))
    assert semantic.max() < 21
    assert (objects == scene('train', 0).instance_map).all()


def test_voc_palette():
    colors = voc_colormap()
    assert colors[1].tolist() == [128, 0, 0]
    assert colors[15].tolist() == [192, 128, 128]
    assert colors[20].tolist() == [0, 64, 128]
    assert colors[255].tolist() == [224, 224, 192]


@pytest.mark.parametrize('layout, file, images', [
    ('coco', 'annotations/instances_train2017.json', 'train2017'),
    ('mmseg', 'annotations/instances_train.json', 'images/train'),
])
def test_coco_masks_are_the_instances(folders, layout, file, images):
    coco_api = pytest.importorskip('pycocotools.coco')
    coco = coco_api.COCO(str(folders[layout] / file))
    assert len(coco.imgs) == TRAIN
    things = {c.name for c in SCENE_CLASSES if c.is_thing}
    assert {c['name'] for c in coco.loadCats(coco.getCatIds())} == things
    for image_id, info in coco.imgs.items():
        assert (folders[layout] / images / info['file_name']).exists()
        drawn = scene('train', image_id - 1)
        rows = coco.loadAnns(coco.getAnnIds(image_id))
        assert len(rows) == len(drawn.instances)
        for row, item in zip(rows, drawn.instances):
            mask = drawn.instance_map == item.instance_id
            assert (coco.annToMask(row).astype(bool) == mask).all()
            assert row['area'] == item.area
            assert tuple(row['bbox']) == item.bbox
            name = coco.cats[row['category_id']]['name']
            assert name == SCENE_CLASSES[item.class_id].name


def test_coco_layout_is_read_by_mmdet(folders):
    mmdet = pytest.importorskip('mmdet.datasets')
    from mmdet.datasets.transforms import LoadAnnotations
    names = tuple(c.name for c in SCENE_CLASSES if c.is_thing)
    dataset = mmdet.CocoDataset(
        data_root=str(folders['coco']),
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/', seg='stuffthingmaps/val2017/'),
        metainfo=dict(classes=names),
        pipeline=[])
    assert len(dataset) == VAL
    for index in range(VAL):
        drawn = scene('val', index)
        data = LoadAnnotations(with_mask=True)(
            dict(dataset.get_data_info(index), img_shape=SIZE,
                 ori_shape=SIZE))
        assert len(data['gt_masks']) == len(drawn.instances)
        masks = data['gt_masks'].masks.astype(bool)
        assert (masks.any(axis=0) == (drawn.instance_map > 0)).all()
        assert [names[i] for i in data['gt_bboxes_labels']] == [
            SCENE_CLASSES[item.class_id].name for item in drawn.instances]
        assert (read(data['seg_map_path']) == drawn.semantic).all()


@pytest.mark.parametrize('layout, file', [
    ('mmseg', 'annotations/image_labels_{}.json'),
    ('cityscapes', 'annotations/image_labels_{}.json'),
    ('voc', 'image_labels_{}.json'),
    ('coco', 'annotations/image_labels_{}2017.json'),
])
def test_image_labels_are_the_classes_of_the_masks(folders, layout, file):
    for split, count in (('train', TRAIN), ('val', VAL)):
        content = json.loads((folders[layout] / file.format(split)).read_text())
        assert content['classes'] == list(LAYOUTS[layout].class_names)
        assert len(content['labels']) == count
        for index, labels in enumerate(content['labels'].values()):
            present = set(np.unique(
                mapped(layout, scene(split, index).semantic)).tolist())
            if layout == 'voc':
                present.discard(0)
            assert labels == sorted(present)


def test_voc_image_sets(folders):
    sets = folders['voc'] / 'ImageSets'
    train = (sets / 'Segmentation/train.txt').read_text().split()
    val = (sets / 'Segmentation/val.txt').read_text().split()
    both = (sets / 'Segmentation/trainval.txt').read_text().split()
    assert len(train) == TRAIN and len(val) == VAL and both == train + val
    rows = [line.split() for line in
            (sets / 'Main/car_train.txt').read_text().splitlines()]
    disc = [c.name for c in SCENE_CLASSES].index('disc')
    assert [row[0] for row in rows] == train
    assert [row[1] == '1' for row in rows] == [
        bool((scene('train', i).semantic == disc).any()) for i in range(TRAIN)]


@pytest.mark.parametrize('fill', [0, 1])
def test_rle_of_a_uniform_mask(fill):
    mask_api = pytest.importorskip('pycocotools.mask')
    mask = np.full((3, 4), bool(fill))
    coded = mask_api.frPyObjects(rle(mask), 3, 4)
    assert (mask_api.decode(coded) == fill).all()
