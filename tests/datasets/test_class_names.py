"""Classes by name, and files of image labels."""

import json

import numpy as np
import pytest

pytest.importorskip('mmseg')

from segaware_mm.datasets.class_names import (  # noqa: E402
    ALIASES,
    canonical,
    class_list,
    find_ids,
    ids_by_name,
    joint_classes,
)
from segaware_mm.datasets.label_file import ImageLabelFile  # noqa: E402
from segaware_mm.engine.errors import DataError  # noqa: E402

CLASSES = ('background', 'sofa', 'tvmonitor', 'traffic light')


def test_names_of_coco_and_voc_are_matched():
    voc = class_list('PascalVOCDataset').names
    coco = ('couch', 'tv', 'motorcycle', 'airplane', 'dining table', 'potted plant')
    assert [voc[i] for i in find_ids(coco, voc, 'wanted')] == [
        'sofa', 'tvmonitor', 'motorbike', 'aeroplane', 'diningtable', 'pottedplant']
    assert set(ALIASES.values()) <= set(voc)
    assert canonical(' Traffic_Light ') == canonical('traffic-light') == 'traffic light'
    assert find_ids(['TV', 'Sofa'], CLASSES, 'wanted') == [2, 1]


def test_unknown_names_are_told_with_near_ones():
    with pytest.raises(ValueError, match=r"keep has the class 'sofaa', which classes "
                                         r'has not. Did you mean sofa\?'):
        find_ids(['sofaa'], CLASSES, 'keep')
    with pytest.raises(ValueError, match='There are background, sofa'):
        find_ids(['zzz'], CLASSES, 'keep')
    with pytest.raises(ValueError, match="'couch' and 'sofa', which are the same class"):
        ids_by_name(('couch', 'sofa'))
    with pytest.raises(ValueError, match="classes='NoSuchDataset' is no data set"):
        class_list('NoSuchDataset')
    with pytest.raises(ValueError, match='a data set without fixed classes'):
        class_list('BaseSegDataset')
    with pytest.raises(ValueError, match="begin with 'background' .* got 'sky'"):
        joint_classes('ScenesDataset')
    with pytest.raises(TypeError, match='keep must be names of classes, got'):
        class_list([1, 2], 'keep')


@pytest.fixture
def labels(tmp_path):
    def write(content, **kwargs):
        path = tmp_path / 'labels.json'
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return ImageLabelFile(str(path), **kwargs)
    return write


def test_ids_and_names(labels):
    read = labels({'a': [2, 1, 2, 0], 'b': ['couch', 'TV'], 'c': []}, classes=CLASSES)
    assert len(read) == 3
    for name, wanted in (('x/y/a.jpg', [1, 2]), ('b.png', [1, 2]), ('c.jpg', [])):
        got = read(name)
        assert got.tolist() == wanted and got.dtype == np.int64
    # Without classes, ids are taken as they are.
    assert labels({'a': [7, 90]})('a.jpg').tolist() == [7, 90]


def test_parts_and_ids_of_the_file_itself(labels):
    parts = {'train': {'a': [1]}, 'val': {'a': [3]}}
    assert labels(parts, key='val')('a.jpg').tolist() == [3]
    # As tools/make_scenes.py writes it: 0 is a class there; sky is none of ours.
    scenes = {'classes': ['sky', 'couch', 'tv'], 'labels': {'a': [0, 2], 'b': [0]}}
    read = labels(scenes, classes=CLASSES, needed=(1, 2))
    assert read('a.png').tolist() == [2] and read('b.png').tolist() == []
    other = labels({'a': [0, 1]}, classes=CLASSES, file_classes=('tv', 'couch'))
    assert other('a.png').tolist() == [1, 2]


@pytest.mark.parametrize('content, kwargs, text', [
    ({'a': ['soffa']}, {}, r"'a' has the unknown class 'soffa'. Did you mean sofa\?"),
    ({'a': [4]}, {}, r"'a' has the class id 4; ids are 0 to 3"),
    ({'a': [-1]}, {}, 'has the class id -1'),
    ({'a': [True]}, {}, "'a' has the label True; a class id or name is wanted"),
    ({'a': [1.5]}, {}, "'a' has the label 1.5"),
    ({'a': 1}, {}, "the labels of 'a' are 1, no list. The form is"),
    ([1, 2], {}, 'holds a list. The form is'),
    ('{"a": [1', {}, 'is no JSON'),
    ({'train': {'a': [1]}}, {}, r"has the parts train; say which one .*key='train'"),
    ({'train': {'a': [1]}}, {'key': 'trian'}, r"no part 'trian'. Did you mean train\?"),
    ({'a': ['sofa']}, {'classes': None}, "'sofa'. Give `classes`, the names by id"),
    ({'classes': ['soffa'], 'labels': {}}, {'needed': (1, )},
     r"cannot label the class 'sofa'.* Did you mean soffa\?"),
    ({'classes': ['sofa', 5], 'labels': {}}, {},
     '"classes" must be the names of classes by id, got 5'),
    ({'classes': [], 'labels': {}}, {}, '"classes" must be the names .* got none'),
])
def test_wrong_files(labels, content, kwargs, text):
    with pytest.raises(DataError, match=text):
        labels(content, **{'classes': CLASSES, **kwargs})


def test_an_image_that_is_not_there(labels):
    read = labels({'000123': [1]}, classes=CLASSES)
    with pytest.raises(DataError, match=r"no labels of '000132' .*Did you mean 000123\? "
                                        'An image that shows no class has an empty'):
        read('images/000132.jpg')
    with pytest.raises(DataError, match='nowhere.json does not exist'):
        ImageLabelFile('nowhere.json')


def test_a_folder_is_no_file_of_labels(tmp_path):
    with pytest.raises(DataError, match=r'cannot be read \(Is a directory\)'):
        ImageLabelFile(str(tmp_path))
