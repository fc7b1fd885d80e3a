"""COCO's 60 other classes, from instances and from maps."""

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmseg')
pytest.importorskip('pycocotools')

from mmengine.registry import DefaultScope  # noqa: E402
from mmseg.registry import DATASETS  # noqa: E402
from pycocotools import mask as coco  # noqa: E402

from segaware_mm.datasets.class_names import find_ids  # noqa: E402
from segaware_mm.datasets.coco_exclusive import (  # noqa: E402
    EXCLUSIVE_IDS,
    NAMES,
    VOC_IDS,
    COCOExclusiveDataset,
)
from segaware_mm.datasets.instance_map import (  # noqa: E402
    LoadSegMapFromInstances,
    draw_instances,
)
from segaware_mm.engine.errors import DataError  # noqa: E402

FROM_INSTANCES = [dict(type='LoadImageFromFile'), dict(type='LoadSegMapFromInstances')]
FROM_MAPS = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
CATEGORIES = [dict(id=1, name='person'), dict(id=8, name='truck'),
              dict(id=63, name='couch'), dict(id=47, name='cup')]
PERSON, SOFA, TRUCK, CUP = 15, 18, 21, 47


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def box(x, y, w, h):
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def row(image, category, x, y, w, h, **kwargs):
    return {**dict(image_id=image, category_id=category, area=w * h, iscrowd=0,
                   segmentation=box(x, y, w, h)), **kwargs}


def crowd(image, category, mask):
    """As COCO keeps crowds: an RLE that is not compressed."""
    flat = np.asarray(mask, int).ravel(order='F')
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    counts = ([0] if flat[0] else []) + counts
    return dict(image_id=image, category_id=category, area=1, iscrowd=1,
                segmentation=dict(size=list(np.shape(mask)), counts=counts))


@pytest.fixture
def root(tmp_path):
    """Five images of 8 x 10; the same as instances and as maps."""
    crowd_of = np.zeros((8, 10), bool)
    crowd_of[6:, :] = True
    rows = [
        row(1, 8, 0, 0, 6, 6), row(1, 47, 2, 2, 2, 2),            # a cup on a truck
        row(2, 8, 0, 0, 6, 6), row(2, 1, 4, 4, 3, 3),             # a person before it
        row(3, 63, 0, 0, 4, 4),                                   # a couch alone
        row(4, 47, 1, 1, 3, 6), crowd(4, 1, crowd_of),            # a crowd of people
    ]
    images = [dict(id=i, file_name=f'{i:03d}.jpg', height=8, width=10)
              for i in range(1, 6)]
    (tmp_path / 'img').mkdir()
    for image in images:
        Image.fromarray(np.zeros((8, 10, 3), np.uint8)).save(
            tmp_path / 'img' / image['file_name'])
    (tmp_path / 'instances.json').write_text(json.dumps(dict(
        images=images, annotations=rows, categories=CATEGORIES)))
    return tmp_path


def build(root, pipeline=FROM_INSTANCES, **kwargs):
    return DATASETS.build({**dict(
        type='COCOExclusiveDataset', data_root=str(root), ann_file='instances.json',
        data_prefix=dict(img_path='img'), pipeline=pipeline), **kwargs})


def maps(data):
    return [data[i]['gt_seg_map'] for i in range(len(data))]


def test_the_classes():
    assert len(NAMES) == 81 and len(set(NAMES)) == 81 and NAMES[0] == 'background'
    assert EXCLUSIVE_IDS == tuple(range(21, 81)) and VOC_IDS == tuple(range(1, 21))
    voc = DATASETS.get('PascalVOCDataset').METAINFO['classes']
    assert NAMES[:21] == voc
    meta = COCOExclusiveDataset.METAINFO
    assert len(meta['palette']) == 81 and len({tuple(c) for c in meta['palette']}) == 81
    # COCO's own names, in COCO's order, are those that VOC has not.
    mmdet = pytest.importorskip('mmdet.datasets')
    coco_names = mmdet.CocoDataset.METAINFO['classes']
    ids = find_ids(coco_names, NAMES, 'coco')
    assert sorted(ids) == list(range(1, 81))
    assert [i for i in ids if i > 20] == list(range(21, 81))


def test_released_masks(root):
    """VOC's objects become background, and still cover what is behind them."""
    data = build(root)
    assert len(data) == 5
    truck, before, couch, cups, empty = maps(data)
    wanted = np.zeros((8, 10), int)
    wanted[:6, :6] = TRUCK
    wanted[2:4, 2:4] = CUP  # the smaller lies on top
    assert (truck == wanted).all() and truck.dtype == np.uint8
    assert before[5, 5] == 0 and before[3, 3] == TRUCK
    assert (couch == 0).all() and (empty == 0).all()
    assert (cups[7] == 255).all() and cups[6, 2] == CUP  # an object covers the crowd
    assert data[0]['label_set'] == EXCLUSIVE_IDS and data[0]['domain'] == 'source'


def test_what_else_voc_pixels_may_become(root):
    ignored = maps(build(root, voc_pixels='ignore'))
    assert ignored[1][5, 5] == 255 and ignored[2][0, 0] == 255
    kept = build(root, voc_pixels='keep')
    assert maps(kept)[1][5, 5] == PERSON and maps(kept)[2][0, 0] == SOFA
    assert kept[0]['label_set'] == VOC_IDS + EXCLUSIVE_IDS
    with pytest.raises(ValueError, match="voc_pixels must be one of 'background', 'ign"):
        build(root, voc_pixels='drop')


def names(data):
    return [int(data.get_data_info(i)['img_path'][-7:-4]) for i in range(len(data))]


