"""Cityscapes instance submissions against the official evaluator; what is wrong."""

import errno
import re
import zipfile
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from problem_checks import check_told

from segaware_mm.submission import target as target_module
from segaware_mm.submission.archive import open_archive, write_archive
from segaware_mm.submission.cityscapes_instance import IDS, TARGET
from segaware_mm.submission.images import TestImage
from segaware_mm.submission.label_image import encode_labels
from segaware_mm.submission.predictions import Instances
from segaware_mm.submission.targets import get_target
from segaware_mm.utils.rle import as_rles

CLASSES = ('person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')
SIZE = (48, 72)
IMAGES = [TestImage(f'{city}_000000_{k:06}', *SIZE)
          for k, city in enumerate(('berlin', 'bonn', 'munich'))]
FIRST = 'berlin_000000_000000'
TEXT = f'{FIRST}_pred.txt'
MASK = f'{FIRST}_000.png'


def disc(y, x, radius):
    rows, columns = np.ogrid[:SIZE[0], :SIZE[1]]
    return (rows - y)**2 + (columns - x)**2 <= radius**2


def predicted(seed, count=4):
    rng = np.random.default_rng(seed)
    masks = [disc(rng.uniform(8, 40), rng.uniform(8, 64), rng.uniform(4, 12))
             for _ in range(count)]
    return Instances(rng.integers(0, 8, count), rng.uniform(0.1, 1, count),
                     np.array(masks))


def packed(folder, predictions=None):
    for k, image in enumerate(IMAGES):
        TARGET.write(folder / 'staged', image, (predictions or {}).get(k, predicted(k)),
                     CLASSES)
    TARGET.pack(folder / 'staged', IMAGES, folder / 'ours.zip', '')
    return folder / 'ours.zip'


def files_of(path):
    with open_archive(path) as archive:
        return {name: archive.read(name) for name in archive.names}


def test_the_target_and_its_facts():
    assert get_target('cityscapes-instance') is TARGET
    assert (TARGET.task, TARGET.suffix, TARGET.count) == ('instance', '.zip', 1525)
    assert list(IDS.values()) == [24, 25, 26, 27, 28, 31, 32, 33]
    assert re.fullmatch(TARGET.pattern, f'{FIRST}_leftImg8bit.png')['name'] == FIRST


def test_classes_are_those_of_the_official_scripts():
    labels = pytest.importorskip('cityscapesscripts.helpers.labels',
                                 reason='cityscapesscripts is not installed')
    assert IDS == {one.name: one.id for one in labels.labels
                   if one.hasInstances and not one.ignoreInEval}


def test_a_right_archive_has_no_problem(tmp_path):
    path = packed(tmp_path)
    assert TARGET.validate(path, IMAGES) == []
    assert TARGET.validate(tmp_path / 'staged', IMAGES) == []
    files = files_of(path)
    assert len(files) == 3 * (1 + 4)
    lines = files[TEXT].decode().splitlines()
    assert lines[0].startswith(f'{MASK} ') and len(lines) == 4
    scores = [float(line.split()[2]) for line in lines]
    assert scores == sorted(predicted(0).scores, reverse=True)
    mask = Image.open(BytesIO(files[MASK]))
    assert mask.mode == 'L' and mask.size == SIZE[::-1]
    best = predicted(0).scores.argmax()
    np.testing.assert_array_equal(np.array(mask), predicted(0).masks[best] * 255)


def truth_and_predictions(folder):
    """Write the truth of the images; return its files and predictions near it."""
    rng = np.random.default_rng(3)
    truths, predictions = [], {}
    for k, image in enumerate(IMAGES):
        ids = np.full(SIZE, 7, np.uint16)
        found = []
        for n in range(5):
            label, place = int(rng.integers(0, 3)), rng.uniform(9, 40, 2)
            radius = rng.uniform(6, 11)
            ids[disc(*place, radius)] = list(IDS.values())[label] * 1000 + n
            moved = disc(*(place + rng.normal(0, 1, 2)), radius + rng.normal(0, 1))
            found.append((label, rng.random(), moved))
        found.append((1, 0.5, disc(30, 60, 8)))
        ids[:4] = 25  # a group, which is left out
        folder.mkdir(parents=True, exist_ok=True)
        truths.append(folder / f'{image.name}_gtFine_instanceIds.png')
        Image.fromarray(ids).save(truths[-1])
        predictions[k] = Instances(*(np.array(part) for part in zip(*found)))
    return truths, predictions


