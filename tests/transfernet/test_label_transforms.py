"""Labels, conditions and masks in a data pipeline."""

import json

import numpy as np
import pytest

pytest.importorskip('mmseg')

from mmseg.registry import TRANSFORMS  # noqa: E402

import segaware_mm  # noqa: E402, F401

MAP = np.array([[0, 3, 255], [5, 3, 0]], np.uint8)


def build(kind, **kwargs):
    return TRANSFORMS.build(dict(type=kind, **kwargs))


def sample(seg_map=MAP, **kwargs):
    image = np.arange(seg_map.size * 3, dtype=np.uint8).reshape(*seg_map.shape, 3)
    return dict(img=image, img_path='x/a.jpg', gt_seg_map=seg_map.copy(),
                seg_fields=['gt_seg_map'], img_shape=seg_map.shape, **kwargs)


def test_labels_of_the_map():
    out = build('LoadImageLabels')(sample())
    assert out['image_labels'].tolist() == [3, 5]
    assert out['image_labels'].dtype == np.int64 and out['image_labels'].ndim == 1
    assert 'label_set' not in out
    got = build('LoadImageLabels', min_pixels=2)(sample())
    assert got['image_labels'].tolist() == [3]
    got = build('LoadImageLabels', background=None)(sample())
    assert got['image_labels'].tolist() == [0, 3, 5]
    # What the data set annotates decides.
    got = build('LoadImageLabels')(sample(label_set=(5, 6)))
    assert got['image_labels'].tolist() == [5] and got['label_set'] == (5, 6)


def test_labels_of_a_file_and_of_chosen_classes(tmp_path):
    path = tmp_path / 'labels.json'
    path.write_text(json.dumps({'a': ['couch', 3]}))
    names = ('background', 'cat', 'sofa', 'dog')
    out = build('LoadImageLabels', label_file=str(path), classes=names)(sample())
    assert out['image_labels'].tolist() == [2, 3]
    out = build('LoadImageLabels', label_file=str(path), classes=names,
                keep=('dog', 1))(sample())
    assert out['image_labels'].tolist() == [3] and out['label_set'] == (1, 3)
    out = build('LoadImageLabels', keep=[3])(sample())
    assert out['image_labels'].tolist() == [3] and out['label_set'] == (3, )
    with pytest.raises(ValueError, match=r"keep has the class 'dgo'.*Did you mean dog\?"):
        build('LoadImageLabels', classes=names, keep=['dgo'])
    with pytest.raises(ValueError, match="keep has the name 'dog'; `classes`"):
        build('LoadImageLabels', keep=['dog'])
    with pytest.raises(KeyError, match='needs label_file, or'):
        build('LoadImageLabels')(dict(img_path='a.jpg'))
    with pytest.raises(ValueError, match='min_pixels must be at least 1'):
        build('LoadImageLabels', min_pixels=0)


@pytest.mark.parametrize('value', [0, 255])
def test_an_image_without_label(value):
    out = build('LoadImageLabels')(sample(np.full((2, 3), value, np.uint8)))
    assert out['image_labels'].shape == (0, ) and out['image_labels'].dtype == np.int64
    kept = build('SampleConditionLabel')(dict(out))
    assert kept is not None and 'condition_label' not in kept
    assert build('SampleConditionLabel', no_label='another')(dict(out)) is None
    # There is nothing to tell apart.
    assert (build('BinaryMaskFromLabel')(kept)['gt_seg_map'] == 255).all()


def test_every_present_label_is_drawn_and_no_other():
    np.random.seed(0)
    draw = build('SampleConditionLabel')
    labels = np.array([3, 5, 9])
    drawn = [draw(dict(image_labels=labels))['condition_label'] for _ in range(300)]
    counts = {label: drawn.count(label) for label in (3, 5, 9)}
    assert sum(counts.values()) == 300 and min(counts.values()) > 60
    assert all(type(label) is int for label in drawn)


