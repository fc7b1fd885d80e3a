"""Predictions in the server's ids; staging; targets by name."""

import errno
import subprocess
import sys

import numpy as np
import pytest

from segaware_mm.submission import target as target_module
from segaware_mm.submission.images import TestImage
from segaware_mm.submission.predictions import class_ids, server_map
from segaware_mm.submission.problem import SubmissionError
from segaware_mm.submission.target import require_done, stage_file
from segaware_mm.submission.targets import TARGETS, get_target

IMAGE = TestImage('one', 2, 3)
KNOWN = {'road': 7, 'sidewalk': 8, 'traffic light': 19}


def test_classes_are_found_by_name_in_any_order():
    assert class_ids(('traffic_light', 'Road'), KNOWN, 'the server') == [19, 7]


@pytest.mark.parametrize('classes, text', [
    (('road', 'sidewalks', 'tree'), r"the server does not know 2 of the 3 classes of the "
     r"model: 'sidewalks', 'tree'. Did you mean sidewalk\? The model must be trained"),
    (('road', 'Road'), r"the model has the class 'Road' twice \(id 7 of the server\)"),
    ((), 'the model has no classes, the server has 3')])
def test_wrong_classes_are_named(classes, text):
    with pytest.raises(ValueError, match=text):
        class_ids(classes, KNOWN, 'the server')


@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.int64])
def test_map_in_the_servers_ids(dtype):
    prediction = np.array([[0, 1, 255], [1, 1, 0]], dtype)
    if dtype is np.int16:
        prediction = np.asfortranarray(prediction)
    found = server_map(prediction, IMAGE, [19, 7], none=0)
    assert found.tolist() == [[19, 7, 0], [7, 7, 19]]


@pytest.mark.parametrize('prediction, error, text', [
    (np.zeros((2, 3)), TypeError, r'prediction of one must be integers \(H, W\), got '
     r'float64 of shape \(2, 3\)'),
    (np.zeros((1, 2, 3), int), TypeError, r'of shape \(1, 2, 3\)'),
    (np.zeros((3, 2), int), ValueError, 'has size 3 x 2, the image 2 x 3. Scores must be '
     'resized'),
    (np.full((2, 3), 2), ValueError, r'has class 2; the model has the classes 0\.\.1'),
    (np.full((2, 3), -1), ValueError, 'has class -1'),
    (np.full((2, 3), 255), ValueError, r'has 6 pixels without a class \(255\)')])
def test_wrong_maps_name_the_image(prediction, error, text):
    with pytest.raises(error, match=text):
        server_map(prediction, IMAGE, [19, 7])


def test_map_of_more_than_255_classes_may_have_class_255():
    ids = list(range(1000, 1300))
    assert server_map(np.full((2, 3), 255), IMAGE, ids)[0, 0] == 1255


def test_full_disk_while_an_image_is_staged_says_where(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(target_module, 'write_atomic', full)
    with pytest.raises(SubmissionError, match=(
            r'stopped at the image one: .*one.png cannot be written: No space left on '
            r'device \(free some space\). Images that are finished are kept: run')):
        stage_file(tmp_path / 'one.png', b'', IMAGE)


def test_images_that_are_not_done_are_counted_and_named():
    images = [TestImage(name, 1, 1) for name in 'abcde']
    require_done('folder', images, lambda folder, image: True)
    with pytest.raises(SubmissionError, match='4 of 5 images have no prediction in '
                                              'folder: b, c, d, .... Nothing is packed'):
        require_done('folder', images, lambda folder, image: image.name == 'a')
    with pytest.raises(SubmissionError, match='no images'):
        require_done('folder', [], lambda folder, image: True)


def test_targets_are_found_by_name():
    for name, one in TARGETS.items():
        assert get_target(name) is one and one.name == name
        assert one.task in ('semantic', 'instance') and one.suffix in ('.zip', '.tgz')
        assert '(?P<name>' in one.pattern
    assert list(TARGETS) == sorted(TARGETS)


def test_unknown_target_is_an_error():
    with pytest.raises(SubmissionError, match="there is no target 'cityscapes'"):
        get_target('cityscapes')


def test_package_needs_no_toolbox():
    program = ('import sys\n'
               'names = ("mmcv", "mmengine", "mmseg", "mmdet", "pycocotools", '
               '"cityscapesscripts")\n'
               'sys.modules.update(dict.fromkeys(names))\n'
               'from segaware_mm.submission import archive, targets\n')
    subprocess.run([sys.executable, '-W', 'ignore', '-c', program], check=True)