def test_official_scores_of_the_archive_are_those_of_mmdet(tmp_path):
    pytest.importorskip('cityscapesscripts', reason='cityscapesscripts is not installed')
    from mmdet.evaluation import CityScapesMetric

    from segaware_mm.evaluation.cityscapes_scores import instance_scores
    truths, predictions = truth_and_predictions(tmp_path / 'gtFine')
    path = packed(tmp_path, predictions)
    assert TARGET.validate(path, IMAGES) == []
    tree = tmp_path / 'tree'
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tree)
    got = instance_scores([tree / f'{one.name}_pred.txt' for one in IMAGES], truths, tree)
    metric = CityScapesMetric(outfile_prefix=str(tmp_path / 'mmdet'), seg_prefix='gtFine')
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, [dict(
        img_path=str(tmp_path / 'leftImg8bit' / f'{image.name}_leftImg8bit.png'),
        pred_instances=dict(
            labels=torch.as_tensor(predictions[k].labels),
            scores=torch.as_tensor(predictions[k].scores),
            masks=torch.as_tensor(predictions[k].masks)))
        for k, image in enumerate(IMAGES)])
    upstream = metric.evaluate(len(IMAGES))
    assert got['allAp'] == pytest.approx(upstream['cityscapes/mAP'], abs=1e-6)
    assert got['allAp50%'] == pytest.approx(upstream['cityscapes/AP@50'], abs=1e-6)
    assert 0.1 < got['allAp'] < 0.9
    assert sum(np.isfinite(one['ap']) for one in got['classes'].values()) == 3


def test_forms_of_masks_and_empty_ones(tmp_path):
    one = predicted(0)
    empty = one._replace(masks=np.concatenate([one.masks[:3], one.masks[3:] & False]))
    nothing = Instances(np.zeros(0, int), np.zeros(0), np.zeros((0, *SIZE), bool))
    path = packed(tmp_path / 'a', {0: empty, 1: nothing})
    assert TARGET.validate(path, IMAGES) == []
    files = files_of(path)
    assert files['bonn_000000_000001_pred.txt'] == b''
    assert files[TEXT].count(b'\n') == 3
    other = packed(tmp_path / 'b', {0: empty._replace(masks=as_rles(empty.masks)), 1: (
        nothing)})
    assert path.read_bytes() == other.read_bytes()


def test_what_an_earlier_run_wrote_is_forgotten(tmp_path):
    TARGET.write(tmp_path, IMAGES[0], predicted(0, 6), CLASSES)
    TARGET.write(tmp_path, IMAGES[0], predicted(0, 2), CLASSES)
    assert len(list(tmp_path.iterdir())) == 3
    assert TARGET.is_done(tmp_path, IMAGES[0])
    (tmp_path / MASK).write_bytes((tmp_path / MASK).read_bytes()[:-20])
    assert not TARGET.is_done(tmp_path, IMAGES[0])
    (tmp_path / MASK).unlink()
    with pytest.raises(ValueError, match=f'1 of 1 images have no prediction .* {FIRST}'):
        TARGET.pack(tmp_path, IMAGES[:1], tmp_path / 'a.zip', '')
    with pytest.raises(ValueError, match=r'a.tgz does not end in .zip, which Cityscapes'):
        TARGET.pack(tmp_path, IMAGES[:1], tmp_path / 'a.tgz', '')


def test_a_full_disk_leaves_the_image_undone(tmp_path, monkeypatch):
    TARGET.write(tmp_path, IMAGES[0], predicted(0), CLASSES)
    write = target_module.write_atomic

    def full(path, content):
        if path.name.endswith('002.png'):
            raise OSError(errno.ENOSPC, 'No space left on device')
        write(path, content)

    monkeypatch.setattr(target_module, 'write_atomic', full)
    with pytest.raises(ValueError, match=f'stopped at the image {FIRST}: .*_002.png '
                       r'cannot be written: No space left on device \(free some space\)'):
        TARGET.write(tmp_path, IMAGES[0], predicted(0), CLASSES)
    assert not TARGET.is_done(tmp_path, IMAGES[0])


@pytest.mark.parametrize('change, text', [
    (dict(scores=np.array([0.5, 1.5])), r'of berlin_000000_000000 has the score 1.5; '
     r'confidences must be in \[0, 1\]'),
    (dict(scores=np.array([0.5, np.inf])), 'has the score inf; scores must be finite'),
    (dict(labels=np.array([0, 8])), r'has the class 8; the model has the classes 0\.\.7'),
    (dict(masks=np.ones((2, 24, 36), bool)), 'has a mask of 24 x 36, the image is 48 x')])
