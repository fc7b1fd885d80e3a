"""Which files make a pair, what the data set lists, and the real pairs."""

import numpy as np
import pytest

pytest.importorskip('mmcv')

from mmengine.registry import DATASETS  # noqa: E402
from PIL import Image  # noqa: E402

import segaware_mm  # noqa: E402, F401
from segaware_mm.datasets.flow.files import encode_flo  # noqa: E402
from segaware_mm.datasets.flow.naming import image_names  # noqa: E402
from segaware_mm.engine.errors import DataError  # noqa: E402

PIPELINE = [dict(type='LoadFlowPair'), dict(type='PackFlowInputs')]


def put(folder, *names, size=(4, 6), value=10):
    """Write images and flows of the given names."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        if name.endswith('.flo'):
            flow = np.tile(np.array([1.5, -2.], np.float32), (*size, 1))
            (folder / name).write_bytes(encode_flo(flow))
        else:
            shape = size if 'layers' in name else (*size, 3)
            Image.fromarray(np.full(shape, value + k, np.uint8)).save(folder / name)


def build(root, **kwargs):
    return DATASETS.build(dict(dict(type='FlowPairs', data_root=str(root),
                                    pipeline=PIPELINE), **kwargs))


@pytest.mark.parametrize('flow, images', [
    ('00001_flow.flo', ('00001_img1', '00001_img2')),
    ('a_b_flow.flo', ('a_b_img1', 'a_b_img2')),
    ('flow10.flo', ('frame10', 'frame11')),
    ('flow09.flo', ('frame09', 'frame10')),
    ('frame_0014.flo', ('frame_0014', 'frame_0015')),
    ('frame_0099.flo', ('frame_0099', 'frame_0100')),
    ('7.flo', ('7', '8')),
    ('flow_gt.png', ('frame1', 'frame2')),
    ('flow.flo', None),
    ('other.png', None),
])
def test_namings(flow, images):
    assert image_names(flow) == images


def test_lists_all_namings_sorted(tmp_path):
    put(tmp_path / 'b', '1_img1.png', '1_img2.png', '1_flow.flo', '1_layers.png')
    put(tmp_path / 'a', 'frame_0001.png', 'frame_0002.jpg', 'frame_0001.flo')
    data = build(tmp_path)
    assert [data[k]['data_samples'].dataset_name for k in range(len(data))] == ['a', 'b']
    entry = data.get_data_info(1)
    assert entry['layers_path'].endswith('1_layers.png')
    assert entry['img2_path'].endswith('1_img2.png')
    assert 'layers_path' not in data.get_data_info(0)


def test_what_the_model_gets(tmp_path):
    put(tmp_path / 'val', '1_img1.png', '1_img2.png', '1_flow.flo', '1_layers.png')
    pipeline = [dict(type='LoadFlowPair', with_layers=True), PIPELINE[1]]
    data = build(tmp_path, data_prefix=dict(img_path='val'), dataset_name='mine',
                 pipeline=pipeline)
    item = data[0]
    assert item['inputs'].shape == (6, 4, 6)
    assert item['inputs'][:3].unique().tolist() == [10]
    assert item['inputs'][3:].unique().tolist() == [11]
    sample = item['data_samples']
    assert sample.gt_flow.data[:, 0, 0].tolist() == [1.5, -2.]
    assert sample.gt_flow.valid.all() and sample.gt_flow.valid.shape == (1, 4, 6)
    assert sample.gt_layers.data.unique().tolist() == [13]
    assert sample.dataset_name == 'mine' and sample.ori_shape == (4, 6)


def test_list_of_pairs(tmp_path):
    put(tmp_path / 'images', 'x.png', 'y.png')
    put(tmp_path / 'flow', 'any.flo')
    (tmp_path / 'pairs.txt').write_text('images/x.png images/y.png flow/any.flo\n\n')
    data = build(tmp_path, ann_file='pairs.txt')
    assert len(data) == 1
    assert data[0]['data_samples'].dataset_name == 'flow'
    (tmp_path / 'pairs.txt').write_text('images/x.png flow/any.flo\n')
    with pytest.raises(DataError, match='pairs.txt, line 1: 2 names; wanted are three'):
        build(tmp_path, ann_file='pairs.txt')


@pytest.mark.parametrize('names, words', [
    ((), 'no pairs: no .flo file'),
    (('1_img1.png', ), 'tools/make_flow.py'),
    (('1_img1.png', '1_flow.flo'), '1_flow.flo has no image 1_img2'),
    (('odd.flo', ), 'odd.flo has a name of no known data set'),
])
def test_folders_without_pairs(tmp_path, names, words):
    put(tmp_path, *names)
    with pytest.raises(DataError, match=words):
        build(tmp_path)


def test_damaged_files_are_named(tmp_path):
    put(tmp_path, '1_img1.png', '1_img2.png', '1_flow.flo')
    flow = tmp_path / '1_flow.flo'
    flow.write_bytes(flow.read_bytes()[:-3])
    with pytest.raises(DataError, match='1_flow.flo is cut short'):
        build(tmp_path)[0]
    put(tmp_path, '1_flow.flo', size=(4, 5))
    with pytest.raises(DataError, match='1_flow.flo is 5 x 4.*1_img1.png 6 x 4'):
        build(tmp_path)[0]
    (tmp_path / '1_img2.png').write_bytes(b'')
    with pytest.raises(DataError, match=r'1_img2.png cannot be read \(0 bytes\)'):
        build(tmp_path)[0]
    pipeline = [dict(type='LoadFlowPair', with_layers=True, with_flow=False)]
    put(tmp_path, '1_img2.png')
    with pytest.raises(DataError, match='no map of layers'):
        build(tmp_path, pipeline=pipeline)[0]


@pytest.mark.data
def test_real_pairs(real_data):
    """Sizes, and warping back by the flow makes the images more alike."""
    import cv2
    if not (real_data / 'flow').is_dir():
        pytest.skip('SEGAWARE_MM_DATA has no folder flow')
    data = build(real_data / 'flow')
    names = [data.get_data_info(k)['dataset_name'] for k in range(len(data))]
    assert names == ['flyingchairs', 'flyingchairs', 'kitti',
                     'middlebury_RubberWhale', 'sintel']
    for k in range(len(data)):
        item = data[k]
        first, second = (one.float().mean(0).numpy() for one in item['inputs'].split(3))
        gt = item['data_samples'].gt_flow
        known = gt.valid[0].numpy()
        height, width = known.shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        u, v = gt.data.numpy()
        ends = (x + u, y + v)
        known = known & (ends[0] >= 0) & (ends[0] < width - 1) & \
            (ends[1] >= 0) & (ends[1] < height - 1)
        warped = cv2.remap(second, *ends, cv2.INTER_LINEAR)
        before = np.abs(second - first)[known].mean()
        assert np.abs(warped - first)[known].mean() < .6 * before, names[k]
