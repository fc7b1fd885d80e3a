"""Instances of SBD's .mat files and of VOC's object maps, and errors."""

import json
import os
import pickle
import tracemalloc

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmdet')
coco = pytest.importorskip('pycocotools.mask')
savemat = pytest.importorskip('scipy.io').savemat

from mmdet.registry import DATASETS  # noqa: E402

import segaware_mm  # noqa: E402, F401
from segaware_mm.datasets import sbd  # noqa: E402
from segaware_mm.engine.errors import DataError  # noqa: E402

PERSON, CAR = 15, 7  # numbers of VOC; labels are one less


def objects(height=12, width=16):
    """Two instances, void around the second, and background."""
    numbers = np.zeros((height, width), np.uint8)
    numbers[2:5, 1:4] = 1
    numbers[6:11, 8:15] = 255
    numbers[7:10, 9:14] = 2
    return numbers


def write_mat(root, name, numbers, classes, fields=('Categories', ), size=None):
    """An image and its annotation in SBD's form; ``classes`` of instances 1, 2, ..."""
    for folder in ('img', 'inst', 'cls'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    height, width = size or numbers.shape
    Image.new('RGB', (width, height)).save(root / 'img' / f'{name}.jpg')
    edges = np.empty((len(classes), 1), object)
    edges[:, 0] = [np.zeros(numbers.shape, np.uint8) for _ in classes]
    struct = dict(Segmentation=numbers, Boundaries=edges)
    if 'Categories' in fields:
        struct['Categories'] = np.array(classes, np.uint8).reshape(-1, 1)
    savemat(root / 'inst' / f'{name}.mat', dict(GTinst=struct))
    table = np.zeros(256, np.uint8)
    table[1:len(classes) + 1], table[255] = classes, 255
    savemat(root / 'cls' / f'{name}.mat', dict(GTcls=dict(Segmentation=table[numbers])))


def write_png(root, name, numbers, classes, labels=None):
    """An image and its annotation in VOC's form, indexed PNG."""
    table = np.zeros(256, np.uint8)
    table[1:len(classes) + 1], table[255] = classes, 255
    labels = table[numbers] if labels is None else labels
    for folder, values in (('SegmentationObject', numbers),
                           ('SegmentationClass', labels)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(values.astype(np.uint8)).convert('P')
        picture.putdata(values.ravel().tolist())
        picture.putpalette([n * 7 % 256 for n in range(768)])
        picture.save(root / folder / f'{name}.png')
    (root / 'JPEGImages').mkdir(exist_ok=True)
    Image.new('RGB', numbers.shape[::-1]).save(root / 'JPEGImages' / f'{name}.jpg')


def write_list(root, *lines, name='train.txt'):
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text('\n'.join(lines) + '\n')


def build(root, **options):
    # Serialising collects garbage first, which takes longer than all the rest.
    options = {'ann_file': 'train.txt', 'serialize_data': False, **options}
    return DATASETS.build(dict(type='SBDInstanceDataset', data_root=str(root), **options))


def masks_of(info):
    return [coco.decode(instance['mask']) for instance in info['instances']]


@pytest.fixture(params=['sbd', 'voc'])
def layout(request):
    return request.param


@pytest.fixture
def root(tmp_path, layout):
    """One image with a person and a car in either layout."""
    write = write_mat if layout == 'sbd' else write_png
    write(tmp_path, '2008_000001', objects(), [PERSON, CAR])
    write_list(tmp_path, '2008_000001')
    return tmp_path


# ----------------------------------------------------------------- contents


def test_an_image(root, layout):
    dataset = build(root, layout=layout, serialize_data=True)
    assert len(dataset) == 1
    assert dataset.metainfo['classes'][14] == 'person'
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 20
    info = dataset.get_data_info(0)
    assert (info['img_id'], info['height'], info['width']) == ('2008_000001', 12, 16)
    assert os.path.isfile(info['img_path']) and os.path.isfile(info['inst_path'])
    first, second = info['instances']
    assert (first['bbox'], first['bbox_label']) == ([1, 2, 4, 5], PERSON - 1)
    assert (second['bbox'], second['bbox_label']) == ([9, 7, 14, 10], CAR - 1)
    assert first['ignore_flag'] == second['ignore_flag'] == 0
    for number, mask in enumerate(masks_of(info), 1):
        assert mask.tolist() == (objects() == number).astype(int).tolist()
    assert dataset.get_cat_ids(0) == [PERSON - 1, CAR - 1]


def test_upstream_pipeline(root, layout):
    from mmengine.registry import init_default_scope
    init_default_scope('mmdet')
    dataset = build(root, layout=layout, pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type='RandomFlip', prob=1.), dict(type='PackDetInputs')])
    found = dataset[0]['data_samples']
    assert found.gt_instances.labels.tolist() == [PERSON - 1, CAR - 1]
    wanted = [objects()[:, ::-1] == number for number in (1, 2)]
    assert found.gt_instances.masks.masks.tolist() == np.array(wanted, int).tolist()
    assert found.gt_instances.bboxes.tensor.tolist() == [[12, 2, 15, 5], [2, 7, 7, 10]]
    assert len(found.ignored_instances.labels) == 0


