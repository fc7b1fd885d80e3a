"""Views of segmentation-aware models draw embedding, masks and refinement."""

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from torch import nn

pytest.importorskip('mmseg')

from mmseg.registry import MODELS  # noqa: E402

from segaware_mm.visualization import segaware_views  # noqa: E402
from segaware_mm.visualization.cli import build_parser  # noqa: E402
from segaware_mm.visualization.draw import available_views  # noqa: E402
from segaware_mm.visualization.geometry import Frame  # noqa: E402
from segaware_mm.visualization.registry import Subject, family_of  # noqa: E402
from segaware_mm.visualization.segaware_views import (  # noqa: E402
    SegAwareOutput,
    chosen_pixels,
    pixel_masks,
    principal_colors,
)

SIZE = (32, 48)
SEGMENTS = np.array([[0, 0, 0, 1, 1, 1]] * 3 + [[2, 2, 2, 2, 2, 2]])
PALETTE = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
BN = dict(type='BN')
RESNET = dict(type='ResNet', depth=18, num_stages=1, strides=(1, ), dilations=(1, ),
              out_indices=(0, ), base_channels=8, stem_channels=8, norm_cfg=BN)
COLORS = dict(type='ColorEmbedding', color_scale=1., stride=2)
SMALL = dict(mean_field=dict(bilateral_kernel=3, bilateral_dilation=2,
                             embedding_scale=1.),
             filters=dict(kernel_size=3, hardness=1.5))


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def one_hot(labels):
    return 20. * nn.functional.one_hot(torch.from_numpy(labels), 3).permute(
        2, 0, 1)[None].float()


@pytest.fixture
def subject():
    """Three segments; refinement gives the bar below its class."""
    wide = SEGMENTS.repeat(2, 0).repeat(2, 1)
    embedding = torch.from_numpy(np.stack([3. * (wide == 1), 3. * (wide == 2)]))[None]
    output = SegAwareOutput(embedding.float(), one_hot(SEGMENTS),
                            one_hot(np.where(SEGMENTS == 2, 0, SEGMENTS)), 2.)
    return Subject(np.full(SIZE + (3, ), 120, np.uint8), output,
                   Frame(SIZE, dict(ori_shape=SIZE)), ('a', 'b', 'c'), PALETTE,
                   SEGMENTS.repeat(8, 0).repeat(8, 1))


@pytest.mark.parametrize('family', [
    segaware_views.SEGMENTOR, segaware_views.REFINER, segaware_views.HEAD,
    segaware_views.EMBEDDING], ids=lambda one: one.head)
def test_every_view_has_the_size_of_the_picture(subject, family):
    assert {'embedding', 'mask'} <= set(family.views)
    for name, view in available_views(family).items():
        picture = view(subject)
        assert picture.pixels.shape == subject.size + (3, ), name
        assert picture.pixels.dtype == np.uint8 and picture.title, name


