"""One procedural scene: determinism, labels, sizes, and what decides a class."""

import numpy as np
import pytest
from scipy import ndimage

from segaware_mm.datasets.scenes import CLASS_NAMES, PALETTE, SCENE_CLASSES, render_scene
from segaware_mm.datasets.scenes.classes import CLASS_ID, THING_IDS
from segaware_mm.datasets.scenes.raster import coverage
from segaware_mm.datasets.scenes.shapes import ellipse
from segaware_mm.datasets.scenes.textures import TEXTURES

COUNT = 40


def as_bytes(scene):
    return (scene.image.tobytes(), scene.semantic.tobytes(),
            scene.instance_map.tobytes(), scene.instances)


@pytest.fixture(scope='module')
def scenes():
    return [render_scene(7, i) for i in range(COUNT)]


def test_same_arguments_same_bytes_in_any_order(scenes):
    for index in (5, 0, 11):
        assert as_bytes(render_scene(7, index)) == as_bytes(scenes[index])


def test_other_seed_index_or_split_is_another_scene():
    kinds = [render_scene(0, 0), render_scene(1, 0), render_scene(0, 1),
             render_scene(0, 0, split='val'), render_scene(0, 0, split='test')]
    assert len({scene.image.tobytes() for scene in kinds}) == len(kinds)
    assert len({scene.semantic.tobytes() for scene in kinds}) == len(kinds)


@pytest.mark.parametrize('size', [(32, 32), (33, 250), (200, 40), (97, 97),
                                  (256, 512)])
def test_sizes(size):
    scene = render_scene(0, 0, size)
    assert scene.image.shape == size + (3, )
    assert scene.semantic.shape == scene.instance_map.shape == size
    assert scene.image.dtype == np.uint8
    assert scene.semantic.dtype == np.uint8
    assert scene.instance_map.dtype == np.int32
    assert scene.semantic.max() < len(CLASS_NAMES)


@pytest.mark.parametrize('arguments, name', [
    (dict(seed=-1, index=0), 'seed'),
    (dict(seed=0, index=-2), 'index'),
    (dict(seed=0, index=0, size=(31, 64)), 'size'),
    (dict(seed=0, index=0, size=(64, 64, 3)), 'size'),
    (dict(seed=0, index=0, split='training'), 'split'),
    (dict(seed=0, index=0, kinds=9), 'kinds'),
])
def test_error_names_the_argument(arguments, name):
    with pytest.raises(ValueError, match=name):
        render_scene(**arguments)


@pytest.mark.parametrize('kinds', [0, 2, 8])
def test_a_number_of_kinds_of_objects(kinds):
    counts = []
    for index in range(6):
        scene = render_scene(0, index, kinds=kinds)
        assert as_bytes(render_scene(0, index, kinds=kinds)) == as_bytes(scene)
        counts.append(len(set(np.unique(scene.semantic)) - {0, 1}))
    assert max(counts) <= kinds and sum(counts) >= 6 * kinds * .75  # some are hidden


def test_instances_agree_with_the_maps(scenes):
    for scene in scenes:
        ids = [item.instance_id for item in scene.instances]
        assert ids == list(range(1, len(ids) + 1))
        assert set(np.unique(scene.instance_map)) - {0} == set(ids)
        for item in scene.instances:
            mask = scene.instance_map == item.instance_id
            assert item.class_id in THING_IDS
            assert (scene.semantic[mask] == item.class_id).all()
            assert item.area == mask.sum()
            assert 0.4 <= item.visible <= 1
            rows, columns = np.nonzero(mask)
            assert item.bbox == (columns.min(), rows.min(),
                                 np.ptp(columns) + 1, np.ptp(rows) + 1)


def test_every_thing_pixel_has_an_instance_and_no_stuff_pixel_has(scenes):
    for scene in scenes:
        thing = np.isin(scene.semantic, THING_IDS)
        assert ((scene.instance_map > 0) == thing).all()


