"""The views of RANet draw what the head computed; views are found by head."""

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip('mmseg')

from segaware_mm.engine.errors import ConfigError  # noqa: E402
from segaware_mm.ranet.ranet_head import RANetHead, RANetOutput  # noqa: E402
from segaware_mm.ranet.region_construction import Regions  # noqa: E402
from segaware_mm.visualization import common_views, ranet_views  # noqa: E402
from segaware_mm.visualization.colors import region_colors  # noqa: E402
from segaware_mm.visualization.draw import available_views  # noqa: E402
from segaware_mm.visualization.geometry import Frame  # noqa: E402
from segaware_mm.visualization.registry import (  # noqa: E402
    Subject,
    choose_views,
    family_of,
)

HEIGHT, WIDTH = 32, 48
REGIONS = np.array([[0, 0, 0, 1, 1, 1]] * 3 + [[2, 2, 2, 2, 2, 2]])
PALETTE = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


def one_hot(labels: np.ndarray, count: int = 3) -> torch.Tensor:
    """Return logits (1, count, h, w) that say ``labels`` loudly."""
    return 20. * torch.nn.functional.one_hot(
        torch.from_numpy(labels), count).permute(2, 0, 1)[None].float()


@pytest.fixture
def subject() -> Subject:
    """Two columns and a bar below; the final prediction mends the bar."""
    before = np.where(REGIONS == 2, 0, REGIONS)
    edge = np.zeros((4, 6), int)
    edge[2] = 1
    output = RANetOutput(
        logits=one_hot(REGIONS), boundary_logits=one_hot(edge, 2),
        aux_logits=one_hot(before), aux_boundary_logits=one_hot(edge, 2),
        regions=Regions(torch.from_numpy(REGIONS).view(1, -1),
                        torch.linspace(0.1, 1, 24).view(1, -1),
                        [torch.tensor([0, 4, 20, 21])], (4, 6)))
    truth = REGIONS.repeat(8, 0).repeat(8, 1)
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    return Subject(image, output, Frame((HEIGHT, WIDTH), dict(
        ori_shape=(HEIGHT, WIDTH))), ('a', 'b', 'c'), PALETTE, truth)


@pytest.fixture
def head() -> RANetHead:
    return RANetHead((8, 8), 8, num_classes=3, in_index=(0, 1))


def test_every_view_has_the_size_of_the_picture(subject):
    for name, view in available_views(ranet_views.FAMILY).items():
        picture = view(subject)
        assert picture.pixels.shape == subject.size + (3, ), name
        assert picture.pixels.dtype == np.uint8 and picture.title, name


def test_a_small_width_gives_small_pictures(subject):
    subject.width = 96
    assert ranet_views.regions(subject).pixels.shape == (64, 96, 3)


def test_regions_are_drawn_in_their_colours(subject):
    picture = ranet_views.regions(subject)
    assert picture.note.startswith('3 on 6 x 4 cells')
    cell = subject.size[1] // 6
    centres = picture.pixels[cell // 2::cell, cell // 2::cell].astype(int)
    for one in range(3):
        assert (centres[REGIONS == one] == centres[REGIONS == one][0]).all()
    expected = region_colors(REGIONS).astype(int) * 0.66 + 120 * 0.34
    found = np.stack([centres[REGIONS == one][0] for one in range(3)])
    assert np.abs(found - expected).max() <= 1


def test_the_region_map_meets_the_image_cell_by_cell(subject):
    large = ranet_views.region_picture(subject)
    cell = subject.size[1] // 6
    assert (large == REGIONS.repeat(cell, 0).repeat(cell, 1)).all()


def test_representatives_are_dots_in_their_cells(subject):
    picture = ranet_views.representatives(subject)
    assert picture.note == '4; at most 2 a region'
    cell = subject.size[1] // 6
    colors = region_colors(REGIONS)
    for index, region in ((0, 0), (4, 1), (20, 2), (21, 2)):
        y, x = divmod(index, 6)
        found = picture.pixels[y * cell + cell // 2, x * cell + cell // 2]
        assert found.tolist() == colors[region].tolist()


def test_the_boundary_glows_where_it_is_probable(subject):
    light = ranet_views.boundary(subject).pixels.astype(int).sum(2)
    cell = subject.size[0] // 4
    assert light[2 * cell + cell // 2].min() > light[cell // 2].max() + 200


def test_before_is_the_auxiliary_and_after_the_final_prediction(subject):
    before, after = ranet_views.before(subject), ranet_views.after(subject)
    assert list(before.classes) == [0, 1] and list(after.classes) == [0, 1, 2]
    # Bilinear enlargement rounds the meeting of three classes: not exactly 100.
    found = common_views.scores(
        ranet_views.predicted(subject, subject.output.logits), subject)
    assert found[0] > 0.97 and found[1] > 0.95
    found = common_views.scores(
        ranet_views.predicted(subject, subject.output.aux_logits), subject)
    assert 0.7 < found[0] < 0.76 and found[1] < 0.7


def test_change_tells_better_from_worse(subject):
    picture = ranet_views.change(subject)
    assert picture.note.startswith('now right 2') and 'now wrong 0.' in picture.note
    bar = picture.pixels[-4, 4].astype(int)
    assert bar[1] > bar[0] + 60 and bar[1] > bar[2] + 60  # green
    subject.truth = np.zeros_like(subject.truth)
    bar = ranet_views.change(subject).pixels[-4, 4].astype(int)
    assert bar[0] > bar[1] + 60  # red
    subject.truth = None
    assert ranet_views.change(subject).note.startswith('changed 2')


def test_ignored_pixels_have_no_score_and_no_verdict(subject):
    subject.truth = np.full_like(subject.truth, 255)
    assert ranet_views.after(subject).note == ''
    assert 'now right 0.0 % (green), now wrong 0.0 %' in ranet_views.change(subject).note
    assert list(common_views.truth(subject).classes) == []


def test_scores_are_of_this_image_and_say_how_they_came_about(subject):
    assert 'right, mIoU of this image 9' in ranet_views.after(subject).note
    subject.remark = 'whole image'
    assert ranet_views.after(subject).note.endswith('; whole image')
    subject.truth = None
    assert ranet_views.before(subject).note == 'whole image'


def test_views_are_found_by_the_head(head):
    family, part = family_of(nn.ModuleDict(dict(deep=nn.Sequential(nn.ReLU(), head))))
    assert family is ranet_views.FAMILY and part is head


def test_a_subclass_of_the_head_has_its_views():

    class Mine(RANetHead):
        pass

    mine = Mine((8, 8), 8, num_classes=3, in_index=(0, 1))
    assert family_of(nn.Sequential(mine))[0] is ranet_views.FAMILY


def test_a_model_without_views_is_named():
    with pytest.raises(ConfigError, match='it is Sequential.*exist for .*RANetHead'):
        family_of(nn.Sequential(nn.Conv2d(3, 3, 1)))


def test_views_are_chosen_by_name_once_each():
    views = available_views(ranet_views.FAMILY)
    assert choose_views(views, 'all') == list(views)
    assert choose_views(views, 'after, regions,after') == ['after', 'regions']
    with pytest.raises(ConfigError, match='no view region. Did you mean regions'):
        choose_views(views, 'region')
    with pytest.raises(ConfigError, match='no name given'):
        choose_views(views, ' ,')
