"""COCO instance submissions: written, read back by pycocotools, and what is wrong."""

import copy
import errno
import functools
import json
import os
import zipfile

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmdet.evaluation import CocoMetric
from problem_checks import check_told
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from segaware_mm.submission import coco_results
from segaware_mm.submission.archive import open_archive, write_archive
from segaware_mm.submission.coco_classes import THINGS
from segaware_mm.submission.coco_instance import FORMAT, TARGET
from segaware_mm.submission.images import TestImage
from segaware_mm.submission.predictions import Instances
from segaware_mm.submission.targets import get_target
from segaware_mm.utils.rle import as_rles, encode_mask

CLASSES = CocoDataset.METAINFO['classes']
IMAGES = [TestImage(f'{k:012}', 40, 60, '', k) for k in (42, 7, 1000)]
JSON = 'detections_test-dev2017_ours_results.json'


def disc(y, x, radius, size=(40, 60)):
    rows, columns = np.ogrid[:size[0], :size[1]]
    return (rows - y)**2 + (columns - x)**2 <= radius**2


def predicted(seed, count=8):
    rng = np.random.default_rng(seed)
    masks = [disc(*rng.uniform(5, 35, 2), rng.uniform(3, 12)) for _ in range(count)]
    return Instances(rng.integers(0, 6, count), rng.uniform(0.1, 1, count),
                     np.array(masks))


def packed(folder, images=IMAGES, predictions=None):
    staged = folder / 'staged'
    for image in images:
        prediction = (predictions or {}).get(image.image_id, predicted(image.image_id))
        TARGET.write(staged, image, prediction, CLASSES)
    TARGET.pack(staged, images, folder / 'ours.zip', 'ours')
    return folder / 'ours.zip'


def entries_of(path):
    with open_archive(path) as archive:
        return json.loads(archive.read(JSON))


def test_the_target_and_its_facts():
    assert get_target('coco-instance') is TARGET
    assert (TARGET.task, TARGET.suffix, TARGET.count) == ('instance', '.zip', 20288)
    assert list(THINGS) == list(CLASSES)
    assert len(set(THINGS.values())) == 80 and max(THINGS.values()) == 90


def test_a_right_archive_has_no_problem(tmp_path):
    path = packed(tmp_path)
    assert TARGET.validate(path, IMAGES) == []
    assert TARGET.validate(path) == []
    assert zipfile.ZipFile(path).namelist() == [JSON]
    entries = entries_of(path)
    assert {key for entry in entries for key in entry} == FORMAT.keys
    assert {entry['image_id'] for entry in entries} == {42, 7, 1000}
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / 'tree')
    assert TARGET.validate(tmp_path / 'tree', IMAGES) == []


def test_score_of_the_archive_is_that_of_mmdet(tmp_path):
    rng = np.random.default_rng(0)
    predictions, annotations, samples = {}, [], []
    for image in IMAGES:
        labels = rng.integers(0, 3, 6)
        places = rng.uniform(5, 35, (6, 3)) * [1, 1, 0.3]
        masks = [disc(*place) for place in places]
        for label, mask in zip(labels, masks):
            rle = coco_results.plain_rle(encode_mask(mask))
            annotations.append(dict(
                id=len(annotations) + 1, image_id=image.image_id, iscrowd=0,
                category_id=list(THINGS.values())[label], area=float(mask.sum()),
                segmentation=rle, bbox=coco_mask.toBbox(rle).tolist()))
        found = np.array([disc(*(place + rng.normal(0, 1, 3))) for place in places]
                         + [disc(20, 30, 9)])
        instances = Instances(np.append(labels, 1), rng.random(7).astype(np.float32),
                              as_rles(found))
        predictions[image.image_id] = instances
        samples.append(dict(
            img_id=image.image_id, ori_shape=(40, 60), pred_instances=dict(
                bboxes=torch.zeros(7, 4), labels=torch.as_tensor(instances.labels),
                scores=torch.as_tensor(instances.scores), masks=torch.as_tensor(found))))
    truth_file = tmp_path / 'truth.json'
    truth_file.write_text(json.dumps(dict(
        images=[dict(id=one.image_id, height=40, width=60) for one in IMAGES],
        categories=[dict(id=number, name=name) for name, number in THINGS.items()],
        annotations=annotations)))
    metric = CocoMetric(ann_file=str(truth_file), metric='segm',
                        outfile_prefix=str(tmp_path / 'mmdet'))
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, samples)
    upstream = metric.evaluate(len(samples))

    def scores(entries):
        truth = COCO(str(truth_file))
        evaluation = COCOeval(truth, truth.loadRes(entries), 'segm')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return evaluation.stats

    path = packed(tmp_path, predictions=predictions)
    got = scores(entries_of(path))
    theirs = json.loads((tmp_path / 'mmdet.segm.json').read_text())
    for entry in theirs:
        entry.pop('bbox')
    assert got == pytest.approx(scores(theirs), abs=1e-6)
    assert 0.1 < got[0] < 0.9
    for key, value in zip(('mAP', 'mAP_50', 'mAP_75', 'mAP_s'), got):
        assert upstream[f'coco/segm_{key}'] == pytest.approx(value, abs=5e-4)
    assert TARGET.validate(path, IMAGES) == []


