"""Views of TransferNet: a tile for each label, drawn where it lies in the image."""

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image

pytest.importorskip('mmseg')

from transfernet_models import CLASSIFIER, build, images, net  # noqa: E402

from segaware_mm.visualization import transfernet_views  # noqa: E402
from segaware_mm.visualization.cli import main  # noqa: E402
from segaware_mm.visualization.draw import available_views  # noqa: E402
from segaware_mm.visualization.geometry import Frame  # noqa: E402
from segaware_mm.visualization.load import load_image, load_model  # noqa: E402
from segaware_mm.visualization.registry import Subject, family_of  # noqa: E402
from segaware_mm.visualization.tiles import GROUND, grid_side, tile  # noqa: E402
from segaware_mm.visualization.transfernet_views import (  # noqa: E402
    CLASSIFIER as CAM_FAMILY,
)
from segaware_mm.visualization.transfernet_views import (  # noqa: E402
    FAMILY,
    LabelMaps,
    observe,
)

SIZE = (32, 48)
NAMES = ('ground', 'disc', 'bar', 'corner', 'other')
PALETTE = np.array([[90, 90, 90], [255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 9, 9]],
                   np.uint8)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def subject_of(labels, **maps):
    """A grey image; maps that are 1 in the left half unless given."""
    left = torch.zeros(len(labels), *SIZE)
    left[:, :, :24] = .9
    names = ('attention', 'dense', 'figure', 'activation')
    merged = torch.zeros(SIZE, dtype=torch.int64)
    merged[:, :24] = labels[0] if labels else 0
    output = LabelMaps(labels, merged, {name: maps.get(name, left) for name in names},
                       torch.linspace(.1, .9, 4), 'labels of the dataset')
    return Subject(np.full(SIZE + (3, ), 120, np.uint8), output,
                   Frame(SIZE, dict(ori_shape=SIZE)), NAMES, PALETTE)


@pytest.mark.parametrize('family', [FAMILY, CAM_FAMILY], ids=lambda one: one.head)
@pytest.mark.parametrize('labels', [[], [2], [1, 2, 3], list(range(1, 5)) * 3])
def test_every_view_has_the_size_of_the_picture(family, labels):
    subject = subject_of(labels)
    for name, view in available_views(family).items():
        if name == 'truth':
            continue
        picture = view(subject)
        assert picture.pixels.shape == subject.size + (3, ), name
        assert picture.pixels.dtype == np.uint8 and picture.title, name


@pytest.mark.parametrize('name', ['attention', 'dense', 'figure'])
def test_a_map_glows_where_it_is_large(name):
    subject = subject_of([2])
    light = FAMILY.views[name](subject).pixels.astype(int).sum(2)
    row, width = subject.size[0] * 3 // 4, subject.size[1]
    assert light[row, width // 4] > light[row, width * 3 // 4] + 80


def test_notes_say_what_is_seen():
    assert transfernet_views.attention(subject_of([])).note == 'no label in this image'
    many = transfernet_views.figure(subject_of(list(range(1, 5)) * 3))
    assert many.note.endswith('; 9 of 12 labels')
    assert many.scale == ('viridis', 0., 1.)
    merged = transfernet_views.merged(subject_of([3]))
    assert list(merged.classes) == [0, 3] and merged.note == 'labels of the dataset'


def test_tiles_stand_in_a_grid():
    one, two = (np.full((40, 60, 3), value, np.uint8) for value in (10, 200))
    whole = tile([one], ['a'], [(255, 0, 0)], (40, 60))
    assert (whole[-1, -1] == 10).all() and (whole[1, 1] != 10).any()  # the name
    both = tile([one, two], ['a', 'b'], [(255, 0, 0)] * 2, (44, 64))
    assert (both[18, 28] == 10).all() and (both[18, 62] == 200).all()
    assert (both[30:] == GROUND).all() and (both[10, 30:34] == GROUND).all()
    assert [grid_side(n) for n in (0, 1, 2, 4, 5, 9, 80)] == [1, 1, 2, 2, 3, 3, 3]


def test_a_model_is_observed():
    model = net(seed=3).eval()
    family, part = family_of(model)
    assert family is FAMILY and part is model
    meta = dict(ori_shape=(24, 32), square_side=32, valid_shape=(24, 32),
                image_labels=[1, 3])
    found = observe(model, part, images(1, (64, 64)), meta)
    assert found.labels == [1, 3] and found.source == 'labels of the dataset'
    assert found.merged.shape == (24, 32)
    assert {name: tuple(one.shape) for name, one in found.maps.items()} == dict.fromkeys(
        ('attention', 'dense', 'figure'), (2, 24, 32))
    empty = observe(model, part, images(1, (64, 64)), dict(meta, image_labels=[]))
    assert empty.maps['figure'].shape == (0, 24, 32) and empty.merged.sum() == 0
    # Nobody says what is there: the head is asked.
    del meta['image_labels']
    other = observe(model, part, images(1, (64, 64)), meta)
    assert other.labels and other.source == "labels of the head's classifier"


def test_a_classifier_is_observed():
    model = build(dict(CLASSIFIER, cam=True, label_source='gt')).eval()
    family, part = family_of(model)
    assert family is CAM_FAMILY
    found = family.observe(model, part, images(1), dict(ori_shape=(20, 30),
                                                        image_labels=[2]))
    assert found.labels == [2] and found.maps['activation'].shape == (1, 20, 30)
    unknown = family.observe(model, part, images(1), dict(ori_shape=(20, 30)))
    assert unknown.labels and unknown.source == 'labels of the classifier'


MODEL = dict(
    type='TransferNet', label_source='gt',
    backbone=dict(type='VGG16Switch', channels=(3, 4, 5, 6, 6)),
    decode_head=dict(
        type='TransferNetHead', num_classes=5, in_channels=6, classifier_channels=7,
        attention=dict(type='LabelAttention', att_type='conv', embed_channels=8,
                       feat_scale=1.),
        decoder=dict(type='UnpoolDecoder',
                     channels=((6, ), (6, 5), (5, 4), (4, 3), (3, )))),
    data_preprocessor=dict(type='SegDataPreProcessor', mean=[127.5] * 3, std=[64.] * 3))


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=net().state_dict()), path)
    return path