def test_tight_boxes_and_masks_of_random_maps(tmp_path):
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 5, (9, 11)).astype(np.uint8) * (rng.random((9, 11)) < p)
            for p in (.02, .1, .5, 1.)]
    for k, numbers in enumerate(maps):
        write_mat(tmp_path, f'{k}', numbers, [1, 2, 3, 4])
    write_list(tmp_path, *(str(k) for k in range(len(maps))))
    dataset = build(tmp_path)
    for k, numbers in enumerate(maps):
        instances = dataset.get_data_info(k)['instances']
        present = [n for n in range(1, 5) if (numbers == n).any()]
        assert [one['bbox_label'] + 1 for one in instances] == present
        for number, one in zip(present, instances):
            rows, cols = np.nonzero(numbers == number)
            assert one['bbox'] == [cols.min(), rows.min(), cols.max() + 1,
                                   rows.max() + 1]
            assert (coco.decode(one['mask']) == (numbers == number)).all()


def test_instances_without_a_pixel_are_dropped(tmp_path):
    numbers = objects()
    numbers[numbers == 1] = 0
    write_mat(tmp_path, 'a', numbers, [PERSON, CAR, 0])  # 1 and 3 have no pixel
    write_list(tmp_path, 'a')
    (only, ) = build(tmp_path).get_data_info(0)['instances']
    assert only['bbox_label'] == CAR - 1


def test_classes_from_the_file_of_classes(tmp_path):
    """GTinst without Categories: GTcls says it, by most pixels."""
    write_mat(tmp_path, 'a', objects(), [PERSON, CAR], fields=())
    write_list(tmp_path, 'a')
    labels = [one['bbox_label'] for one in build(tmp_path).get_data_info(0)['instances']]
    assert labels == [PERSON - 1, CAR - 1]
    os.remove(tmp_path / 'cls' / 'a.mat')
    with pytest.raises(DataError, match=r'does not say of which class.*a\.mat'):
        build(tmp_path)
    # With Categories nobody asks.
    write_mat(tmp_path, 'a', objects(), [PERSON, CAR])
    os.remove(tmp_path / 'cls' / 'a.mat')
    assert len(build(tmp_path).get_data_info(0)['instances']) == 2


def test_an_object_has_the_class_of_most_of_its_pixels(tmp_path):
    labels = np.where(objects() == 1, PERSON, 0)
    labels[objects() == 2] = CAR
    labels[2, 1:3] = 3  # two of nine pixels
    labels[3, 1:4] = 255
    write_png(tmp_path, 'a', objects(), [], labels)
    write_list(tmp_path, 'a')
    found = build(tmp_path, layout='voc').get_data_info(0)['instances']
    assert [one['bbox_label'] for one in found] == [PERSON - 1, CAR - 1]


def test_some_of_the_classes(root, layout):
    dataset = build(root, layout=layout, metainfo=dict(classes=('cat', 'car')))
    (only, ) = dataset.get_data_info(0)['instances']
    assert only['bbox_label'] == 1
    with pytest.raises(DataError, match=r"no classes \['tree'\]; those of VOC are aero"):
        build(root, layout=layout, metainfo=dict(classes=('car', 'tree')))


