"""COCO-Stuff submissions: written, read back, and what is wrong with them."""

import copy
import json

import numpy as np
import pytest
from mmseg.datasets import COCOStuffDataset
from problem_checks import check_told
from pycocotools import mask as coco_mask

from segaware_mm.submission.archive import open_archive, write_archive
from segaware_mm.submission.coco_classes import OTHER, STUFF, THINGS
from segaware_mm.submission.coco_results import plain_rle
from segaware_mm.submission.coco_stuff import FORMAT, TARGET
from segaware_mm.submission.images import TestImage
from segaware_mm.submission.targets import get_target
from segaware_mm.utils.rle import encode_mask

CLASSES = COCOStuffDataset.METAINFO['classes']
IMAGES = [TestImage(f'{k:012}', 24, 36, '', k) for k in (42, 7)]
JSON = 'stuff_test-dev2017_ours_results.json'


def predicted(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 16, 80, 81, 123, 170], (6, 9))
    labels[0, 0], labels[5, 8], labels[3, 3] = 0, 170, 80
    return labels.repeat(4, 0).repeat(4, 1)


def packed(folder, predictions=()):
    for image in IMAGES:
        prediction = dict(predictions).get(image.image_id, predicted(image.image_id))
        TARGET.write(folder / 'staged', image, prediction, CLASSES)
    TARGET.pack(folder / 'staged', IMAGES, folder / 'ours.zip', 'ours')
    return folder / 'ours.zip'


def entries_of(path):
    with open_archive(path) as archive:
        return json.loads(archive.read(JSON))


def test_the_target_and_its_facts():
    assert get_target('coco-stuff') is TARGET
    assert (TARGET.task, TARGET.suffix, TARGET.count) == ('semantic', '.zip', None)
    assert (*THINGS, *STUFF) == CLASSES
    assert sorted(FORMAT.categories) == list(range(92, 184))
    assert (STUFF['banner'], STUFF['wood'], OTHER) == (92, 182, 183)


def test_a_right_archive_has_no_problem_and_gives_the_map_back(tmp_path):
    prediction = predicted(42)
    prediction[:2, :5] = 255
    path = packed(tmp_path, {42: prediction})
    assert TARGET.validate(path, IMAGES) == TARGET.validate(path) == []
    found = np.zeros((24, 36), int)
    for entry in entries_of(path):
        assert set(entry) == {'image_id', 'category_id', 'segmentation'}
        if entry['image_id'] == 42:
            found[coco_mask.decode(entry['segmentation']) > 0] = entry['category_id']
    wanted = np.where(prediction < 80, OTHER, prediction - 80 + 92)  # things are joined
    np.testing.assert_array_equal(found, np.where(prediction == 255, 0, wanted))


def test_confusion_from_the_archive_is_that_of_the_prediction(tmp_path):
    """Pixels of class and truth, from the RLEs and from the map."""
    truth = np.roll(predicted(7), 3, 1)
    prediction = predicted(7)
    path = packed(tmp_path)
    joined = [OTHER if k < 80 else k + 12 for k in range(171)]
    for entry in entries_of(path):
        if entry['image_id'] != 7:
            continue
        mask = coco_mask.decode(entry['segmentation']) > 0
        mine = np.take(joined, prediction) == entry['category_id']
        theirs = np.take(joined, truth) == entry['category_id']
        assert (mask & theirs).sum() / (mask | theirs).sum() == \
            (mine & theirs).sum() / (mine | theirs).sum()


def test_models_of_stuff_alone_and_wrong_predictions(tmp_path):
    TARGET.write(tmp_path, IMAGES[0], np.ones((24, 36), int), ('other', 'grass'))
    entry, = json.loads((tmp_path / '000000000042.json').read_text())
    assert entry['category_id'] == STUFF['grass'] == 124
    with pytest.raises(ValueError, match='has no class anywhere; every image needs one'):
        TARGET.write(tmp_path, IMAGES[1], np.full((24, 36), 255), CLASSES)
    with pytest.raises(ValueError, match="COCO-Stuff does not know .*'grasses'"):
        TARGET.write(tmp_path, IMAGES[1], predicted(0), ('grasses', ))
    with pytest.raises(ValueError, match='has size 36 x 24, the image 24 x 36'):
        TARGET.write(tmp_path, IMAGES[1], predicted(0).T, CLASSES)
    with pytest.raises(ValueError, match='has no COCO id'):
        TARGET.write(tmp_path, TestImage('a', 24, 36), predicted(0), CLASSES)
    assert not TARGET.is_done(tmp_path, IMAGES[1])


