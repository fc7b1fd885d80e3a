"""Targets of label images: right archives pass, everything that is wrong is named."""

import os
import random
import re
import struct
import tarfile
import zipfile
import zlib
from io import BytesIO
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

import numpy as np
import pytest
from PIL import Image, ImageFile

from segaware_mm.submission import ade20k, cityscapes_pixel, voc_segmentation
from segaware_mm.submission import target as target_module
from segaware_mm.submission.archive import open_archive
from segaware_mm.submission.images import TestImage
from segaware_mm.submission.label_image import encode_labels
from segaware_mm.submission.problem import SubmissionError
from segaware_mm.submission.target import Target
from segaware_mm.submission.targets import get_target

SIZES = ((6, 8), (5, 9), (7, 7))
MEND = {'kind': 'write one channel of 8 bits', 'again': 'write this image again'}


class Server(NamedTuple):
    """A target, and what its archives look like.

    Attributes:
        target: The record.
        classes: A model's.
        folder: Of the label images.
        names: Three images; the second is corrupted.
        ids: Ids that are right for a pixel.
        palette: Of the PNGs.
        shown: What messages call it.
    """

    target: Target
    classes: Sequence[str]
    folder: str
    names: Sequence[str]
    ids: np.ndarray
    palette: Any
    shown: str

    @property
    def images(self) -> List[TestImage]:
        return [TestImage(name, *size) for name, size in zip(self.names, SIZES)]

    @property
    def file(self) -> str:
        return f'{self.folder}{self.names[1]}.png'

    def files(self) -> Dict[str, bytes]:
        """Right files of an archive: name -> content."""
        rng = np.random.default_rng(0)
        return {f'{self.folder}{one.name}.png': encode_labels(
            rng.choice(self.ids, (one.height, one.width)), self.palette)
            for one in self.images}

    def save(self, path, files: Dict[str, bytes], kind: str = '') -> str:
        """Write an archive by the standard library alone."""
        kind = kind or self.target.suffix
        path = str(path / f'submission{self.target.suffix}')
        if kind == '.zip':
            with zipfile.ZipFile(path, 'w') as packed:
                for name, content in files.items():
                    packed.writestr(name, content)
        else:
            with tarfile.open(path, 'w:gz') as packed:
                for name, content in files.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    packed.addfile(info, BytesIO(content))
        return path


def voc_server(number):
    return Server(
        get_target(f'voc-comp{number}'), voc_segmentation.CLASSES,
        f'results/VOC2012/Segmentation/comp{number}_test_cls/',
        ('2008_000006', '2008_000011', '2010_004104'), np.arange(21),
        voc_segmentation.voc_palette().tobytes(), f'VOC 2012 comp{number}')


SERVERS = {
    'cityscapes-pixel': Server(
        cityscapes_pixel.TARGET, tuple(cityscapes_pixel.IDS), '',
        ('berlin_000000_000019', 'bonn_000001_000019', 'munich_000397_000019'),
        np.array(list(cityscapes_pixel.IDS.values())), None, 'Cityscapes'),
    'voc-comp5': voc_server(5), 'voc-comp6': voc_server(6),
    'ade20k': Server(
        ade20k.TARGET, ade20k.CLASSES, '',
        ('ADE_test_00000001', 'ADE_test_00000002', 'ADE_test_00000003'),
        np.arange(1, 151), None, 'ADE20K')}
GREY = ('cityscapes-pixel', 'ade20k')


@pytest.fixture(params=sorted(SERVERS))
def server(request):
    return SERVERS[request.param]


def png(image: Image.Image, kind: str = 'PNG') -> bytes:
    out = BytesIO()
    image.save(out, kind)
    return out.getvalue()


def labels_of(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content))).copy()


def chunk(name: bytes, data: bytes) -> bytes:
    return (struct.pack('>I', len(data)) + name + data +
            struct.pack('>I', zlib.crc32(name + data)))


def huge(content: bytes) -> bytes:
    """A PNG whose header alone says that it has 10 gigapixels."""
    head = struct.pack('>IIBBBBB', 100000, 100000, 8, 0, 0, 0, 0)
    return content[:8] + chunk(b'IHDR', head) + content[33:]