def test_images_without_instances(tmp_path):
    blank = np.zeros((12, 16), np.uint8)
    write_mat(tmp_path, 'blank', blank, [])
    blank[3:5] = 255
    write_mat(tmp_path, 'void', blank, [])
    write_mat(tmp_path, 'small', objects()[:, :11], [PERSON, CAR])
    write_mat(tmp_path, 'full', objects(), [PERSON, CAR])
    write_list(tmp_path, 'blank', 'void', 'small', 'full')

    def ids(**options):
        dataset = build(tmp_path, **options)
        return [dataset.get_data_info(k)['img_id'] for k in range(len(dataset))]

    everything = ['blank', 'void', 'small', 'full']
    assert ids() == everything
    assert ids(filter_cfg=dict(filter_empty_gt=True)) == ['small', 'full']
    assert ids(filter_cfg=dict(filter_empty_gt=True, min_size=12)) == ['full']
    assert ids(filter_cfg=dict(min_size=12)) == ['blank', 'void', 'full']
    assert ids(filter_cfg=dict(filter_empty_gt=True), test_mode=True) == everything
    assert ids(indices=2) == everything[:2]
    from mmengine.registry import init_default_scope
    init_default_scope('mmdet')
    dataset = build(tmp_path, test_mode=True, pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type='PackDetInputs')])
    assert len(dataset[0]['data_samples'].gt_instances) == 0


def test_lists_of_paths(tmp_path):
    write_mat(tmp_path, 'a', objects(), [PERSON, CAR])
    write_png(tmp_path / 'voc', 'b', objects(), [PERSON, CAR])
    write_list(tmp_path, ' img/a.jpg inst/a.mat ', '',
               '/voc/JPEGImages/b.jpg /voc/SegmentationObject/b.png',
               f'{tmp_path}/img/a.jpg {tmp_path}/inst/a.mat')
    dataset = build(tmp_path, data_prefix=dict(cls_path='voc/SegmentationClass'))
    assert [dataset.get_data_info(k)['img_id'] for k in range(3)] == ['a', 'b', 'a']
    first, second, third = (dataset.get_data_info(k)['instances'] for k in range(3))
    assert first == second == third and len(first) == 2


def test_other_folders_and_suffixes(tmp_path):
    write_mat(tmp_path, 'a', objects(), [PERSON, CAR])
    os.rename(tmp_path / 'img', tmp_path / 'pictures')
    os.rename(tmp_path / 'pictures' / 'a.jpg', tmp_path / 'pictures' / 'a.png')
    write_list(tmp_path, 'a', name='sds.txt')
    dataset = build(tmp_path, ann_file='sds.txt', img_suffix='.png',
                    data_prefix=dict(img_path=str(tmp_path / 'pictures')))
    assert len(dataset.get_data_info(0)['instances']) == 2
    with pytest.raises(ValueError, match=r"prefix has \['img'\]; its keys are \['cls"):
        build(tmp_path, data_prefix=dict(img='img'))
    with pytest.raises(ValueError, match="layout must be 'sbd' or 'voc', got 'coco'"):
        build(tmp_path, layout='coco')


def test_nothing_is_read_before_it_is_wanted(root, layout):
    dataset = build(root, layout=layout, lazy_init=True)
    assert dataset.data_list == []
    assert len(dataset) == 1


# -------------------------------------------------------------------- cache


def test_the_cache(root, layout, monkeypatch):
    plain = build(root, layout=layout).data_list
    options = dict(layout=layout, cache_file='cache/sbd.json')
    assert build(root, **options).data_list == plain
    with monkeypatch.context() as patch:
        patch.setattr(sbd, 'read_instances', None)
        assert build(root, **options).data_list == plain
        with pytest.raises(TypeError):  # other classes, so it is read again
            build(root, metainfo=dict(classes=('car', )), **options)
    # A file that has changed is read again.
    write = write_mat if layout == 'sbd' else write_png
    write(root, '2008_000001', objects(), [CAR, CAR])
    assert [one['bbox_label'] for one in build(root, **options).data_list[0][
        'instances']] == [CAR - 1] * 2
    # A damaged cache too, and one of another form.
    path = root / 'cache' / 'sbd.json'
    for content in ('{"key": ', '[]', json.dumps(dict(key='old', data_list=[]))):
        path.write_text(content)
        assert len(build(root, **options).data_list[0]['instances']) == 2
        assert json.loads(path.read_text())['data_list'][0]['img_id'] == '2008_000001'