def test_a_label_is_drawn_with_probability_p():
    np.random.seed(0)
    draw = build('SampleConditionLabel', p=0.25)
    made = ['condition_label' in draw(dict(image_labels=np.array([1])))
            for _ in range(400)]
    assert 60 < sum(made) < 140
    never = build('SampleConditionLabel', p=0)
    stale = dict(image_labels=np.array([1]), condition_label=7)
    assert 'condition_label' not in never(stale)


def test_a_label_of_the_crop():
    np.random.seed(0)
    draw = build('SampleConditionLabel', how='crop', min_pixels=2)
    labels = np.array([3, 5, 9])
    assert {draw(sample(image_labels=labels))['condition_label']
            for _ in range(40)} == {3}
    # An ignored map (image labels alone), and a crop that holds none of them.
    for value in (255, 0):
        empty = np.full((2, 3), value, np.uint8)
        assert {draw(sample(empty, image_labels=labels))['condition_label']
                for _ in range(60)} == {3, 5, 9}
    with pytest.raises(KeyError, match="how='crop'.* needs 'gt_seg_map'"):
        draw(dict(image_labels=labels))


def test_errors_of_sampling():
    with pytest.raises(KeyError, match="needs 'image_labels': put it after"):
        build('SampleConditionLabel')({})
    with pytest.raises(ValueError, match="how must be one of 'present', 'crop'"):
        build('SampleConditionLabel', how='absent')
    with pytest.raises(ValueError, match=r'p must be in \[0, 1\], got 2'):
        build('SampleConditionLabel', p=2)
    with pytest.raises(ValueError, match="no_label must be one of 'keep', 'another'"):
        build('SampleConditionLabel', no_label='drop')


def test_t4_binary_mask():
    out = build('BinaryMaskFromLabel')(sample(condition_label=3))
    assert out['gt_seg_map'].tolist() == [[0, 1, 255], [0, 1, 0]]
    assert out['binary_label'] == 3 and out['gt_seg_map'].dtype == np.uint8
    # A label without pixels: everything is ground.
    out = build('BinaryMaskFromLabel')(sample(condition_label=9))
    assert out['gt_seg_map'].tolist() == [[0, 0, 255], [0, 0, 0]]
    with pytest.raises(KeyError, match="needs 'gt_seg_map'"):
        build('BinaryMaskFromLabel')(dict(condition_label=1))


def test_drop_seg_map():
    data = sample(image_labels=np.array([3]), seg_map_path='mask.png',
                  gt_edge_map=MAP, instances=[MAP])
    data['seg_fields'].append('gt_edge_map')
    out = build('DropSegMap')(data)
    assert (out['gt_seg_map'] == 255).all() and out['gt_seg_map'].shape == MAP.shape
    assert out['seg_fields'] == ['gt_seg_map']
    assert not {'seg_map_path', 'gt_edge_map', 'instances'} & set(out)
    # Without a loaded map one is made.
    bare = dict(img=np.zeros((4, 5, 3)), image_labels=np.array([1]))
    assert build('DropSegMap')(bare)['gt_seg_map'].shape == (4, 5)
    with pytest.raises(KeyError, match='Put LoadImageLabels before it'):
        build('DropSegMap')(sample())


def test_t7_square():
    image = np.random.default_rng(0).integers(1, 255, (375, 500, 3), np.uint8)
    data = dict(img=image, gt_seg_map=np.ones((375, 500), np.uint8),
                seg_fields=['gt_seg_map'], img_shape=(375, 500))
    out = build('PadToSquare')(data)
    assert out['square_side'] == 500 and out['valid_shape'] == (375, 500)
    assert out['img'].shape == (500, 500, 3) and out['img_shape'] == (500, 500)
    assert (out['img'][:375] == image).all() and (out['img'][375:] == 0).all()
    assert (out['gt_seg_map'][:375] == 1).all()
    assert (out['gt_seg_map'][375:] == 255).all()
    small = build('Resize', scale=(320, 320), keep_ratio=True)(out)
    assert small['img'].shape == (320, 320, 3)
    rows = np.flatnonzero(small['img'].any((1, 2)))
    assert rows.max() + 1 == 240  # the valid part is 240 x 320
    assert small['valid_shape'] == (375, 500)