def first(key, value):
    def corrupt(entries):
        entries[0][key] = value(entries[0]) if callable(value) else value
        return entries
    return corrupt


def rle(**change):
    return first('segmentation', lambda entry: dict(entry['segmentation'], **change))


def all_of(mask):
    return first('segmentation', plain_rle(encode_mask(mask)))


def second_mask(entries):
    """Half of a class in an entry of its own."""
    mask = coco_mask.decode(entries[0]['segmentation'])
    rows = np.flatnonzero(mask.any(1))
    one, two = mask.copy(), mask.copy()
    one[rows[len(rows) // 2]:], two[:rows[len(rows) // 2]] = 0, 0
    return [*(dict(entries[0], segmentation=plain_rle(encode_mask(half)))
              for half in (one, two)), *entries[1:]]


def half_rle(entry):
    counts = entry['segmentation']['counts']
    return dict(entry['segmentation'], counts=counts[:len(counts) // 2])


HERE = r'entry 0 \(image 42\) '
CORRUPTIONS = {
    'no image': (lambda entries: [one for one in entries if one['image_id'] != 7],
                 r'image 7 \(000000000007\) has no entry', 'predict this image'),
    'unknown image': (first('image_id', 43), r'\(image 43\) is of an image that is not '
                      'in the test set', 'image_info_test-dev2017'),
    'image by name': (first('image_id', '42'), 'has image_id text', 'as a number'),
    'thing': (first('category_id', 18), f'{HERE}has category_id 18, which is none of the '
              r'92 classes \(92\.\.183\)', 'not the indices'),
    'index for class': (first('category_id', 0), 'has category_id 0', 'not the indices'),
    'no class': (lambda entries: [{k: v for k, v in one.items() if k != 'category_id'}
                                  for one in entries], 'entry 0 .* has no category_id',
                 'add category_id'),
    'class with a point': (first('category_id', 92.0), 'has category_id a number with a '
                           'point, not an integer', 'as a number'),
    'class twice': (second_mask, r'image 42 has the class 92 in several entries',
                    'one mask for every class'),
    'repeated': (lambda entries: [*entries, entries[0]], 'repeats an entry', 'keep one'),
    'overlap': (all_of(np.ones((24, 36))), r'image 42 has masks that overlap, \d+ pixels '
                'have more than one class', 'give every pixel one class'),
    'empty mask': (all_of(np.zeros((24, 36))), 'has an empty mask', 'leave empty masks'),
    'other size': (all_of(np.ones((12, 18))), 'has a mask of 12 x 18, the image 24 x 36',
                   'resize masks'),
    'swapped size': (rle(size=[36, 24]), 'has a mask of 36 x 24, the image 24 x 36',
                     r'size as \[height, width\]'),
    'half rle': (first('segmentation', half_rle), 'has a broken RLE', 'encode'),
    'runs as list': (rle(counts=[0, 864]), 'counts that are a list', 'encode'),
    'polygons': (first('segmentation', [[0, 0, 5, 0, 5, 5]]), 'has polygons', 'encode'),
    'boxes': (first('bbox', [0, 0, 1, 1]), 'has the key bbox', 'leave bbox out'),
    'score': (first('score', float('nan')), 'has the score nan', 'finite numbers'),
    'nothing': (lambda entries: [], 'has no entry', 'predict the test set')}


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_corrupt_entries_are_told(tmp_path, name):
    corrupt, what, mend = CORRUPTIONS[name]
    entries = copy.deepcopy(entries_of(packed(tmp_path)))
    entries.sort(key=lambda one: (-one['image_id'], one['category_id']))
    write_archive(tmp_path / 'bad.zip', {JSON: json.dumps(corrupt(entries)).encode()})
    check_told(TARGET.validate(tmp_path / 'bad.zip', IMAGES), JSON, what, mend)


def test_a_score_is_allowed_but_not_wanted(tmp_path):
    entries = [dict(one, score=1.0) for one in entries_of(packed(tmp_path))]
    write_archive(tmp_path / 'scored.zip', {JSON: json.dumps(entries).encode()})
    assert TARGET.validate(tmp_path / 'scored.zip', IMAGES) == []


@pytest.mark.parametrize('name, what', [
    ('detections_test-dev2017_ours_results.json', 'is not named stuff_test-dev2017_NAME'),
    ('a/' + JSON, 'lies in a folder'), ('a.png', 'is no part of a submission to COCO-')])
def test_wrong_names_are_told(tmp_path, name, what):
    with open_archive(packed(tmp_path)) as archive:
        write_archive(tmp_path / 'bad.zip', {name: archive.read(JSON)})
    check_told(TARGET.validate(tmp_path / 'bad.zip', IMAGES), name, what, '')