def test_every_class_occurs_often_enough(scenes):
    shares = np.mean([
        np.bincount(s.semantic.ravel(), minlength=len(CLASS_NAMES)) /
        s.semantic.size for s in scenes
    ], axis=0)
    present = np.sum([np.isin(range(len(CLASS_NAMES)), s.semantic)
                      for s in scenes], axis=0)
    assert (shares > 0.008).all(), dict(zip(CLASS_NAMES, shares))
    assert (present >= COUNT // 3).all(), dict(zip(CLASS_NAMES, present))


def test_colour_does_not_give_the_class_away(scenes):
    """Two classifiers that see one pixel's colour; chance is one in ten."""
    pixels = np.concatenate([s.image.reshape(-1, 3)[::7] for s in scenes])
    labels = np.concatenate([s.semantic.ravel()[::7] for s in scenes])
    half = len(labels) // 2
    classes = range(len(CLASS_NAMES))

    means = np.stack([pixels[:half][labels[:half] == c].mean(axis=0)
                      for c in classes])
    distance = np.abs(pixels[half:, None] - means[None]).sum(axis=2)
    assert mean_recall(distance.argmin(axis=1), labels[half:]) < 0.25

    cells = (pixels // 32).astype(int) @ (64, 8, 1)
    counts = np.stack([
        np.bincount(cells[:half][labels[:half] == c], minlength=512)
        for c in classes
    ]) + 1.0
    posterior = counts / counts.sum(axis=1, keepdims=True)
    guess = posterior.argmax(axis=0)[cells[half:]]
    assert mean_recall(guess, labels[half:]) < 0.25


def mean_recall(guess, truth):
    return np.mean([(guess[truth == c] == c).mean()
                    for c in range(len(CLASS_NAMES))])


def test_bush_and_rock_have_one_histogram_of_tones():
    def tones(name):
        return np.concatenate([
            np.quantile(
                TEXTURES[name](np.random.default_rng(i), 48, 48, 1.0),
                (0.1, 0.3, 0.5, 0.7, 0.9))[None] for i in range(40)
        ]).mean(axis=0)

    np.testing.assert_allclose(tones('blotches'), tones('layers'), atol=0.04)


def test_poles_are_thin(scenes):
    thickness = [
        2 * ndimage.distance_transform_edt(s.semantic == CLASS_ID['pole']).max()
        for s in scenes
    ]
    assert np.median(thickness) <= 6


def test_a_towers_outline_is_high_and_a_walls_is_long(scenes):
    """The two are told by their extent; compare those that nothing hides."""
    seen = 0
    for scene in scenes:
        for item in scene.instances:
            x, y, w, h = item.bbox
            inside = (x > 0 and y > 0 and x + w < 160 and y + h < 128)
            if item.class_id == CLASS_ID['tower'] and item.visible == 1 and inside:
                assert h > 1.3 * w
                seen += 1
    assert seen > 3


def test_coverage_of_whole_pixels_is_exact():
    square = np.array([[2.0, 3.0], [7.0, 3.0], [7.0, 5.0], [2.0, 5.0]])
    found = coverage([[square]], 10, 12)
    assert (found.top, found.left) == (3, 2)
    assert found.alpha.shape == (2, 5)
    assert (found.alpha == 1).all()


def test_coverage_of_a_ring_has_its_area_and_its_hole():
    ring = [ellipse(20, 20, 12, 12), ellipse(20, 20, 6, 6)]
    found = coverage([ring], 40, 40)
    wanted = np.pi * (12**2 - 6**2)
    assert abs(found.alpha.sum() / wanted - 1) < 0.03
    assert found.alpha[20 - found.top, 20 - found.left] == 0


def test_coverage_outside_the_image_is_none():
    assert coverage([[ellipse(-30, 5, 8, 8)]], 20, 20) is None


def test_class_table_is_sound():
    assert len(set(CLASS_NAMES)) == len(SCENE_CLASSES) == len(PALETTE) == 10
    assert len({tuple(color) for color in PALETTE}) == 10
    assert len({c.cityscapes for c in SCENE_CLASSES}) == 10