@pytest.mark.parametrize('shape', [(3, 7), (7, 3), (5, 5), (1, 1)])
def test_square_of_any_shape(shape):
    out = build('PadToSquare')(dict(img=np.ones((*shape, 3)), seg_fields=[]))
    assert out['img'].shape == (max(shape), max(shape), 3)
    assert out['img'].sum() == 3 * shape[0] * shape[1]
    assert out['valid_shape'] == shape


def test_square_with_a_map_of_another_size():
    data = dict(img=np.zeros((4, 6, 3)), gt_seg_map=MAP, seg_fields=['gt_seg_map'])
    with pytest.raises(ValueError, match=r'gt_seg_map has the size \(2, 3\), the image '
                                         r'\(4, 6\)'):
        build('PadToSquare')(data)


def corner(label=1):
    """A figure of 4 x 4 pixels in the corner of 40 x 40."""
    seg_map = np.zeros((40, 40), np.uint8)
    seg_map[:4, :4] = label
    return sample(seg_map, condition_label=label, image_labels=np.array([label]))


def figures(count=60, **kwargs):
    np.random.seed(0)
    crop = build('ConditionedRandomCrop', crop_size=(20, 20), **kwargs)
    out = [crop(corner()) for _ in range(count)]
    assert all(one['gt_seg_map'].shape == (20, 20) == one['img'].shape[:2]
               for one in out)
    return np.array([(one['gt_seg_map'] == 1).sum() for one in out])


def test_a_crop_keeps_or_looks_for_the_object():
    kept = figures(cropped_away='keep')
    assert (kept == 0).mean() > 0.5
    looked = figures(cropped_away='resample', max_tries=400)
    assert (looked > 0).all()
    whole = figures(cropped_away='resample', max_tries=4000, min_pixels=16, count=5)
    assert (whole == 16).all()
    # More than there are is not asked for, and the best of few tries is taken.
    assert (figures(cropped_away='resample', max_tries=400, min_pixels=9999,
                    count=3) <= 16).all()
    few = figures(cropped_away='resample', max_tries=2)
    assert (kept > 0).mean() < (few > 0).mean() < 1


def test_a_crop_as_released_draws_like_the_plain_one():
    np.random.seed(3)
    ours = build('ConditionedRandomCrop', crop_size=(20, 20))(corner())['img']
    np.random.seed(3)
    assert (ours == build('RandomCrop', crop_size=(20, 20))(corner())['img']).all()


def test_a_crop_without_condition_or_mask_is_drawn_once():
    for data in (dict(corner(), condition_label=None), dict(
            corner(), gt_seg_map=np.full((40, 40), 255, np.uint8))):
        np.random.seed(5)
        build('ConditionedRandomCrop', crop_size=(20, 20), cropped_away='resample')(data)
        ours = np.random.rand()
        np.random.seed(5)
        build('RandomCrop', crop_size=(20, 20))(corner())
        assert ours == np.random.rand()
    with pytest.raises(ValueError, match="cropped_away must be one of 'keep', 'resam"):
        build('ConditionedRandomCrop', crop_size=3, cropped_away='no')


@pytest.mark.parametrize('kind, text', [
    ('LoadImageLabels', 'LoadImageLabels(label_file=None'),
    ('SampleConditionLabel', "SampleConditionLabel(how='present', p=1.0"),
    ('BinaryMaskFromLabel', 'BinaryMaskFromLabel(ignore_index=255)'),
    ('DropSegMap', 'DropSegMap(ignore_index=255)'),
    ('PadToSquare', 'PadToSquare(pad_val=0, seg_pad_val=255)')])
def test_repr(kind, text):
    assert repr(build(kind)).startswith(text)
