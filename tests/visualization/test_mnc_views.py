"""Views of MNC draw what every stage found, where it lies in the image."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from PIL import Image

pytest.importorskip('mmdet')

from mnc_models import (  # noqa: E402
    NAMES,
    detector,
    images,
    roi_head,
    sample,
    save_detector,
    test_cfg,
)

from segaware_mm.visualization import mnc_views  # noqa: E402
from segaware_mm.visualization.cli import main  # noqa: E402
from segaware_mm.visualization.colors import instance_colors  # noqa: E402
from segaware_mm.visualization.draw import (  # noqa: E402
    available_views,
    draw_views,
    subject_of,
    visualize,
)
from segaware_mm.visualization.geometry import Frame  # noqa: E402
from segaware_mm.visualization.load import load_image, load_model  # noqa: E402
from segaware_mm.visualization.mnc_views import (  # noqa: E402
    FAMILY,
    MNCOutput,
    best_pairs,
    observe,
    soft_mask_map,
)
from segaware_mm.visualization.registry import Subject, family_of  # noqa: E402

PALETTE = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
#: The image is 48 x 32; the network's input 96 x 64 of 128 x 64.
SIZE, STEP = (32, 48), 10
VIEWS = ['proposals', 'soft_masks', 'refined', 'voted', 'final']


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def output_of(boxes, scores, instances, passes=1, mask=1.):
    """An output of boxes (passes * P, 4) and (box, score, label, mask) instances."""
    n = len(boxes)
    each = torch.zeros(n, 3)
    each[:, 1] = torch.tensor(scores).float()
    masks = torch.zeros(len(instances), *SIZE, dtype=torch.bool)
    for one, (x1, y1, x2, y2) in zip(masks, [i[0] for i in instances]):
        one[y1:y2, x1:x2] = True
    return MNCOutput(
        torch.linspace(.9, .3, n // passes),
        InstanceData(boxes=torch.tensor(boxes).float().view(-1, 4),
                     mask_probs=torch.full((n, 4, 4), mask), scores=each),
        InstanceData(bboxes=torch.tensor([i[0] for i in instances]).float().view(-1, 4),
                     scores=torch.tensor([i[1] for i in instances]).float(),
                     labels=torch.tensor([i[2] for i in instances]).long(),
                     masks=masks))


def subject_with(output, size=SIZE, grey=120):
    """A plain image whose network input is twice as large, and padded."""
    meta = dict(ori_shape=size, img_shape=(2 * size[0], 2 * size[1]))
    return Subject(np.full(size + (3, ), grey, np.uint8), output,
                   Frame((2 * size[0], 2 * size[1] + 32), meta), NAMES, PALETTE)


@pytest.fixture
def subject():
    """Two proposals that the bridge moves; three instances, one of low score."""
    before = [[8, 8, 40, 40], [56, 16, 88, 48]]
    after = [[12, 8, 44, 40], [56, 16, 88, 56]]
    return subject_with(output_of(
        before + after, [.2, .3, .9, .6],
        [([4, 4, 20, 20], .9, 0), ([12, 10, 34, 26], .6, 1), ([36, 2, 46, 12], .1, 2)],
        passes=2, mask=.8))


def at(picture, x, y):
    """The colour of the picture where the image has its pixel (x, y)."""
    return picture.pixels[int((y + .5) * STEP), int((x + .5) * STEP)].astype(int)


def test_the_views_and_their_order(subject):
    assert list(FAMILY.views) == VIEWS
    assert list(available_views(FAMILY)) == ['image', 'truth', *VIEWS]


@pytest.mark.parametrize('size', [SIZE, (70, 30), (500, 1400)])
def test_every_view_has_the_size_of_the_picture(subject, size):
    subject = subject_with(output_of(
        [[8, 8, 40, 40]] * 2, [.2, .9], [([2, 2, 20, 20], .9, 0)], passes=2), SIZE)
    subject.image = np.zeros(size + (3, ), np.uint8)
    subject.frame = Frame(size, dict(ori_shape=size, img_shape=size))
    subject.output.instances.masks = torch.ones(1, *size, dtype=torch.bool)
    for name in VIEWS:
        picture = FAMILY.views[name](subject)
        assert picture.pixels.shape == subject.size + (3, ), name
        assert picture.pixels.dtype == np.uint8 and picture.title and picture.note, name


def test_proposals_are_lines_lighter_by_their_score(subject):
    picture = mnc_views.proposals(subject)
    assert picture.note == 'all 2; objectness 0.30 to 0.90'
    assert picture.scale == ('plasma', 0., 1.)
    # The network's (8, 8) is the image's (4, 4): its line begins there.
    edge, weaker = picture.pixels[4 * STEP, 8 * STEP], picture.pixels[8 * STEP, 32 * STEP]
    inside = at(picture, 10, 10)
    assert edge.astype(int).sum() > weaker.astype(int).sum() + 100
    assert (inside == at(picture, 1, 1)).all()
    assert (picture.pixels[8 * STEP, 28 * STEP - 1] == at(picture, 1, 1)).all()


def test_the_best_proposals_alone_are_drawn_and_counted():
    boxes = [[k, k, k + 20, k + 20] for k in range(60)]
    output = output_of(boxes, [.5] * 60, [])
    note = mnc_views.proposals(subject_with(output)).note
    low, high = output.objectness[[49, 0]].tolist()
    assert note == f'the 50 best of 60; objectness {low:.2f} to {high:.2f}'


def test_soft_masks_are_the_largest_of_mask_times_score():
    boxes = torch.tensor([[2., 3, 12, 9], [8, 5, 20, 15], [30, 0, 30, 9]])
    masks = torch.tensor([.5, 1, 1])[:, None, None].expand(3, 4, 4)
    found = soft_mask_map(boxes, masks, torch.tensor([.8, .3, 1.]), (16, 32))
    wanted = torch.zeros(16, 32)
    wanted[5:15, 8:20] = .3
    wanted[3:9, 2:12] = .4
    torch.testing.assert_close(found, wanted)
    assert soft_mask_map(boxes[:0], masks[:0], torch.zeros(0), (4, 5)).sum() == 0


def test_soft_masks_glow_inside_the_boxes(subject):
    picture = mnc_views.soft_masks(subject)
    # The best score is that of the second pass: 0.8 * 0.9.
    assert picture.note == 'mask times class score of 4 candidates; largest 0.72'
    assert at(picture, 14, 12).sum() > at(picture, 36, 16).sum() > at(picture, 1, 1).sum()


def test_boxes_before_the_bridge_are_dashed_and_after_it_whole(subject):
    picture = mnc_views.refined(subject)
    # The network's 8 pixels, in an image of half the size.
    assert picture.note == ('dashed before, whole after; the best 2; '
                            'an edge moved by up to 4 pixels')
    first, second = instance_colors(2)
    dark = at(picture, 1, 1)
    left = picture.pixels[10 * STEP:18 * STEP]
    assert (left[:, 6 * STEP] == first).all()  # the moved edge of the best pair
    dashes = (left[:, 4 * STEP] == first).all(1)
    assert 0 < dashes.sum() < len(dashes) and (left[~dashes, 4 * STEP] == dark).all()
    assert (picture.pixels[28 * STEP - 1, 36 * STEP] == second).all()


def test_of_a_heap_of_boxes_the_best_alone_is_drawn():
    heap = [[k, 0, k + 40, 40] for k in range(4)] + [[60, 0, 90, 30]]
    output = output_of(heap + heap, [.1] * 5 + [.5, .6, .9, .7, .8], [], passes=2)
    assert best_pairs(output).tolist() == [2, 4]
    many = [[10 * k, 0, 10 * k + 5, 5] for k in range(12)]
    output = output_of(many * 2, np.linspace(.1, .9, 24).tolist(), [], passes=2)
    assert best_pairs(output).tolist() == list(range(11, 1, -1))


def test_one_pass_has_no_bridge():
    output = output_of([[8, 8, 40, 40]], [.9], [])
    picture = mnc_views.refined(subject_with(output))
    assert output.passes == 1 and picture.note == 'one pass alone: there is no bridge'
    assert (picture.pixels == picture.pixels[0, 0]).all()


def test_three_passes_show_the_first_and_the_last():
    boxes = [[8, 8, 40, 40], [20, 20, 60, 60], [12, 8, 44, 40]]
    output = output_of(boxes, [.1, .2, .9], [], passes=3)
    assert output.passes == 3
    assert [output.boxes(k).tolist()[0] for k in (0, 1, -1)] == boxes
    assert 'moved by up to 2 pixels' in mnc_views.refined(subject_with(output)).note


def test_instances_have_colours_of_their_own_and_the_best_one_is_on_top(subject):
    picture = mnc_views.voted(subject)
    assert picture.note == '3 from 4 candidates'
    colors = instance_colors(3).astype(int)
    grey = at(picture, 1, 30)
    places = [(6, 12), (29, 22), (41, 7)]

    def share(found, color):
        found, wanted = found.astype(int) - grey, color - grey
        part = found @ wanted / (wanted @ wanted)
        assert np.abs(found - part * wanted).max() < 2
        return part

    shares = [share(at(picture, *place), color) for place, color in zip(places, colors)]
    assert shares[0] > shares[1] > shares[2] > .05  # by score
    assert (at(picture, 16, 15) == at(picture, 6, 12)).all()  # both are here
    border = picture.pixels[24 * STEP, 34 * STEP]
    assert share(border, colors[1]) > shares[1] + .2


def test_names_stand_at_the_boxes(subject):
    with_names = mnc_views.voted(subject)
    colors = instance_colors(3)
    # The name's ground is the instance's colour, above the box's left end.
    assert (with_names.pixels[4 * STEP - 2, 4 * STEP + 1] == colors[0]).all()
    subject.classes = ('', '', '')
    without = mnc_views.voted(subject)
    changed = (with_names.pixels != without.pixels).any(2)
    assert changed[:4 * STEP].any() and not changed[22 * STEP:].any()


def test_the_final_instances_keep_their_colours(subject):
    every, last = mnc_views.voted(subject), mnc_views.final(subject)
    assert last.note == '2 of 3' and last.title == 'Instances of score 0.5 or more'
    for place in ((6, 12), (29, 22)):
        assert (at(last, *place) == at(every, *place)).all()
    assert (at(last, 41, 7) == at(last, 1, 30)).all()
    subject.output.instances.scores[1] = .5
    assert mnc_views.final(subject).note == '2 of 3'


def test_no_final_instance_is_said(subject):
    subject.output.instances.scores *= .5
    picture = mnc_views.final(subject)
    assert picture.note == 'none; the best has 0.45'
    assert (picture.pixels == picture.pixels[0, 0]).all()


def test_what_of_the_instances_is_not_seen_is_said():
    heap = [([4, 4, 40, 30], .9 - k / 100, k % 3) for k in range(40)]
    heap[-1] = ([24, 16, 24, 16], .1, 0)
    picture = mnc_views.voted(subject_with(output_of([[0, 0, 9, 9]], [.5], heap)))
    assert picture.note.startswith('40 from 1 candidates; 1 without a pixel; ')
    named = int(picture.note.split()[-2])
    assert picture.note.endswith(' named') and 0 < named < 30


def test_nothing_found_gives_the_image_and_a_note():
    subject = subject_with(output_of([], [], []))
    notes = []
    for name in VIEWS:
        picture = FAMILY.views[name](subject)
        assert (picture.pixels == picture.pixels[0, 0]).all(), name
        notes.append(picture.note)
    assert notes == ['none', 'no candidates', 'no proposals', 'no instances', 'none']


def test_the_same_output_gives_the_same_pixels(subject):
    for name in VIEWS:
        first, again = (FAMILY.views[name](subject).pixels for _ in range(2))
        assert (first == again).all(), name


def run(model, size=(64, 96), inner=(60, 96), original=(50, 80)):
    family, part = family_of(model)
    assert family is FAMILY
    meta = dict(img_shape=inner, ori_shape=original, pad_shape=size,
                batch_input_shape=size, scale_factor=(inner[1] / original[1],
                                                      inner[0] / original[0]))
    return family.observe(model, part, images(1, size), meta), meta


@pytest.mark.parametrize('inner, original', [
    ((60, 96), (50, 80)), ((64, 96), (50, 80)), ((64, 48), (20, 60))],
    ids=['padded', 'stretched', 'squeezed'])
def test_the_detector_is_observed_as_it_predicts(inner, original):
    model = detector().eval()
    output, meta = run(model, inner=inner, original=original)
    data = sample([], size=inner)
    data.set_metainfo(meta)
    with torch.no_grad():
        (wanted, ) = model.predict(images(1, (64, 96)), [data], rescale=True)
    wanted = wanted.pred_instances
    for name in ('bboxes', 'scores', 'labels', 'masks'):
        assert torch.equal(output.instances[name], wanted[name]), name
    assert output.passes == 2 and len(wanted) > 0
    assert len(output.candidates) == 2 * len(output.objectness) > 0
    shown = Frame((64, 96), meta).boxes(output.candidates.boxes)
    assert (shown >= 0).all() and (shown <= np.array([*original[::-1]] * 2) + 1e-4).all()


def test_an_image_that_was_not_resized_needs_no_scale():
    model = detector().eval()
    meta = dict(img_shape=(64, 96), ori_shape=(64, 96))
    output = observe(model, model.roi_head, images(1, (64, 96)), meta)
    assert output.instances.masks.shape[1:] == (64, 96) and len(meta) == 2


def test_testing_with_one_pass_is_seen_as_one():
    model = detector(test_cfg=test_cfg(num_passes=1)).eval()
    assert run(model)[0].passes == 1
    assert run(detector(roi_head(num_passes=1)).eval())[0].passes == 1


def test_a_detector_without_proposals():
    cfg = test_cfg()
    cfg.rpn.min_bbox_size = 1000
    output, meta = run(detector(test_cfg=cfg).eval())
    assert len(output.candidates) == len(output.objectness) == 0
    subject = Subject(np.zeros((50, 80, 3), np.uint8), output, Frame((64, 96), meta),
                      NAMES, PALETTE)
    assert [FAMILY.views[name](subject).note for name in VIEWS] == [
        'none', 'no candidates', 'no proposals', 'no instances', 'none']


@pytest.mark.parametrize('keep_ratio', [True, False])
def test_the_command_draws_a_detector(tmp_path, keep_ratio, capfd):
    config, weights, image = map(str, save_detector(tmp_path, keep_ratio=keep_ratio))
    out = tmp_path / 'pictures'
    code = main([config, weights, image, '--out', str(out)])
    text = ''.join(capfd.readouterr())
    assert code == 0 and f'wrote {out / "00.png"}' in text, text
    with Image.open(out / '00.png') as sheet:
        width, height = sheet.size
    assert width > 3 * 480 and 2 * 300 < height < 3 * 300  # two rows of three
    assert list(visualize(config, weights, [image], str(out), 'final'))


def test_the_help_names_the_views_of_a_detector():
    from segaware_mm.visualization.cli import build_parser
    text = ' '.join(build_parser().format_help().split())
    assert f'views of MNCRoIHead: image, truth, {", ".join(VIEWS)}' in text


def test_instances_are_no_truth_of_pixels(tmp_path, capfd):
    config, weights, image = map(str, save_detector(tmp_path))
    loaded = load_model(config, weights)
    found = load_image(loaded, image)
    assert found.truth is None and found.inputs.shape == (1, 3, 64, 96)
    assert 'loading annotations' not in capfd.readouterr().out  # not even read
    names = list(available_views(FAMILY))
    assert len(draw_views(loaded, found, names)) == len(names) - 1
    code = main([config, weights, image, '--views', 'truth', '--out', str(tmp_path)])
    assert code == 2 and 'hold no labels of' in capfd.readouterr().err


def test_names_and_colours_of_the_classes(tmp_path):
    for meta in (True, False):
        folder = tmp_path / str(meta)
        config, weights, image = map(str, save_detector(folder, meta=meta))
        loaded = load_model(config, weights)
        assert tuple(loaded.classes) == NAMES and loaded.palette.shape == (3, 3)
        subject = subject_of(loaded, load_image(loaded, image))
        assert tuple(subject.classes) == NAMES


def test_a_dataset_whose_class_names_its_classes(tmp_path):
    """COCO's names are those of mmdet's class, which another registry has."""
    config, weights, _ = map(str, save_detector(tmp_path, meta=False))
    cfg = Config.fromfile(config)
    del cfg.test_dataloader.dataset.metainfo
    cfg.dump(config)
    loaded = load_model(config, weights)
    assert list(loaded.classes) == ['person', 'bicycle', 'car']
    assert loaded.palette.tolist()[0] == [220, 20, 60]
    four = save_detector(tmp_path / 'four', meta=False, head=roi_head(classes=4))
    loaded = load_model(*map(str, four[:2]))
    assert list(loaded.classes) == [*NAMES, 'class 3']