def test_wrong_predictions_are_refused(tmp_path, change, text):
    right = Instances(np.array([0, 1]), np.array([0.5, 0.4]), np.ones((2, *SIZE), bool))
    with pytest.raises(ValueError, match=text):
        TARGET.write(tmp_path, IMAGES[0], right._replace(**change), CLASSES)
    with pytest.raises(ValueError, match=r"Cityscapes \(instance level\) does not know 1 "
                       "of the 2 classes of the model: 'road'"):
        TARGET.write(tmp_path, IMAGES[0], right, ('road', 'car'))
    assert not TARGET.is_done(tmp_path, IMAGES[0])


def line(number, **change):
    """A corruption of a line of the first text file."""
    def corrupt(files):
        lines = files[TEXT].decode().splitlines()
        fields = dict(zip(('mask', 'label', 'score'), lines[number - 1].split(' ')))
        lines[number - 1] = ' '.join(dict(fields, **change).values())
        files[TEXT] = '\n'.join(lines).encode()
    return corrupt


def text(change):
    def corrupt(files):
        files[TEXT] = change(files[TEXT])
    return corrupt


def mask(change):
    """A corruption of the first mask: of its pixels, or of its file."""
    def corrupt(files):
        values = np.array(Image.open(BytesIO(files[MASK])))
        got = change(files[MASK], values)
        files[MASK] = got if isinstance(got, bytes) else encode_labels(got)
    return corrupt


def as_kind(mode):
    def change(_, values):
        out = BytesIO()
        Image.fromarray(values).convert(mode).save(out, 'PNG')
        return out.getvalue()
    return change


def jpeg(_, values):
    out = BytesIO()
    Image.fromarray(values).save(out, 'JPEG')
    return out.getvalue()


def renamed(old, new):
    def corrupt(files):
        files[new] = files.pop(old)
    return corrupt


def copied(old, new):
    def corrupt(files):
        files[new] = files[old]
    return corrupt


def nested(files):
    for name in list(files):
        files[f'results/{name}'] = files.pop(name)


def shared(files):
    lines = files['bonn_000000_000001_pred.txt'].decode().splitlines()
    lines[0] = f'{MASK} 26 0.5'
    files['bonn_000000_000001_pred.txt'] = '\n'.join(lines).encode()
    del files['bonn_000000_000001_000.png']