def test_segments_have_colours_of_their_own(subject):
    pixels = segaware_views.embedding(subject).pixels
    step = subject.size[1] // 6
    cells = pixels[step // 2::step, step // 2::step].astype(int)
    colors = [cells[SEGMENTS == k] for k in range(3)]
    assert all((c == c[0]).all() for c in colors)
    assert min(np.abs(a[0] - b[0]).max() for a in colors for b in colors
               if a is not b) > 60


def test_the_sign_of_a_component_is_fixed():
    rng = np.random.default_rng(0)
    base = rng.standard_normal((5, 8, 9)) * np.array([5, 3, 2, 1, .5])[:, None, None]
    colors, share = principal_colors(base)
    assert 0.8 < share.sum() < 1 and (np.diff(share) < 0).all()
    # The first component is nearly the first channel, with its sign.
    assert np.corrcoef(colors[..., 0].ravel(), base[0].ravel())[0, 1] > .9
    again, _ = principal_colors(base[:, ::-1])
    np.testing.assert_array_equal(again, colors[::-1])


def test_what_does_not_vary_is_grey():
    colors, share = principal_colors(np.full((4, 3, 5), 7.))
    assert (colors == 128).all() and share.sum() == 0
    two, _ = principal_colors(np.random.default_rng(0).standard_normal((2, 4, 6)))
    assert (two[..., 2] == 128).all() and np.ptp(two[..., 0]) > 200
    assert principal_colors(np.zeros((3, 1, 1)))[0].shape == (1, 1, 3)


def test_the_mask_is_the_segment_of_the_pixel(subject):
    subject.pixels = [(4, 4), (40, 30)]
    first, second = pixel_masks(subject)
    assert first[4, 4] == pytest.approx(1) and second[30, 40] == pytest.approx(1)
    assert first[2:20, 2:20].min() > .99 and first[:20, 28:].max() < .01
    assert second[28:].min() > .99
    # exp(-hardness d), d the L1 distance: 3 to the right, 6 from there to below.
    assert first[4, 44] == pytest.approx(np.exp(-2 * 3), rel=1e-3)
    assert pixel_masks(subject).shape == (2, ) + SIZE
    subject.output.norm = 'sq'
    assert pixel_masks(subject)[0][4, 44] == pytest.approx(np.exp(-2 * 4.5), rel=1e-3)


def test_the_chosen_pixel_is_a_dot_on_its_mask(subject):
    subject.pixels = [(4, 4)]
    picture = segaware_views.mask(subject)
    step = subject.size[1] // SIZE[1]
    assert picture.pixels[4 * step + step // 2, 4 * step + step // 2].tolist() == \
        segaware_views.DOTS[0].tolist()
    light = picture.pixels.astype(int).sum(2)
    assert light[15 * step, 15 * step] > light[15 * step, 40 * step] + 100
    assert picture.note == 'exp(-2 d), d l1'


def test_pixels_are_chosen_where_the_user_names_none(subject):
    places = chosen_pixels(subject)
    assert places.tolist() == [[12, 21], [24, 21], [36, 21]]


def test_before_and_after_and_what_changed(subject):
    before, after = segaware_views.before(subject), segaware_views.after(subject)
    assert list(before.classes) == [0, 1] and list(after.classes) == [0, 1, 2]
    assert segaware_views.change(subject).note.startswith('now right 2')
    assert segaware_views.confidence_after(subject).scale == ('viridis', 0., 1.)


def fcn(**kwargs):
    return dict(dict(type='FCNHead', in_channels=8, in_index=0, channels=6, num_convs=1,
                     concat_input=False, num_classes=3, norm_cfg=BN,
                     align_corners=False), **kwargs)


def segmentor(head, backbone=RESNET):
    return dict(type='EncoderDecoder', backbone=backbone, decode_head=head,
                train_cfg=dict(), test_cfg=ConfigDict(mode='whole'),
                data_preprocessor=dict(type='SegDataPreProcessor'))


EMBEDDING_HEAD = dict(type='EmbeddingHead', in_channels=8, in_index=0, channels=4)


@pytest.mark.filterwarnings('ignore:a frozen segmentor')
@pytest.mark.parametrize('name, config, size, hardness', [
    ('SegAwareRefinedSegmentor', dict(
        type='SegAwareRefinedSegmentor', segmentor=segmentor(fcn()), embedding=COLORS,
        **SMALL), (16, 24), 1.5),
    ('SegAwareRefiner', segmentor(
        dict(type='SegAwareRefiner', head=fcn(), **SMALL),
        dict(type='SegAwareBackbone', embedding=COLORS, backbone=RESNET)),
     (16, 24), 1.5),
    ('SegAwareHead', segmentor(dict(
        type='SegAwareHead', embedding=EMBEDDING_HEAD,
        head=fcn(conv_cfg=dict(type='SegAwareConv2d', hardness=.25)))), (8, 12), .25),
    ('EmbeddingHead', segmentor(EMBEDDING_HEAD), (8, 12), 1.)])
def test_models_are_observed(name, config, size, hardness):
    torch.manual_seed(0)
    model = MODELS.build(config).eval()
    family, part = family_of(model)
    assert family.head == name
    inputs = torch.randn(1, 3, *SIZE)
    output = family.observe(model, part, inputs)
    assert tuple(output.embedding.shape[2:]) == size
    assert output.hardness == pytest.approx(hardness)
    assert (output.before is not None) == ('Refine' in name)
    if output.logits is not None:
        shown = nn.functional.interpolate(output.logits, SIZE, mode='bilinear')
        torch.testing.assert_close(
            shown, nn.functional.interpolate(model(inputs).detach(), SIZE,
                                             mode='bilinear'), atol=1e-3, rtol=1e-2)


def test_pixels_on_the_command_line():
    parse = build_parser().parse_args
    args = parse(['c.py', 'w.pth', 'i.png', '--out', 'o', '--pixels', '3,4', '10,20'])
    assert args.pixels == [(3, 4), (10, 20)]
    with pytest.raises(SystemExit):
        parse(['c.py', 'w.pth', 'i.png', '--out', 'o', '--pixels', '3'])