def test_only_the_best_hundred_are_kept_and_no_empty_mask(tmp_path):
    many = predicted(0, 130)
    masks = many.masks.copy()
    best = np.argsort(-many.scores)
    masks[best[3]] = False
    path = packed(tmp_path, IMAGES[:1], {42: many._replace(masks=masks)})
    scores = [entry['score'] for entry in entries_of(path)]
    assert scores == sorted(many.scores, reverse=True)[:3] \
        + sorted(many.scores, reverse=True)[4:101]
    assert TARGET.validate(path, IMAGES[:1]) == []


def test_forms_of_masks_and_images_without_detections(tmp_path):
    one = predicted(1)
    nothing = Instances(np.zeros(0, int), np.zeros(0), np.zeros((0, 40, 60), bool))
    tensors = Instances(torch.as_tensor(one.labels), torch.as_tensor(one.scores),
                        torch.as_tensor(one.masks))
    first = packed(tmp_path / 'a', predictions={42: one, 7: nothing})
    other = packed(tmp_path / 'b', predictions={
        42: tensors, 7: nothing._replace(masks=[])})
    third = packed(tmp_path / 'c', predictions={
        42: one._replace(masks=as_rles(one.masks)), 7: nothing})
    assert first.read_bytes() == other.read_bytes() == third.read_bytes()
    assert TARGET.validate(first, IMAGES) == []
    none = packed(tmp_path / 'd', IMAGES[1:2], {7: nothing})
    assert [str(one) for one in TARGET.validate(none, IMAGES[1:2])] == [
        f'{JSON}: has no entry; predict the test set and pack again']


@pytest.mark.parametrize('change, text', [
    (dict(labels=np.array([0, 99])), 'of 000000000042 has the class 99; the model has '
     r'the classes 0\.\.79'),
    (dict(scores=np.array([0.5, np.nan])), 'has the score nan; scores must be finite'),
    (dict(scores=np.array([0.5])), 'has 2 labels, 1 scores and 2 masks'),
    (dict(masks=np.ones((2, 60, 40), bool)), 'has a mask of 60 x 40, the image is 40 x '
     '60. Masks must be resized'),
    (dict(masks=np.ones((2, 40, 60))), 'masks of the prediction of 000000000042 must be '
     'bool or integer maps')])
def test_wrong_predictions_are_refused(tmp_path, change, text):
    right = Instances(np.array([0, 1]), np.array([0.5, 0.4]), np.ones((2, 40, 60), bool))
    with pytest.raises((ValueError, TypeError), match=text):
        TARGET.write(tmp_path, IMAGES[0], right._replace(**change), CLASSES)
    assert not TARGET.is_done(tmp_path, IMAGES[0])


def test_wrong_models_and_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match="COCO does not know 1 of the 2 classes of the "
                       "model: 'persons'. Did you mean person"):
        TARGET.write(tmp_path, IMAGES[0], predicted(0), ('persons', 'car'))
    with pytest.raises(ValueError, match='the image a has no COCO id. Give image_info'):
        TARGET.write(tmp_path, TestImage('a', 40, 60), predicted(0), CLASSES)