FORM = 'MASK LABELID CONFIDENCE, with one blank between'
PNG = 'write masks as grey PNGs of 8 bits and of the size of the image: 255 inside'
#: Corruption; the file that is named; what is said; how to mend it.
CORRUPTIONS = {
    'no text file': (lambda files: files.pop(TEXT), TEXT, 'is missing', 'predict this'),
    'no mask': (lambda files: files.pop(MASK), TEXT, f'line 1 names {MASK!r}, which is '
                'not in the archive', 'pack the mask'),
    'extra mask': (copied(MASK, f'{FIRST}_900.png'), f'{FIRST}_900.png',
                   'is named by no text file', 'delete it'),
    'extra file': (copied(TEXT, 'readme.md'), 'readme.md', 'is no part of a submission',
                   'delete it'),
    'unknown image': (copied(TEXT, 'paris_000000_000000_pred.txt'),
                      'paris_000000_000000_pred.txt',
                      'paris_000000_000000 is no image of the test set', 'delete it'),
    'second text file': (copied(TEXT, f'{FIRST}_pred2.txt'), f'{FIRST}_pred2.txt',
                         f'is a second text file of the image {FIRST}, beside {TEXT}; '
                         'the evaluator stops', 'keep one'),
    'no confidence': (text(lambda old: old.replace(b' 2', b'_2', 1)), TEXT,
                      'line 1 has 2 fields', FORM),
    'commas': (text(lambda old: old.replace(b' ', b',')), TEXT, 'line 4 has 1 fields',
               FORM),
    'blank line': (text(lambda old: old + b'\n'), TEXT, "line 5 has 1 fields: ''", FORM),
    'no text': (text(lambda old: old + b'\xff'), TEXT, 'is no plain text', FORM),
    'train id': (line(1, label='13'), TEXT, r'line 1 has the label id 13 \(a train id\?\)'
                 ', which is no class with instances', 'ids are person 24, rider 25'),
    'stuff': (line(2, label='7'), TEXT, 'line 2 has the label id 7, which is no class',
              'bicycle 33'),
    'class name': (line(1, label='car'), TEXT, "has the label id 'car', which is no num",
                   'car 26'),
    'percent': (line(1, score='97.5'), TEXT, r'line 1 has the confidence 97.5, not in',
                r'number in \[0, 1\]'),
    'nan': (line(3, score='nan'), TEXT, 'line 3 has the confidence nan, not in', 'write'),
    'score text': (line(3, score='high'), TEXT, "the confidence 'high', which is no num",
                   'write a number'),
    'outside': (line(1, mask='../a.png'), TEXT, "line 1 names '../a.png', which leads "
                'out of the archive', 'relative to the text file'),
    'absolute': (line(1, mask=f'/{MASK}'), TEXT, 'which leads out', 'relative'),
    'mask again': (line(2, mask=MASK), TEXT, f'line 2 names {MASK!r} again; the '
                   'evaluator takes the last line', 'its own mask'),
    'shared mask': (shared, 'bonn_000000_000001_pred.txt',
                    f'line 1 names {MASK!r}, which is a mask of {TEXT} too', 'its own'),
    'empty mask': (mask(lambda _, values: values * 0), MASK, 'is an empty mask',
                   'leave instances without pixels out'),
    'other size': (mask(lambda _, values: values[::2, ::2]), MASK, 'has size 24 x 36, '
                   'the image 48 x 72', PNG),
    'swapped size': (mask(lambda _, values: values.T), MASK, 'has size 72 x 48', PNG),
    'ids in mask': (mask(lambda _, values: values // 255 * 7 + 26 * (
        np.arange(72) > 40)), MASK, r'holds the values 26, 33; every pixel '
                    'that is not 0 counts as inside', PNG),
    'soft mask': (mask(lambda _, values: np.maximum(values, np.arange(72))), MASK,
                  r'holds the values 1, 2, \.\.\.; every pixel', PNG),
    'colours': (mask(as_kind('RGB')), MASK, 'is RGB of 8 bits, not grey', PNG),
    'transparency': (mask(as_kind('LA')), MASK, 'is grey with transparency of 8 bits',
                     PNG),
    'jpeg': (mask(jpeg), MASK, 'is no PNG but a JPEG', PNG),
    'half PNG': (mask(lambda old, _: old[:len(old) // 2]), MASK, 'cannot be decoded',
                 PNG),
    'no bytes': (mask(lambda *_: b''), MASK, 'is empty', PNG)}


@pytest.mark.parametrize('change', [
    nested, mask(as_kind('1')), mask(lambda _, values: values // 255),
    mask(lambda _, values: values // 255 * 26)], ids=['folder', '1 bit', '0/1', 'id'])
def test_what_the_evaluator_takes_is_no_problem(tmp_path, change):
    """It looks into all folders; any value but 0 is inside."""
    files = files_of(packed(tmp_path))
    change(files)
    write_archive(tmp_path / 'other.zip', files)
    assert TARGET.validate(tmp_path / 'other.zip', IMAGES) == []


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_corruptions_are_told(tmp_path, name):
    corrupt, file, what, mend = CORRUPTIONS[name]
    files = files_of(packed(tmp_path))
    corrupt(files)
    write_archive(tmp_path / 'bad.zip', files)
    check_told(TARGET.validate(tmp_path / 'bad.zip', IMAGES), file, what, mend)


def cut(path):
    path.with_name('bad.zip').write_bytes(path.read_bytes()[:-100])


def damaged(path):
    content = bytearray(path.read_bytes())
    place = content.index(b'\x89PNG')
    content[place + 60:place + 64] = b'abcd'
    path.with_name('bad.zip').write_bytes(content)


def as_tar(path):
    write_archive(path.with_name('bad.tgz'), files_of(path))
    path.with_name('bad.tgz').rename(path.with_name('bad.zip'))


def leading_out(path):
    with zipfile.ZipFile(path.with_name('bad.zip'), 'w') as out:
        for name, content in files_of(path).items():
            out.writestr(name, content)
        out.writestr('../a.png', b'x')


@pytest.mark.parametrize('corrupt, file, what', [
    (cut, 'bad.zip', 'is damaged, or only the half of an archive'),
    (damaged, MASK, 'cannot be read'), (as_tar, 'bad.zip', 'is a tgz; the server takes'),
    (leading_out, '../a.png', 'the name leads out of the archive')])
def test_corrupt_archives_are_told(tmp_path, corrupt, file, what):
    corrupt(packed(tmp_path))
    check_told(TARGET.validate(tmp_path / 'bad.zip', IMAGES), file, what, '')


def test_without_the_images_those_of_the_official_test_set_are_wanted(tmp_path):
    files = files_of(packed(tmp_path))
    files['aachen_000000_000019_pred.txt'] = b''  # a city of training
    write_archive(tmp_path / 'bad.zip', files)
    problems = TARGET.validate(tmp_path / 'bad.zip')
    check_told(problems, 'bad.zip', 'has 3 text files, the test set has 1525 images',
               'the whole test set')
    check_told(problems, 'aachen_000000_000019_pred.txt', 'is no image of the test set',
               'delete it')
    check_told(problems, MASK, 'has size 48 x 72, the image 1024 x 2048', PNG)