def test_strict_drops_images_that_show_an_object_of_voc(root):
    assert names(build(root)) == [1, 2, 3, 4, 5]
    assert names(build(root, strict=True)) == [1, 5]  # a crowd is an object too
    filled = dict(filter_cfg=dict(filter_empty_gt=True))
    assert names(build(root, **filled)) == [1, 2, 4]
    assert names(build(root, strict=True, **filled)) == [1]
    assert names(build(root, strict=True, test_mode=True, **filled)) == [1, 2, 3, 4, 5]
    assert names(build(root, voc_pixels='keep', **filled)) == [1, 2, 3, 4]


@pytest.fixture
def with_maps(root):
    """The maps of the 81 ids, as files, and image labels."""
    whole = build(root, voc_pixels='keep')
    (root / 'ann').mkdir()
    labels = {}
    for i in range(len(whole)):
        drawn = whole[i]['gt_seg_map']
        Image.fromarray(drawn).save(root / 'ann' / f'{i + 1:03d}.png')
        labels[f'{i + 1:03d}'] = [
            int(v) for v in np.unique(drawn) if v not in (0, 255)]
    (root / 'labels.json').write_text(json.dumps(dict(train=labels)))
    return root


def from_maps(root, **kwargs):
    return build(root, FROM_MAPS, **{**dict(
        ann_file='', data_prefix=dict(img_path='img', seg_map_path='ann')), **kwargs})


def test_maps_give_the_same_as_instances(with_maps):
    for voc_pixels in ('background', 'ignore', 'keep'):
        for one, other in zip(maps(build(with_maps, voc_pixels=voc_pixels)),
                              maps(from_maps(with_maps, voc_pixels=voc_pixels))):
            assert (one == other).all()


def test_strict_with_maps(with_maps):
    """A crowd is 255 in a map, so what it was is not known."""
    filled = dict(filter_cfg=dict(filter_empty_gt=True))
    for more in ({}, dict(label_file='labels.json', label_key='train')):
        assert names(from_maps(with_maps, strict=True, **more)) == [1, 4, 5]
        assert names(from_maps(with_maps, **filled, **more)) == [1, 2, 4]


def test_instances_in_any_form():
    mask = np.zeros((4, 5), np.uint8)
    mask[1:3, 1:4] = 1
    compressed = coco.encode(np.asfortranarray(mask))
    text = dict(size=compressed['size'], counts=compressed['counts'].decode())
    for segmentation in (compressed, text, box(1, 1, 3, 2)):
        one = dict(label=7, crowd=False, area=6., segmentation=segmentation)
        assert (draw_instances([one], 4, 5) == 7 * mask).all()
    assert (draw_instances([], 2, 3) == 0).all()
    # A polygon of two corners has no pixel.
    thin = dict(label=7, crowd=False, area=0., segmentation=[[0, 0, 3, 3]])
    assert (draw_instances([thin], 4, 5) == 0).all()


def test_errors(root):
    with pytest.raises(KeyError, match="finds no 'instances': it is for data sets whose"):
        LoadSegMapFromInstances()({})
    with pytest.raises(DataError, match='absent.json do not exist. Set data_root'):
        build(root, ann_file='absent.json')
    with pytest.raises(ValueError, match='has its own 81 classes; choose among them'):
        build(root, metainfo=dict(classes=('background', 'truck')))
    content = json.loads((root / 'instances.json').read_text())

    def broken(**kwargs):
        (root / 'broken.json').write_text(json.dumps({**content, **kwargs}))
        return build(root, ann_file='broken.json')

    with pytest.raises(DataError, match=r"category 'trucks', none of COCO's 80. Did you "
                                        r'mean truck\?'):
        broken(categories=[dict(id=1, name='trucks')])
    with pytest.raises(DataError, match='has the category 1, which the file does not'):
        broken(categories=CATEGORIES[1:])
    (root / 'broken.json').write_text('[]')
    with pytest.raises(DataError, match='holds no COCO instances: images, annotations'):
        build(root, ann_file='broken.json')
    (root / 'broken.json').write_text('{')
    with pytest.raises(DataError, match='broken.json is no JSON'):
        build(root, ann_file='broken.json')


def test_coco_mini_instances_draw_the_maps_beside_them(real_data):
    root = real_data / 'coco_mini'
    drawn = build(root, [dict(type='LoadSegMapFromInstances')], ann_file='val.json',
                  voc_pixels='keep', data_prefix=dict(img_path='images/val'))
    assert len(drawn) == 206
    names_of_ids = json.loads((root / 'semantic_classes.json').read_text())
    assert find_ids([names_of_ids[str(i)] for i in range(81)], NAMES, 'coco_mini') == \
        list(range(81))
    for i in range(0, len(drawn), 3):
        data = drawn[i]
        stem = data['img_path'].rsplit('/', 1)[1][:-4]
        wanted = np.asarray(Image.open(root / f'semantic/val/{stem}.png'))
        assert (data['gt_seg_map'] == wanted).all(), stem


def test_coco_mini_counts(real_data):
    """Those of its README: 70 and 37 images show non-VOC classes alone."""
    for split, only, with_other in (('train', 70, 306), ('val', 37, 176)):
        options = dict(ann_file=f'{split}.json', filter_cfg=dict(filter_empty_gt=True),
                       data_prefix=dict(img_path=f'images/{split}'))
        root = real_data / 'coco_mini'
        assert len(build(root, **options)) == with_other
        by_file = from_maps(
            root, strict=True, label_file='image_labels.json', label_key=split,
            filter_cfg=options['filter_cfg'], data_prefix=dict(
                img_path=f'images/{split}', seg_map_path=f'semantic/{split}'))
        assert len(by_file) == only
        # Crowds of VOC's classes count as well.
        assert len(build(root, strict=True, **options)) <= only
