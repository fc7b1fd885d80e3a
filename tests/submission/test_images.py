"""Test sets: folders, lists of names, COCO's image information; and problems."""

import json

import pytest
from PIL import Image

from segaware_mm.submission.images import (
    TestImage,
    find_images,
    image_of,
    images_of_coco_json,
    images_of_folder,
    images_of_list,
    load_images,
    save_images,
    with_files,
)
from segaware_mm.submission.problem import Problem, SubmissionError, listed

PATTERN = r'(?P<name>t_\d+)_left\.png'
COCO = r'(?P<name>(?P<id>\d{4}))\.jpg'


@pytest.fixture
def folder(tmp_path):
    """Two images in two folders, and files that are none."""
    root = tmp_path / 'images'
    for name, size in (('b/t_2_left.png', (7, 5)), ('a/t_10_left.png', (4, 3))):
        (root / name).parent.mkdir(parents=True)
        Image.new('RGB', size).save(root / name)
    (root / 'readme.txt').write_text('t_3_left.png')
    Image.new('RGB', (2, 2)).save(root / 't_4_right.png')
    return root


def test_folder_gives_names_sizes_and_files_in_order(folder):
    assert images_of_folder(folder, PATTERN) == [
        TestImage('t_10', 3, 4, str(folder / 'a/t_10_left.png')),
        TestImage('t_2', 5, 7, str(folder / 'b/t_2_left.png'))]
    assert find_images(folder, PATTERN) == images_of_folder(str(folder), PATTERN)


def test_pattern_may_give_the_id(tmp_path):
    Image.new('RGB', (3, 2)).save(tmp_path / '0012.jpg')
    assert images_of_folder(tmp_path, COCO) == [
        TestImage('0012', 2, 3, str(tmp_path / '0012.jpg'), 12)]


def test_wrong_folders_say_what_is_wanted(folder, tmp_path):
    with pytest.raises(SubmissionError, match='no does not exist. Give the folder of the '
                                              'downloaded test set'):
        images_of_folder(tmp_path / 'no', PATTERN)
    with pytest.raises(SubmissionError, match=r'images has 4 files, and none is an image '
                                              r'of this test set: their names match '
                                              r'\(\(\\d\{4\}\)\)\\.jpg\. Give'):
        images_of_folder(folder, COCO)


def test_a_single_image_is_no_test_set(folder):
    with pytest.raises(SubmissionError, match=r'is no folder, list \(.txt\) or image'):
        find_images(folder / 'a/t_10_left.png', PATTERN)


def test_linked_folders_are_read_once(folder, tmp_path):
    root = tmp_path / 'linked'
    root.mkdir()
    (root / 'one').symlink_to(folder)
    (root / 'two').symlink_to(folder)
    (folder / 'a' / 'back').symlink_to(root)
    assert [one.name for one in images_of_folder(root, PATTERN)] == ['t_10', 't_2']


def test_a_home_folder_is_found(folder, monkeypatch):
    monkeypatch.setenv('HOME', str(folder.parent))
    assert len(find_images('~/images', PATTERN)) == 2


def test_numbers_and_headers_of_garbage_are_told(tmp_path, monkeypatch):
    file = tmp_path / 'info.json'
    file.write_text('{"images": [{"file_name": "a.jpg", "id": 1, "height": 1e400, '
                    '"width": 3}]}')
    with pytest.raises(SubmissionError, match='is no image information of COCO'):
        images_of_coco_json(file)
    Image.new('RGB', (99, 99)).save(tmp_path / '0001.jpg')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 99)
    with pytest.raises(SubmissionError, match='0001.jpg cannot be read: Image size'):
        image_of(tmp_path / '0001.jpg', COCO)


def test_images_that_a_list_does_not_name_are_not_opened(folder, tmp_path):
    (folder / 't_9_left.png').write_bytes(b'')
    file = tmp_path / 'list.txt'
    file.write_text('t_2\n')
    assert [one.name for one in images_of_list(file, folder, PATTERN)] == ['t_2']
    file.write_text('t_2\nt_9\n')
    with pytest.raises(SubmissionError, match='t_9_left.png cannot be read'):
        images_of_list(file, folder, PATTERN)


def test_image_that_occurs_twice_and_a_damaged_one_are_named(folder):
    (folder / 't_5_left.png').write_bytes(b'\x89PNG')
    with pytest.raises(SubmissionError, match='t_5_left.png cannot be read: .* Download '
                                              'it again'):
        images_of_folder(folder, PATTERN)
    (folder / 'a/t_10_left.png').replace(folder / 't_5_left.png')
    (folder / 'a/t_2_left.png').write_bytes((folder / 'b/t_2_left.png').read_bytes())
    with pytest.raises(SubmissionError, match=r'the image t_2 twice \(.*a/t_2_left.png '
                                              r'and .*b/t_2_left.png\)'):
        images_of_folder(folder, PATTERN)