def test_sheets_are_drawn_by_the_tool(tmp_path, tiny_config, weights, capfd):
    """The labels of an image of the dataset are those of its map."""
    config = tiny_config(model=MODEL)
    photo = tmp_path / 'tiny' / 'images' / 'val' / '00.png'
    loaded = load_model(str(config), str(weights))
    assert load_image(loaded, str(photo)).meta['image_labels'].tolist() == [1, 2, 3]
    code = main([str(config), str(weights), str(photo), '--out', str(tmp_path / 'out')])
    assert code == 0, ''.join(capfd.readouterr())
    with Image.open(tmp_path / 'out' / '00.png') as sheet:
        assert sheet.size[0] > 1000


def wrapped(root, split, kind='MaskSubsetDataset', **changes):
    """Classes in another order behind a wrapper that packs, in a square."""
    leaf = dict(
        type='BaseSegDataset', data_root=str(root), img_suffix='.png',
        metainfo=dict(classes=('ground', 'disc', 'bar', 'corner')),
        data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'annotations/{split}'),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PadToSquare'),
                  dict(type='LoadAnnotations')])
    return dict(
        type=kind, classes=('background', 'corner', 'disc', 'bar', 'star'),
        palette=PALETTE.tolist(), dataset=dict(type='RepeatDataset', times=1,
                                               dataset=leaf),
        pipeline=[dict(type='LoadImageLabels'), dict(type='PackSegInputs', meta_keys=(
            'ori_shape', 'img_shape', 'image_labels', 'square_side', 'valid_shape'))],
        **changes)


def test_datasets_in_wrappers(tmp_path, tiny_config, tiny_data, weights, capfd):
    """Both pipelines prepare an image; classes and truth are of the joint list."""
    root = tiny_data()
    config = tiny_config(model=MODEL, root=root, options={
        'test_dataloader.dataset': dict(wrapped(root, 'val', domain='target'),
                                        _delete_=True),
        'train_dataloader.dataset': dict(_delete_=True, type='ConcatDataset', datasets=[
            wrapped(root, 'train', 'ImageLabelDataset', keep=('disc', )),
            wrapped(root, 'train', keep=('bar', ))])})
    loaded = load_model(str(config), str(weights))
    assert loaded.classes == ['background', 'corner', 'disc', 'bar', 'star']
    assert np.array_equal(loaded.palette, PALETTE)
    photo = root / 'images' / 'val' / '00.png'
    image = load_image(loaded, str(photo))
    height, width = image.pixels.shape[:2]
    assert image.meta['square_side'] == image.inputs.shape[-1] == max(height, width)
    label = np.array(Image.open(root / 'annotations' / 'val' / '00.png'))
    assert np.array_equal(image.truth, np.array([0, 2, 3, 1])[label])
    assert image.meta['image_labels'].tolist() == [1, 2, 3]
    # Masks that no training sees are not drawn, nor those of some classes alone.
    train = load_image(loaded, str(root / 'images' / 'train' / '00.png'))
    assert train.truth is None and train.meta.get('image_labels') is None
    code = main([str(config), str(weights), str(photo), '--out', str(tmp_path / 'out')])
    assert code == 0, ''.join(capfd.readouterr())