def short(content: bytes) -> bytes:
    """A PNG whose chunks are sound, and that has half of its rows."""
    data = zlib.compress(b'\0' * (9 + 1) * 2)
    color = content[25:26]
    head = struct.pack('>II', 9, 5) + b'\x08' + color + b'\0\0\0'
    palette = chunk(b'PLTE', voc_segmentation.voc_palette().tobytes())
    return (content[:8] + chunk(b'IHDR', head) + (palette if color == b'\x03' else b'') +
            chunk(b'IDAT', data) + chunk(b'IEND', b''))


def damaged(content: bytes) -> bytes:
    place = content.index(b'IDAT') + 8
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1:]


def put(value: int) -> Callable[[Server, bytes], bytes]:
    """Put an id into the first pixel."""

    def change(server: Server, content: bytes) -> bytes:
        labels = labels_of(content)
        labels[0, 0] = value
        return encode_labels(labels, server.palette)

    return change


def mode(name: str) -> Callable[[Server, bytes], bytes]:
    return lambda server, content: png(Image.fromarray(labels_of(content)).convert(name))


def raw(change: Callable[[bytes], bytes]) -> Callable[[Server, bytes], bytes]:
    return lambda server, content: change(content)


#: What happens to the second image: change, what is said, how it is mended.
IMAGE_CASES = {
    'RGB': (mode('RGB'), r'is RGB of 8 bits, not (grey|indexed)', ''),
    'RGBA': (mode('RGBA'), r'is RGBA of 8 bits, not (grey|indexed)', ''),
    'grey with transparency': (mode('LA'), 'is grey with transparency of 8 bits', ''),
    '16 bits': (lambda s, c: png(Image.fromarray(labels_of(c).astype(np.uint16))),
                'is grey of 16 bits, not (grey of 8 bits|indexed)', ''),
    '1 bit': (mode('1'), 'is grey of 1 bits, not (grey of 8 bits|indexed)', ''),
    'JPEG': (lambda s, c: png(Image.fromarray(labels_of(c)).convert('L'), 'JPEG'),
             'is no PNG but a JPEG', 'write PNGs, which keep every value'),
    'TIFF': (lambda s, c: png(Image.fromarray(labels_of(c)), 'TIFF'),
             'is no PNG but a TIFF', 'write PNGs'),
    'numpy file': (lambda s, c: b'\x93NUMPY\1\0', 'is no PNG but a numpy array', ''),
    'text': (lambda s, c: b'version https://git-lfs', 'is no PNG', 'write this image ag'),
    'empty file': (lambda s, c: b'', 'is empty', 'write this image again'),
    'header alone': (raw(lambda c: c[:20]), 'is a PNG that ends before its size', ''),
    'truncated': (raw(lambda c: c[:-20]), 'cannot be decoded: it ends too early',
                  'write this image again'),
    'without its end': (raw(lambda c: c[:-12]), 'cannot be decoded: it ends too', ''),
    'damaged': (raw(damaged), 'cannot be decoded: the checksum of the chunk IDAT is',
                'write this image again'),
    'rows are missing': (raw(short), 'cannot be decoded: rows are missing, it has 20 of '
                         '50 bytes', ''),
    'another size': (lambda s, c: encode_labels(labels_of(c)[:, :-1], s.palette),
                     r'has size 5 x 8, the image 5 x 9 \(height x width\)',
                     'resize the scores to the original image'),
    'transposed': (lambda s, c: encode_labels(labels_of(c).T, s.palette),
                   'has size 9 x 5, the image 5 x 9', 'resize'),
    'id outside': (put(200), r'holds the id 200 \(1 pixels\)', 'map every pixel to '),
}


@pytest.mark.parametrize('case', IMAGE_CASES)
def test_wrong_image_is_named(server, tmp_path, case):
    change, what, mend = IMAGE_CASES[case]
    files = server.files()
    files[server.file] = change(server, files[server.file])
    problem, = server.target.validate(server.save(tmp_path, files), server.images)
    assert problem.file == server.file
    assert re.match(what, problem.what), problem.what
    assert problem.mend.startswith(mend) and problem.mend