# ------------------------------------------------------------------- errors


def error(root, **options):
    with pytest.raises(DataError) as caught:
        build(root, **options)
    return str(caught.value)


def test_a_list_that_is_absent_or_empty(tmp_path):
    text = error(tmp_path, ann_file='sds_train.txt')
    assert f'{tmp_path}/sds_train.txt' in text and 'does not exist' in text
    assert '5623 images to train and 5732 to validate' in text
    assert 'needs a list of images, ann_file. The' in error(tmp_path, ann_file='')
    write_list(tmp_path, '', ' ')
    assert 'train.txt is empty' in error(tmp_path)


@pytest.mark.parametrize('line, text', [
    ('a b c', "line 2: 'a b c' is neither an image id nor the paths"),
    ('2008_000001 -1', 'looks like a list of VOC\'s ImageSets/Main for one class'),
])
def test_lines_of_another_form(tmp_path, line, text):
    write_mat(tmp_path, 'a', objects(), [PERSON, CAR])
    write_list(tmp_path, 'a', line)
    assert text in error(tmp_path)


def test_files_that_are_absent(root, layout):
    write_list(root, '2008_000001', '2008_000002')
    text = error(root, layout=layout)
    assert 'the image of 2008_000002 (line 2 of' in text
    assert '2008_000002.jpg' in text and 'is there. Set data_root' in text
    assert 'data_prefix=dict(img_path=FOLDER)' in text
    image = 'img' if layout == 'sbd' else 'JPEGImages'
    Image.new('RGB', (4, 4)).save(root / image / '2008_000002.jpg')
    text = error(root, layout=layout)
    assert 'the annotation of 2008_000002' in text
    assert f'data_prefix=dict(inst_path=FOLDER); layout={layout!r}' in text
    text = error(root, layout=layout, data_prefix=dict(img_path='photos'))
    assert 'photos does not exist either' in text


def test_sizes_that_differ(tmp_path):
    write_mat(tmp_path, 'a', objects(), [PERSON, CAR], size=(16, 12))
    write_list(tmp_path, 'a')
    text = error(tmp_path)
    assert 'another size than its image' in text
    assert 'a.jpg   12 x 16 (width x height)' in text and 'a.mat   16 x 12' in text
    write_png(tmp_path, 'a', objects(), [PERSON, CAR], np.zeros((4, 5)))
    text = error(tmp_path, layout='voc')
    assert 'objects and classes of one image differ' in text
    assert '16 x 12' in text and '5 x 4 (width x height)' in text


@pytest.mark.parametrize('voc', [0, 21, 255])
def test_classes_outside_those_of_voc(tmp_path, voc):
    write_mat(tmp_path, 'a', objects(), [PERSON, voc])
    write_list(tmp_path, 'a')
    text = error(tmp_path)
    assert 'the instance 2 of' in text and f'a.mat has the class {voc};' in text
    assert '1 (aeroplane) to 20 (tvmonitor)' in text


def test_an_object_map_whose_classes_are_not_those_of_voc(tmp_path):
    write_png(tmp_path, 'a', objects(), [PERSON, 21])
    write_list(tmp_path, 'a')
    assert 'the instance 2 of' in error(tmp_path, layout='voc')
    write_png(tmp_path, 'a', objects(), [PERSON, 255])
    assert 'the object 2 of' in error(tmp_path, layout='voc')
    assert 'background and void alone' in error(tmp_path, layout='voc')


def test_more_instances_than_categories(tmp_path):
    write_mat(tmp_path, 'a', objects(), [PERSON])
    write_list(tmp_path, 'a')
    assert 'an instance 2, but Categories of 1 alone' in error(tmp_path)