def test_list_chooses_images(folder, tmp_path):
    chosen = tmp_path / 'test.txt'
    chosen.write_text('t_2 1\n\n')
    found = images_of_list(chosen, folder, PATTERN)
    assert [one.name for one in found] == ['t_2']
    assert found[0].height == 5


def test_list_in_the_tree_of_voc_finds_its_images(tmp_path):
    lists, images = tmp_path / 'ImageSets/Segmentation', tmp_path / 'JPEGImages'
    for one in (lists, images):
        one.mkdir(parents=True)
    Image.new('RGB', (3, 2)).save(images / '0007.jpg')
    (lists / 'test.txt').write_text('0007\n')
    assert find_images(lists / 'test.txt', COCO) == [
        TestImage('0007', 2, 3, str(images / '0007.jpg'), 7)]


@pytest.mark.parametrize('content, text', [
    ('', 'is empty'), ('t_2\nt_3\n', "names 't_3', and 1 of its 2 images are not in "
                       ".*Did you mean t_2"),
    ('t_2\nt_2\n', 'has the image t_2 twice[.] '), (None, 'cannot be read')])
def test_wrong_lists_are_named(folder, tmp_path, content, text):
    chosen = tmp_path / 'test.txt'
    if content is not None:
        chosen.write_text(content)
    with pytest.raises(SubmissionError, match=text):
        images_of_list(chosen, folder, PATTERN)


def info(*images):
    return dict(images=[dict(file_name=name, id=number, height=4, width=6)
                        for name, number in images])


def test_coco_information_gives_ids(tmp_path):
    path = tmp_path / 'info.json'
    path.write_text(json.dumps(info(('000000000002.jpg', 2), ('000000000001.jpg', 1))))
    found = find_images(path, COCO)
    assert found == [TestImage('000000000001', 4, 6, '', 1),
                     TestImage('000000000002', 4, 6, '', 2)]


def test_files_of_coco_information_lie_beside_annotations(tmp_path):
    path = tmp_path / 'annotations/info.json'
    for name in ('annotations', 'labels', 'test2017'):
        (tmp_path / name).mkdir()
    path.write_text(json.dumps(info(('000000000002.jpg', 2), ('000000000001.jpg', 1))))
    found = find_images(path, COCO)
    with pytest.raises(SubmissionError, match='2 of 2 images of .*info.json are not in '
                                              '.*, the first is 000000000001. Lay'):
        with_files(path, found)
    for one in found:
        Image.new('RGB', (6, 4)).save(tmp_path / f'test2017/{one.name}.jpg')
    with_file = find_images(path, COCO, files=True)
    assert with_file[1] == found[1]._replace(
        path=str(tmp_path / 'test2017/000000000002.jpg'))
    (tmp_path / 'test2017/000000000002.jpg').unlink()
    with pytest.raises(SubmissionError, match='1 of 2 .*test2017, the first is '
                                              '000000000002'):
        with_files(path, found)


def test_images_are_kept_in_a_file(folder, tmp_path):
    found = images_of_folder(folder, PATTERN)
    save_images(tmp_path / 'images.jsonl', found)
    assert find_images(tmp_path / 'images.jsonl', PATTERN) == found
    with pytest.raises(SubmissionError, match='readme.txt is no list of images'):
        load_images(folder / 'readme.txt')


def test_an_image_of_another_name_is_named(folder):
    assert image_of(folder / 'b/t_2_left.png', PATTERN, 7).image_id == 7
    with pytest.raises(SubmissionError, match=r't_4_right.png is no image of this test '
                                              r'set: .* match \(t_'):
        image_of(folder / 't_4_right.png', PATTERN)


@pytest.mark.parametrize('content, text', [
    ('[', 'is no image information of COCO'), ('[]', 'is no image information of COCO'),
    ('{}', r"KeyError: 'images'"), ('{"images": []}', 'has no image'),
    (json.dumps(info(('1.jpg', 1), ('2.jpg', 1))), 'names an image id twice'),
    (json.dumps(info(('1.jpg', 1), ('a/1.jpg', 2))), 'has the image 1 twice'),
    (None, 'cannot be read')])
def test_wrong_coco_information_is_named(tmp_path, content, text):
    path = tmp_path / 'info.json'
    if content is not None:
        path.write_text(content)
    with pytest.raises(SubmissionError, match=text):
        images_of_coco_json(path)


def test_problems_read_as_a_sentence_and_are_listed_once_by_file():
    one, two = Problem('b.png', 'is x', 'do y'), Problem('a.png', 'is x', 'do y')
    assert str(one) == 'b.png: is x; do y'
    assert listed([one, two, one]) == [two, one]
    many = [Problem(f'{i:04d}', 'w', 'm') for i in range(500)]
    assert listed(many)[:-1] == many[:300]
    assert str(listed(many)[-1]) == ('...: 200 problems more; mend those listed, then '
                                     'validate again')