def second(server):
    return server.file


def archive(server):
    return f'submission{server.target.suffix}'


def move(new: Callable[[Server], str]) -> Callable[[Server, Dict[str, bytes]], None]:
    """Give the second file another name."""

    def change(server: Server, files: Dict[str, bytes]) -> None:
        files[new(server)] = files.pop(server.file)

    return change


def add(name: Callable[[Server], str]) -> Callable[[Server, Dict[str, bytes]], None]:
    def change(server: Server, files: Dict[str, bytes]) -> None:
        files[name(server)] = files[server.file]

    return change


def to_all(new: Callable[[str], str]) -> Callable[[Server, Dict[str, bytes]], None]:
    def change(server: Server, files: Dict[str, bytes]) -> None:
        for name in list(files):
            files[new(name)] = files.pop(name)

    return change


def other(server):
    """A file of an image that looks like one of the test set."""
    name = {'A': 'ADE_test_00009999', 'b': 'bonn_000099_000019'}.get(
        server.names[0][0], '2011_999999')
    return f'{server.folder}{name}.png'


#: What happens to the tree: change, [(file, what is said, how it is mended)].
TREE_CASES = {
    'missing image': (lambda s, f: f.pop(s.file), [
        (second, 'is missing', 'predict this image')]),
    'image of another set': (add(other), [
        (other, 'is no image of the test set', 'delete it')]),
    'text file': (lambda s, f: f.update({'readme.txt': b'hello'}), [
        (lambda s: 'readme.txt', 'is no name of a label image', 'name it as its')]),
    "a system's file": (lambda s, f: f.update({'.DS_Store': b'x'}), [
        (lambda s: '.DS_Store', 'is no part of a submission', 'delete it')]),
    "a system's copy": (add(lambda s: '__MACOSX/._' + os.path.basename(s.file)), [
        (lambda s: '__MACOSX/._' + os.path.basename(s.file),
         'is no part of a submission', 'delete it')]),
    'upper-case suffix': (move(lambda s: s.file[:-3] + 'PNG'), [
        (lambda s: s.file[:-3] + 'PNG', 'is no name of a label image', ''),
        (second, 'is missing', '')]),
    'no suffix': (move(lambda s: s.file[:-4]), [
        (lambda s: s.file[:-4], 'is no name of a label image', ''),
        (second, 'is missing', '')]),
    'numbers for names': (move(lambda s: f'{s.folder}0001.png'), [
        (lambda s: f'{s.folder}0001.png', 'is no name of a label image', ''),
        (second, 'is missing', '')]),
    'one file in another folder': (move(lambda s: 'x/' + s.file), [
        (lambda s: os.path.dirname('x/' + s.file) + '/',
         '1 label images lie here, those of {s} belong ', 'pack them ')]),
    'all in another folder': (to_all(lambda name: 'submission/' + name), [
        (lambda s: os.path.dirname('submission/' + s.file) + '/',
         '3 label images lie here, those of {s} belong ', 'pack them ')]),
    'an image in two folders': (add(lambda s: 'x/' + s.file), [
        (lambda s: max(s.file, 'x/' + s.file), 'is a second file of the image', 'keep'),
    ]),
    'name that leads out': (move(lambda s: '../' + s.file), [
        (lambda s: '../' + s.file, 'the name leads out of the archive', 'pack plain'),
        (second, 'is missing', '')]),
    'absolute name': (move(lambda s: '/' + s.file), [
        (lambda s: '/' + s.file, 'the name leads out of the archive', ''),
        (second, 'is missing', '')]),
    'backslashes': (move(lambda s: 'results\\' + os.path.basename(s.file)), [
        (lambda s: 'results\\' + os.path.basename(s.file), 'the name has \\', ''),
        (second, 'is missing', '')]),
}


FOLDERS = ('one file in another folder', 'all in another folder')