def test_mat_files_of_another_kind(tmp_path):
    write_mat(tmp_path, 'a', objects(), [PERSON, CAR])
    write_list(tmp_path, 'a')
    text = error(tmp_path, data_prefix=dict(inst_path='cls'))
    assert 'cls/a.mat holds no GTinst, but GTcls' in text
    assert 'is data_prefix["inst_path"] right?' in text
    path = tmp_path / 'inst' / 'a.mat'
    whole = path.read_bytes()
    for content in (b'', b'nonsense', whole[:len(whole) // 2]):
        path.write_bytes(content)
        assert f'{path} is not readable as a .mat file' in error(tmp_path)
    savemat(path, dict(other=1))
    assert 'holds no GTinst, but other' in error(tmp_path)
    savemat(path, dict(GTinst=dict(Categories=[1])))
    assert "a field Segmentation, got 1 with the fields ['Categories']" in error(tmp_path)
    savemat(path, dict(GTinst=np.zeros((3, 3))))
    assert 'must be one struct' in error(tmp_path)
    savemat(path, dict(GTinst=dict(Segmentation=np.zeros((2, 3, 4)), Categories=[1])))
    assert 'a map (H, W) of whole numbers from 0 to 65535' in error(tmp_path)
    for value in (np.nan, .5, -1, 1e9):
        savemat(path, dict(GTinst=dict(Segmentation=np.full((12, 16), value),
                                       Categories=[1])))
        assert 'whole numbers' in error(tmp_path)
    savemat(path, dict(GTinst=dict(Segmentation=np.ones((12, 16)), Categories=[1])))
    assert len(build(tmp_path).get_data_info(0)['instances']) == 1


def test_images_of_colours_and_damaged_ones(tmp_path):
    write_png(tmp_path, 'a', objects(), [PERSON, CAR])
    write_list(tmp_path, 'a')
    path = tmp_path / 'SegmentationObject' / 'a.png'
    Image.new('RGB', (16, 12)).save(path)
    assert 'a.png holds colours (mode RGB)' in error(tmp_path, layout='voc')
    path.write_bytes(b'nonsense')
    assert f'{path} is not readable as an image' in error(tmp_path, layout='voc')
    path = tmp_path / 'JPEGImages' / 'a.jpg'
    path.write_bytes(b'')
    assert f'{path} is not readable as an image' in error(tmp_path, layout='voc')
    assert 'take it out of the list' in error(tmp_path, layout='voc')


def test_the_classes_of_objects_are_wanted(tmp_path):
    write_png(tmp_path, 'a', objects(), [PERSON, CAR])
    write_list(tmp_path, 'a')
    os.remove(tmp_path / 'SegmentationClass' / 'a.png')
    text = error(tmp_path, layout='voc')
    assert 'SegmentationObject/a.png does not say of which class' in text
    assert 'SegmentationClass/a.png. Set data_prefix["cls_path"]' in text


def test_a_config_without_its_data_says_how_to_get_them(tmp_path):
    from mmengine.config import Config

    from segaware_mm.engine.preflight import missing_datasets
    cfg = Config(dict(train_dataloader=dict(dataset=dict(
        type='SBDInstanceDataset', data_root=str(tmp_path / 'sbd')))))
    text = missing_datasets(cfg, ['train'])
    assert 'SBDInstanceDataset' in text and 'codes/SBD' in text


# ------------------------------------------------------- memory and progress


def test_masks_are_kept_as_run_lengths(tmp_path):
    """16 images with 24 instances: their masks would take 48 MB."""
    numbers = np.zeros((400, 320), np.uint8)
    for k in range(24):
        y, x = divmod(k, 4)
        numbers[10 + 60 * y:50 + 60 * y, 10 + 75 * x:60 + 75 * x] = k + 1
    for k in range(16):
        write_mat(tmp_path, f'{k}', numbers, [1 + n % 20 for n in range(24)])
    write_list(tmp_path, *map(str, range(16)))
    build(tmp_path, indices=1)  # imports
    tracemalloc.start()
    dataset = build(tmp_path)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A file holds 25 maps (its Boundaries), each 128 kB, which are read and forgotten.
    assert kept < 1e6
    assert peak < 12e6
    assert len(pickle.dumps(dataset.data_list)) < 16 * 24 * 600


def test_progress_is_shown_where_there_are_many(tmp_path, monkeypatch, capsys):
    write_mat(tmp_path, 'a', objects(), [PERSON, CAR])
    write_list(tmp_path, *['a'] * 5)
    build(tmp_path)
    assert capsys.readouterr().err == ''
    monkeypatch.setattr(sbd, 'MANY', 5)
    build(tmp_path)
    assert 'reading train.txt' in capsys.readouterr().err


# ---------------------------------------------------------------- real data


@pytest.mark.data
@pytest.mark.parametrize('split, images, count', [('train', 20, 60), ('val', 24, 55)])
def test_real_images_of_voc(real_data, split, images, count):
    """The same instances as the COCO form of these files holds."""
    folder = real_data / 'voc2007_sub'
    dataset = build(folder, layout='voc', ann_file=f'ImageSets/Segmentation/{split}.txt')
    infos = [dataset.get_data_info(k) for k in range(len(dataset))]
    assert len(infos) == images
    assert sum(len(info['instances']) for info in infos) == count
    truth = json.loads((folder / f'{split}.json').read_text())
    names = {entry['id']: entry['name'] for entry in truth['categories']}
    sizes = {entry['id']: (entry['height'], entry['width']) for entry in truth['images']}
    wanted = {entry['id']: [] for entry in truth['images']}
    for ann in truth['annotations']:
        x, y, w, h = ann['bbox']
        wanted[ann['image_id']].append((names[ann['category_id']], [x, y, x + w, y + h],
                                        ann['segmentation']['counts'], ann['area']))
    for info in infos:
        key = int(info['img_id'])
        assert (info['height'], info['width']) == sizes[key]
        found = [(dataset.metainfo['classes'][one['bbox_label']], one['bbox'],
                  one['mask']['counts'], float(coco.area(one['mask'])))
                 for one in info['instances']]
        assert sorted(found) == sorted(wanted[key])


@pytest.mark.data
def test_real_images_as_mat_files(real_data, tmp_path):
    """VOC's maps written as SBD writes them are the same data set."""
    folder = real_data / 'voc2007_sub'
    plain = build(folder, layout='voc', ann_file='ImageSets/Segmentation/train.txt',
                  indices=4)
    for k in range(4):
        info = plain.get_data_info(k)
        numbers = np.array(Image.open(info['inst_path']))
        write_mat(tmp_path, info['img_id'], numbers,
                  [one['bbox_label'] + 1 for one in info['instances']])
    write_list(tmp_path, *(plain.get_data_info(k)['img_id'] for k in range(4)))
    other = build(tmp_path, data_prefix=dict(img_path=str(folder / 'JPEGImages')))
    for k in range(4):
        assert other.get_data_info(k)['instances'] == plain.get_data_info(k)['instances']


@pytest.mark.data
def test_real_images_evaluated_against_themselves(real_data):
    """Data set, upstream's pipeline and the metric together."""
    import torch
    from mmdet.registry import METRICS
    from mmengine.registry import init_default_scope
    from mmengine.structures import InstanceData
    init_default_scope('mmdet')
    dataset = build(
        real_data / 'voc2007_sub', layout='voc', test_mode=True, indices=5,
        ann_file='ImageSets/Segmentation/val.txt', pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(300, 200), keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='PackDetInputs')])
    metric = METRICS.build(dict(type='VOCInstanceMetric'))
    metric.dataset_meta = dataset.metainfo
    for k in range(5):
        found = dataset[k]['data_samples']
        truth = found.gt_instances
        found.pred_instances = InstanceData(
            masks=torch.from_numpy(truth.masks.masks).bool(), labels=truth.labels,
            scores=torch.full((len(truth), ), .5))
        metric.process(None, [found.to_dict()])
    assert set(metric.evaluate(5).values()) == {1.}