def test_nothing_is_packed_by_halves(tmp_path, monkeypatch):
    staged = tmp_path / 'staged'
    TARGET.write(staged, IMAGES[0], predicted(0), CLASSES)
    assert TARGET.is_done(staged, IMAGES[0]) and not TARGET.is_done(staged, IMAGES[1])
    out = tmp_path / 'a.zip'
    with pytest.raises(ValueError, match='2 of 3 images have no prediction .*: '
                       '000000000007, 000000001000. Nothing is packed'):
        TARGET.pack(staged, IMAGES, out, 'ours')
    with pytest.raises(ValueError, match="name of the submission is 'my net'; .*--name"):
        TARGET.pack(staged, IMAGES[:1], out, 'my net')
    with pytest.raises(ValueError, match='a.tgz does not end in .zip, which COCO takes'):
        TARGET.pack(staged, IMAGES[:1], tmp_path / 'a.tgz', 'ours')

    def full(_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(ValueError, match=r'cannot be joined in .*staged: No space left '
                       r'on device \(free some space\)\. No archive is written'):
        TARGET.pack(staged, IMAGES[:1], out, 'ours')
    assert sorted(os.listdir(tmp_path)) == ['staged']
    assert os.listdir(staged) == ['000000000042.json']


def first(key, value):
    """A corruption that sets a value of the first entry."""
    def corrupt(entries):
        entries[0][key] = value(entries[0]) if callable(value) else value
        return entries
    return corrupt


def rle(**change):
    return first('segmentation', lambda entry: dict(entry['segmentation'], **change))


def without(key):
    return lambda entries: [{k: v for k, v in entry.items() if k != key}
                            for entry in entries]


def half_rle(entry):
    counts = entry['segmentation']['counts']
    return dict(entry['segmentation'], counts=counts[:len(counts) // 2] + '0')


def boxes(entries):
    return [dict(entry, bbox=[0, 0, 9, 9]) for entry in entries]


def many(entries):
    return [dict(entries[0], score=k / 200) for k in range(101)]


EMPTY = coco_results.plain_rle(encode_mask(np.zeros((40, 60))))
OTHER = coco_results.plain_rle(encode_mask(np.ones((20, 30))))
LISTED = dict(size=[40, 60], counts=[100, 20, 2280])
HERE = r'entry 0 \(image 42\) '

#: Corruption of the entries; what is said of it; how to mend it.
CORRUPTIONS = {
    'no image id': (without('image_id'), 'entry 0 has no image_id, and so in 23 entries '
                    'more', 'add image_id'),
    'no score': (without('score'), f'{HERE}has no score, and so', 'add score'),
    'unknown image': (first('image_id', 43), r'entry 0 \(image 43\) is of an image that '
                      'is not in the test set', 'ids of image_info_test-dev2017.json'),
    'image by name': (first('image_id', '000000000042'), 'has image_id text, not an '
                      'integer', 'as a number'),
    'class outside': (first('category_id', 12), f'{HERE}has category_id 12, which is '
                      r'none of the 80 classes \(1\.\.90\)', 'not the indices'),
    'index for class': (first('category_id', 0), 'has category_id 0', 'category ids of'),
    'class by name': (first('category_id', 'cat'), 'has category_id text', 'as a number'),
    'score nan': (first('score', float('nan')), 'has the score nan, which is no finite',
                  'write finite numbers'),
    'score infinite': (first('score', float('inf')), 'has the score inf', 'finite'),
    'score huge': (first('score', 10**400), 'has the score 1000', 'finite'),
    'negative size': (rle(size=[-40, -60]), r'has the size \[-40, -60\], not', 'encode'),
    'score text': (first('score', '0.9'), 'has a score that is text', 'write numbers'),
    'score null': (first('score', None), 'has a score that is null', 'write numbers'),
    'boxes': (boxes, f'{HERE}has the key bbox: sizes of objects would be those of boxes',
              'leave bbox out'),
    'other key': (first('area', 3.5), 'has the key area, which is not in the format',
                  'leave area out'),
    'polygons': (first('segmentation', [[0, 0, 9, 0, 9, 9]]), 'has polygons for a mask',
                 'pycocotools.mask.encode'),
    'no rle': (first('segmentation', {'counts': 'ab'}), 'is no RLE of size and counts',
               'pycocotools.mask.encode'),
    'size of rle': (rle(size=[40]), r'has the size \[40\], not \[height, width\]',
                    'encode'),
    'runs as list': (first('segmentation', LISTED), 'has counts that are a list, not '
                     'compressed text', 'encode'),
    'other size': (first('segmentation', OTHER), 'has a mask of 20 x 30, the image 40 x '
                   r'60 \(height x width\)', 'resize masks to the original image'),
    'swapped size': (rle(size=[60, 40]), 'has a mask of 60 x 40, the image 40 x 60',
                     r'write size as \[height, width\]'),
    'half rle': (first('segmentation', half_rle), r'has a broken RLE: its runs have '
                 r'-?\d+ pixels, its size 2400', 'encode'),
    'cut in a number': (rle(counts='Zo'), 'has a broken RLE: it ends within a number',
                        'encode'),
    'characters': (rle(counts='ab \u00e9'), 'it has a character that no RLE has',
                   'encode'),
    'empty mask': (first('segmentation', EMPTY), f'{HERE}has an empty mask',
                   'leave empty masks out'),
    'repeated': (lambda entries: [*entries, entries[0]], r'entry 24 \(image 42\) repeats '
                 'an entry', 'keep one'),
    'too many': (many, 'image 42 has 101 entries, COCO takes 100 an image',
                 'keep the 100 of the highest scores'),
    'no object': (lambda entries: [*entries, 7], 'entry 24 is a number, not an object',
                  'write objects of category_id, image_id, score, segmentation'),
    'nothing': (lambda entries: [], 'has no entry', 'predict the test set')}


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_corrupt_entries_are_told(tmp_path, name):
    corrupt, what, mend = CORRUPTIONS[name]
    entries = corrupt(copy.deepcopy(entries_of(packed(tmp_path))))
    write_archive(tmp_path / 'bad.zip', {JSON: json.dumps(entries).encode()})
    problems = TARGET.validate(tmp_path / 'bad.zip', IMAGES)
    check_told(problems, JSON, what, mend)
    assert len(problems) == 1


def test_all_flaws_are_told_at_once(tmp_path):
    entries = entries_of(packed(tmp_path))
    entries[0]['score'], entries[1]['category_id'] = None, 0
    entries[2]['segmentation'], entries[3]['image_id'] = EMPTY, 5
    write_archive(tmp_path / 'bad.zip', {'a.json': json.dumps(entries).encode()})
    problems = TARGET.validate(tmp_path / 'bad.zip', IMAGES)
    assert len(problems) == 5 and problems == sorted(problems)


def text_of(change):
    """A corruption of the text of the file."""
    return lambda path: write_archive(path.with_name('bad.zip'), {
        JSON: change(json.dumps(entries_of(path))).encode('utf-8', 'surrogateescape')})


def files(**names):
    """A corruption of the names in the archive."""
    def corrupt(path):
        with open_archive(path) as archive:
            content = archive.read(JSON)
        write_archive(path.with_name('bad.zip'), {
            name.format(JSON): content if part is None else part
            for name, part in names.items()})
    return corrupt


def cut(path):
    path.with_name('bad.zip').write_bytes(path.read_bytes()[:-200])


def tar(path):
    with open_archive(path) as archive:
        write_archive(path.with_name('bad.tgz'), {JSON: archive.read(JSON)})
    path.with_name('bad.tgz').rename(path.with_name('bad.zip'))


def twice(path):
    with pytest.warns(UserWarning), zipfile.ZipFile(
            path.with_name('bad.zip'), 'w') as out:
        with open_archive(path) as archive:
            for _ in range(2):
                out.writestr(JSON, archive.read(JSON))


@pytest.mark.parametrize('split', ['test-challenge2017', 'val2017'])
def test_other_parts_of_coco_are_taken(tmp_path, split):
    path = packed(tmp_path)
    with open_archive(path) as archive:
        write_archive(tmp_path / 'other.zip',
                      {f'detections_{split}_ours_results.json': archive.read(JSON)})
    assert TARGET.validate(tmp_path / 'other.zip', IMAGES) == []
    assert TARGET.validate(tmp_path / 'other.zip') == []


#: Corruption of the archive; the file that is named; what is said; how to mend it.
ARCHIVES = {
    'half archive': (cut, 'bad.zip', 'is damaged, or only the half', 'pack it again'),
    'no archive': (lambda path: path.with_name('bad.zip').write_text('{}'), 'bad.zip',
                   'is no archive', 'give a .zip'),
    'absent': (lambda path: None, 'bad.zip', 'does not exist', 'give the archive'),
    'other kind': (tar, 'bad.zip', 'is a tgz; the server takes a .zip', 'as a .zip'),
    'file twice': (twice, JSON, 'has this file twice', 'keep one'),
    'name': (files(**{'results.json': None}), 'results.json',
             'is not named detections_test-dev2017_NAME_results.json', 'rename it'),
    'name of boxes': (files(**{'ours.segm.json': None}), 'ours.segm.json',
                      'is not named detections', 'rename it'),
    'folder': (files(**{'results/{}': None}), f'results/{JSON}', 'lies in a folder',
               'at the top'),
    "a system's copy": (files(**{'{}': None, '__MACOSX/._{}': b'x'}),
                        f'__MACOSX/._{JSON}', 'is no part of a submission',
                        'pack the result file alone'),
    'extra file': (files(**{'{}': None, 'readme.txt': b'x'}), 'readme.txt',
                   'is no part of a submission to COCO', 'the result file alone'),
    'two files': (files(**{'{}': None, 'detections_test-dev2017_b_results.json': None}),
                  'bad.zip', 'has 2 result files, COCO takes one', 'alone'),
    'no file': (files(**{'a.txt': b'x'}), 'bad.zip', 'has 0 result files',
                'pack detections_test-dev2017_NAME_results.json alone'),
    'half file': (text_of(lambda text: text[:len(text) // 2]), JSON,
                  'only the half of it: entry 1[0-9] cannot be read', 'one JSON list'),
    'no comma': (text_of(lambda text: text.replace('}, {', '} {', 1)), JSON,
                 'after entry 0 neither "," nor "]" follows', 'one JSON list'),
    'text behind': (text_of(lambda text: text + '[]'), JSON, 'has text after the list',
                    'one JSON list'),
    'object': (text_of(lambda text: '{"annotations": ' + text + '}'), JSON,
               'is an object, not a list of entries', 'one JSON list'),
    'empty file': (text_of(lambda text: ''), JSON, 'is empty', 'one JSON list'),
    'no text': (text_of(lambda text: '\udcff' + text), JSON, 'is no UTF-8 text',
                'write it as JSON')}


@pytest.mark.parametrize('name', ARCHIVES)
def test_corrupt_archives_are_told(tmp_path, name):
    corrupt, file, what, mend = ARCHIVES[name]
    corrupt(packed(tmp_path))
    check_told(TARGET.validate(tmp_path / 'bad.zip', IMAGES), file, what, mend)


def test_without_the_images_sizes_must_agree_and_number_must_fit(tmp_path, monkeypatch):
    entries = entries_of(packed(tmp_path))
    entries[1]['segmentation'] = OTHER
    write_archive(tmp_path / 'bad.zip', {JSON: json.dumps(entries).encode()})
    check_told(TARGET.validate(tmp_path / 'bad.zip'), JSON, 'entry 1 .* has a mask of 20 '
               'x 30, another of this image 40 x 60', 'resize masks')
    small = functools.partial(coco_results.validate, FORMAT._replace(count=2))
    check_told(small(tmp_path / 'ours.zip'), JSON, 'has entries of 3 images, the test '
               'set has 2', 'the test set and nothing else')


def test_lists_of_entries_are_read_one_by_one():
    got = []
    with pytest.raises(ValueError, match='entry 2 cannot be read'):
        for entry in coco_results.read_entries(' [ {"a": 1} ,\n2, nul'):
            got.append(entry)
    assert got == [{'a': 1}, 2]
    assert list(coco_results.read_entries(' [ ] ')) == []
    for wrong in ('[1,]', '[,]', '[1', '[', '1', '[[' * 100000):
        with pytest.raises(ValueError):
            list(coco_results.read_entries(wrong))