@pytest.mark.parametrize('case', TREE_CASES)
def test_wrong_tree_is_named(server, tmp_path, case):
    change, wanted = TREE_CASES[case]
    if server.target.name == 'cityscapes-pixel' and case in FOLDERS:
        wanted = []  # the evaluator looks into all folders
    files = server.files()
    change(server, files)
    found = server.target.validate(server.save(tmp_path, files), server.images)
    wanted = sorted((file(server), what, mend) for file, what, mend in wanted)
    assert [one.file for one in found] == [file for file, _, _ in wanted]
    for problem, (_, what, mend) in zip(found, wanted):
        assert what.format(s=server.shown) in problem.what
        assert problem.mend.startswith(mend) and problem.mend


def test_empty_archive_misses_all_images(server, tmp_path):
    found = server.target.validate(server.save(tmp_path, {}), server.images)
    assert [(one.file, one.what) for one in found] == [
        (name, 'is missing') for name in sorted(server.files())]


def test_wrong_archives_are_named(server, tmp_path):
    path, name = server.save(tmp_path, server.files()), archive(server)
    content = open(path, 'rb').read()

    def after(change):
        with open(path, 'wb') as file:
            file.write(change)
        return [tuple(one) for one in server.target.validate(path, server.images)]

    (file, what, mend), = after(content[:len(content) // 2])
    assert file == name and what.startswith('is damaged, or only the half of an archive')
    assert mend == 'pack it again'
    assert after(b'<html>') == [
        (name, 'is no archive', 'give a .zip or .tgz, or a folder of its tree')]
    assert after(b'')[0][:2] == (name, 'is empty')
    os.remove(path)
    assert server.target.validate(path)[0][:2] == (name, 'does not exist')
    suffix = server.target.suffix
    path = server.save(tmp_path, server.files(), '.tgz' if suffix == '.zip' else '.zip')
    (file, what, mend), = server.target.validate(path, server.images)
    kind = 'tgz' if suffix == '.zip' else 'zip'
    assert (file, what) == (name, f'is a {kind}; the server takes a {suffix}')
    assert mend == f'pack the same files as a {suffix}'
    path = server.save(tmp_path, server.files())
    os.rename(path, path + '.bak')
    (file, what, mend), = server.target.validate(path + '.bak', server.images)
    assert (file, mend) == (name + '.bak', 'rename it')
    assert what.startswith(f'the name does not end in {suffix}')


def test_file_that_is_there_twice_is_named(server, tmp_path):
    path = server.save(tmp_path, server.files())
    if server.target.suffix == '.zip':
        with zipfile.ZipFile(path, 'a') as packed, pytest.warns(UserWarning):
            packed.writestr(server.file, b'')
    else:
        with tarfile.open(path, 'w:gz') as packed:
            for name, content in [*server.files().items(), (server.file, b'')]:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                packed.addfile(info, BytesIO(content))
    problem, = server.target.validate(path, server.images)
    assert problem[:2] == (server.file, 'the archive has this file twice')


def test_several_problems_are_all_listed_by_file(server, tmp_path):
    files = server.files()
    files[server.file] = encode_labels(np.full((2, 2), 199), server.palette)
    files['zz.txt'] = b''
    del files[f'{server.folder}{server.names[0]}.png']
    found = server.target.validate(server.save(tmp_path, files), server.images)
    assert [one.file for one in found] == sorted(one.file for one in found)
    assert {one.file for one in found} == {
        f'{server.folder}{server.names[0]}.png', server.file, 'zz.txt'}
    assert sum(one.file == server.file for one in found) == 2  # size, and id


@pytest.mark.parametrize('target', GREY)
def test_coloured_palette_is_named_where_labels_are_grey(tmp_path, target):
    server = SERVERS[target]
    files = server.files()
    coloured = encode_labels(labels_of(files[server.file]), voc_segmentation.voc_palette()
                             .tobytes())
    files[server.file] = coloured
    problem, = server.target.validate(server.save(tmp_path, files), server.images)
    assert problem[:2] == (server.file, 'is indexed of 8 bits, not grey of 8 bits')
    assert problem.mend.startswith(MEND['kind'])


@pytest.mark.parametrize('target', GREY)
def test_grey_palette_as_mmseg_writes_it_is_no_problem(tmp_path, target):
    server = SERVERS[target]
    files = {name: png(Image.fromarray(labels_of(content)).convert('P'))
             for name, content in server.files().items()}
    assert files[server.file][25] == 3
    assert server.target.validate(server.save(tmp_path, files), server.images) == []


# -- Cityscapes ----------------------------------------------------------------

TRAIN_IDS = {one: i for i, one in enumerate(cityscapes_pixel.IDS.values())}


def cityscapes_problem(tmp_path, labels):
    server = SERVERS['cityscapes-pixel']
    files = server.files()
    files[server.file] = encode_labels(labels)
    return [one[1:] for one in server.target.validate(server.save(tmp_path, files),
                                                      server.images)]


def test_train_ids_are_recognised(tmp_path):
    labels = labels_of(SERVERS['cityscapes-pixel'].files()['bonn_000001_000019.png'])
    train = np.vectorize(TRAIN_IDS.get)(labels)
    (what, mend), = cityscapes_problem(tmp_path, train)
    assert what.startswith('holds train ids (0..18), not label ids: it has the id 1 (')
    assert mend == 'map train ids to label ids: road is 7, car 26'
    train[0, 0] = 255
    whats = sorted(what for what, _ in cityscapes_problem(tmp_path, train))
    assert whats[0] == 'holds the id 255 (1 pixels); label ids are 0..33'
    assert whats[1].startswith('holds train ids')


def test_classes_that_are_not_evaluated_are_named(tmp_path):
    labels = np.full((5, 9), 26)
    labels[0, :2] = 29, 30
    assert cityscapes_problem(tmp_path, labels) == [(
        'holds the id 29 (1 pixels) and 1 ids more, which is not evaluated: it always '
        'counts as an error', 'use the 19 classes that are evaluated')]


def test_nothing_but_unlabeled_is_named(tmp_path):
    assert cityscapes_problem(tmp_path, np.zeros((5, 9))) == [
        ('is 0 (unlabeled) everywhere', 'see to the prediction of this image')]
    assert cityscapes_problem(tmp_path, np.eye(5, 9) * 7) == []


def test_file_names_of_cityscapes_may_go_on_after_the_frame(tmp_path):
    server = SERVERS['cityscapes-pixel']
    files = {name.replace('.png', '_leftImg8bit.png'): content
             for name, content in server.files().items()}
    assert server.target.validate(server.save(tmp_path, files), server.images) == []
    files['bonn_000001_000019_pred.png'] = files['bonn_000001_000019_leftImg8bit.png']
    problem, = server.target.validate(server.save(tmp_path, files), server.images)
    assert problem == ('bonn_000001_000019_pred.png', 'is a second file of the image '
                       'bonn_000001_000019, beside bonn_000001_000019_leftImg8bit.png',
                       'keep one of them')


def test_official_set_of_cityscapes(tmp_path):
    server = SERVERS['cityscapes-pixel']
    assert (server.target.count, cityscapes_pixel.FORMAT.size) == (1525, (1024, 2048))
    files = server.files()
    full = encode_labels(np.full((1024, 2048), 7))
    files['bonn_000001_000019.png'] = full
    files['frankfurt_000000_000294.png'] = full
    found = server.target.validate(server.save(tmp_path, files))
    assert [one[:2] for one in found] == [
        ('berlin_000000_000019.png',
         'has size 6 x 8, the image 1024 x 2048 (height x width)'),
        ('frankfurt_000000_000294.png',
         'frankfurt_000000_000294 is no image of the test set'),
        ('munich_000397_000019.png',
         'has size 7 x 7, the image 1024 x 2048 (height x width)'),
        ('submission.zip',
         'has 3 label images, the test set of Cityscapes has 1525 images')]


# -- VOC -----------------------------------------------------------------------

def voc_problems(tmp_path, change, number=6):
    server = SERVERS[f'voc-comp{number}']
    files = server.files()
    files[server.file] = change(labels_of(files[server.file]))
    return server.target.validate(server.save(tmp_path, files), server.images)


def test_void_is_named(tmp_path):
    def change(labels):
        labels[0, :3] = 255
        return encode_labels(labels, SERVERS['voc-comp6'].palette)

    problem, = voc_problems(tmp_path, change)
    assert problem.what == 'holds 255 (void, 3 pixels), which only ground truth has'
    assert problem.mend == 'give every pixel a class; 0 is the background'


def test_id_beyond_the_classes_is_named(tmp_path):
    def change(labels):
        labels[0, 0] = 21
        return encode_labels(labels, SERVERS['voc-comp6'].palette)

    problem, = voc_problems(tmp_path, change)
    assert problem.what == 'holds the id 21 (1 pixels); classes are 0..20'


def test_grey_image_as_mmseg_writes_it_is_named(tmp_path):
    problem, = voc_problems(tmp_path, encode_labels)
    assert problem.what == 'is grey of 8 bits, not indexed with a palette'
    assert problem.mend == ("write an indexed PNG whose indices are the class ids, with "
                            "VOC's palette")


@pytest.mark.parametrize('palette, what', [
    (np.roll(voc_segmentation.voc_palette(), 1, 0),
     'the palette gives the id 3 (0, 128, 0), VOC (128, 128, 0)'),
    (voc_segmentation.voc_palette()[:, ::-1],
     'the palette gives the id 3 (0, 128, 128), VOC (128, 128, 0)'),
    (voc_segmentation.voc_palette()[:18],
     'the palette gives the id 19 no colour, VOC (128, 192, 0)')])
def test_wrong_palette_is_named(tmp_path, palette, what):
    problem, = voc_problems(tmp_path, lambda labels: encode_labels(
        np.full_like(labels, 19 if len(palette) < 256 else 3), palette.tobytes()))
    assert problem.what.startswith(what)
    assert problem.mend == "write VOC's palette into the PNG"


def test_palette_counts_where_an_id_occurs_and_may_be_short(tmp_path):
    palette = voc_segmentation.voc_palette()[:16].tobytes()
    assert not voc_problems(tmp_path, lambda labels: encode_labels(labels % 16, palette))


def test_other_competition_is_named(tmp_path):
    comp5, comp6 = SERVERS['voc-comp5'], SERVERS['voc-comp6']
    path = comp6.save(tmp_path, comp5.files())
    problem, = comp6.target.validate(path, comp6.images)
    assert problem == (
        'results/VOC2012/Segmentation/comp5_test_cls/',
        '3 label images lie here, those of VOC 2012 comp6 belong in the folder '
        'results/VOC2012/Segmentation/comp6_test_cls',
        'pack them in the folder results/VOC2012/Segmentation/comp6_test_cls of the '
        'archive')


def test_flat_archive_is_named(tmp_path):
    server = SERVERS['voc-comp6']
    files = {os.path.basename(name): one for name, one in server.files().items()}
    problem, = server.target.validate(server.save(tmp_path, files), server.images)
    assert problem.file == 'submission.tgz'
    assert problem.what.startswith('3 label images lie here, those of VOC')


def test_official_set_of_voc(tmp_path):
    server = SERVERS['voc-comp5']
    assert server.target.count == 1456
    problem, = server.target.validate(server.save(tmp_path, server.files()))
    assert problem == ('submission.tgz', 'has 3 label images, the test set of VOC 2012 '
                       'comp5 has 1456 images', 'predict the whole test set and nothing '
                       'else')


def test_colours_of_voc():
    palette = voc_segmentation.voc_palette()
    assert palette.shape == (256, 3)
    assert palette[[0, 1, 2, 4, 8, 15, 20, 255]].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [0, 0, 128], [64, 0, 0], [192, 128, 128],
        [0, 64, 128], [224, 224, 192]]


# -- ADE20K --------------------------------------------------------------------

def test_ids_from_0_are_named(tmp_path):
    server = SERVERS['ade20k']
    files = server.files()
    files[server.file] = encode_labels(np.arange(45).reshape(5, 9))
    problem, = server.target.validate(server.save(tmp_path, files), server.images)
    assert problem.what == 'holds 0 (1 pixels), which is no class; ids are 1..150'
    assert problem.mend.startswith('add 1 to the indices of the classes')


@pytest.mark.parametrize('value', [151, 255])
def test_ids_beyond_150_are_named(tmp_path, value):
    server = SERVERS['ade20k']
    files = server.files()
    files[server.file] = put(value)(server, files[server.file])
    problem, = server.target.validate(server.save(tmp_path, files), server.images)
    assert problem.what == f'holds the id {value} (1 pixels); ids are 1..150'


def test_validation_images_are_no_test_images(tmp_path):
    server = SERVERS['ade20k']
    assert server.target.count is None
    files = server.files()
    files['ADE_val_00000001.png'] = files[server.file]
    path = server.save(tmp_path, files)
    problem, = server.target.validate(path)
    assert problem[:2] == ('ADE_val_00000001.png',
                           'ADE_val_00000001 is no image of the test set')
    images = [*server.images, TestImage('ADE_val_00000001', 5, 9)]
    assert server.target.validate(path, images) == []
    problem, = server.target.validate(server.save(tmp_path, {}))
    assert problem[:2] == ('submission.zip', 'has no label image')


def test_header_that_promises_gigapixels_is_not_decoded(tmp_path):
    server = SERVERS['ade20k']
    files = server.files()
    files[server.file] = huge(files[server.file])
    problem, = server.target.validate(server.save(tmp_path, files))
    assert problem.file == server.file
    assert problem.what.startswith('cannot be decoded: it has 100000 x 100000 pixels')


# -- what is written -----------------------------------------------------------

def staged(server, folder):
    """Write predictions of all images; return them and the ids they have become."""
    rng = np.random.default_rng(1)
    maps = []
    for one in server.images:
        maps.append(rng.integers(len(server.classes), size=(one.height, one.width)))
        server.target.write(folder, one, maps[-1], server.classes)
    return maps


def test_predictions_become_an_archive_that_is_right(server, tmp_path):
    maps = staged(server, tmp_path / 'stage')
    target, out = server.target, tmp_path / f'out{server.target.suffix}'
    assert all(target.is_done(tmp_path / 'stage', one) for one in server.images)
    assert target.validate(tmp_path / 'stage', server.images) == []
    target.pack(tmp_path / 'stage', server.images, out, 'mine')
    assert target.validate(out, server.images) == []
    assert target.validate(str(out), iter(server.images)) == []
    with open_archive(out) as found:
        assert found.names == sorted(server.files())
        for one, wanted in zip(server.images, maps):
            content = found.read(f'{server.folder}{one.name}.png')
            assert content[24:26] == (b'\x08\x03' if server.palette else b'\x08\x00')
            np.testing.assert_array_equal(labels_of(content), server.ids[wanted])
    first = out.read_bytes()
    target.pack(str(tmp_path / 'stage'), server.images[::-1], str(out), 'other')
    assert out.read_bytes() == first


def test_classes_in_another_order_become_the_same_ids(server, tmp_path):
    order = random.Random(0).sample(range(len(server.classes)), len(server.classes))
    image = server.images[0]
    prediction = np.arange(48).reshape(6, 8) % len(order)
    server.target.write(tmp_path, image, prediction, [server.classes[i] for i in order])
    labels = labels_of((tmp_path / f'{server.folder}{image.name}.png').read_bytes())
    np.testing.assert_array_equal(labels, server.ids[np.array(order)[prediction]])


def test_pixels_without_a_class(server, tmp_path):
    prediction = np.full((6, 8), 255, np.uint8)
    image = server.images[0]
    if server.target.name == 'cityscapes-pixel':
        server.target.write(tmp_path, image, prediction, server.classes)
        content = (tmp_path / f'{image.name}.png').read_bytes()
        assert set(labels_of(content).ravel()) == {0}
    else:
        with pytest.raises(SubmissionError,
                           match=rf'{image.name} has 48 pixels without a class \(255\)'):
            server.target.write(tmp_path, image, prediction, server.classes)
        assert not list(tmp_path.iterdir())


def test_model_of_other_classes_is_refused(server, tmp_path):
    with pytest.raises(ValueError, match=(
            rf"{server.shown} does not know 2 of the 2 classes of the model: 'lung', "
            r"'heart'\. .*The model must be trained with the classes of this target")):
        server.target.write(tmp_path, server.images[0], np.zeros((6, 8), int),
                            ('lung', 'heart'))
    assert not list(tmp_path.iterdir())


def test_map_of_another_size_is_refused(server, tmp_path):
    with pytest.raises(ValueError, match='has size 8 x 6, the image 6 x 8. Scores must '
                                         'be resized to the original image'):
        server.target.write(tmp_path, server.images[0], np.zeros((8, 6), int),
                            server.classes)
    assert not list(tmp_path.iterdir())


def test_image_is_done_when_its_file_is_whole(server, tmp_path):
    image, target = server.images[0], server.target
    path = tmp_path / f'{server.folder}{image.name}.png'
    assert not target.is_done(tmp_path, image)
    staged(server, tmp_path)
    assert target.is_done(str(tmp_path), image)
    assert not target.is_done(tmp_path, image._replace(height=7))
    content = path.read_bytes()
    for wrong in (content[:-1], content[:10], b'', content[12:]):
        path.write_bytes(wrong)
        assert not target.is_done(tmp_path, image)


def test_pack_refuses_what_is_not_finished(server, tmp_path):
    staged(server, tmp_path / 'stage')
    out = tmp_path / f'out{server.target.suffix}'
    (tmp_path / 'stage' / server.file).unlink()
    with pytest.raises(SubmissionError, match=rf'1 of 3 images have no prediction in .*: '
                                              rf'{server.names[1]}\. Nothing is packed'):
        server.target.pack(tmp_path / 'stage', server.images, out, '')
    with pytest.raises(SubmissionError, match=rf'out.rar does not end in '
                                              rf'{server.target.suffix}.*which '
                                              rf'{server.shown} takes'):
        server.target.pack(tmp_path / 'stage', server.images, tmp_path / 'out.rar', '')
    assert os.listdir(tmp_path) == ['stage']


def test_full_disk_while_images_are_written(server, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(target_module, 'write_atomic', full)
    with pytest.raises(SubmissionError, match=(
            rf'stopped at the image {server.names[0]}: .* No space left on device \(free '
            r'some space\). Images that are finished are kept')):
        staged(server, tmp_path)


def test_full_disk_while_the_archive_is_written(server, tmp_path, monkeypatch):
    staged(server, tmp_path / 'stage')
    out = tmp_path / f'out{server.target.suffix}'

    def full(_):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        with pytest.raises(SubmissionError, match=(
                r'cannot be written, stopped at the end: No space left on device \(free '
                r'some space\). No half archive is left')):
            server.target.pack(tmp_path / 'stage', server.images, out, '')
    assert os.listdir(tmp_path) == ['stage']
    server.target.pack(tmp_path / 'stage', server.images, out, '')
    assert server.target.validate(out, server.images) == []


def test_truncated_images_are_found_though_pillow_is_told_to_bear_them(
        server, tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    files = server.files()
    files[server.file] = files[server.file][:-20]
    problem, = server.target.validate(server.save(tmp_path, files), server.images)
    assert problem.what.startswith('cannot be decoded')


def test_names_of_test_images():
    for target, good, bad in (
            ('cityscapes-pixel', 'berlin_000000_000019_leftImg8bit.png',
             'berlin_000000_000019_gtFine_labelIds.png'),
            ('voc-comp6', '2008_000006.jpg', '2008_000006.png'),
            ('ade20k', 'ADE_test_00000001.jpg', 'ADE_train_00000001.jpg')):
        pattern = get_target(target).pattern
        assert re.fullmatch(pattern, good)['name'] in SERVERS[target].names
        assert not re.fullmatch(pattern, bad)
