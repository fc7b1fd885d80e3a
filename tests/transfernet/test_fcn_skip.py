"""FCN-32s, 16s and 8s: upsampling, alignment, sizes, starts, in mmseg's segmentor."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

pytest.importorskip('mmseg')

from mmengine.config import ConfigDict  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.runner.checkpoint import load_state_dict  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

import segaware_mm  # noqa: E402, F401
from segaware_mm.transfernet.bilinear_upsampling import (  # noqa: E402
    LearnedUpsampling,
    bilinear_upsampling,
    bilinear_weights,
    fit_map,
)
from segaware_mm.transfernet.fcn_skip_head import FCNSkipHead  # noqa: E402
from segaware_mm.transfernet.vgg16_fc import VGG16FC  # noqa: E402

WIDTHS = (4, 4, 6, 8, 8)
VGG = dict(type='VGG16FC', channels=WIDTHS, fc_channels=10)
HEAD = dict(type='FCNSkipHead', in_channels=(6, 8, 10), num_classes=3)
RESNET = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4,
              norm_cfg=dict(type='BN'))


def images(*size, batch=2, seed=0):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def segmentor(backbone=VGG, head=HEAD, seed=0, **kwargs):
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(ConfigDict({**dict(
            type='EncoderDecoder', data_preprocessor=dict(
                type='SegDataPreProcessor', size_divisor=1, pad_val=0, seg_pad_val=255),
            backbone=backbone, decode_head=head, train_cfg=dict(),
            test_cfg=dict(mode='whole')), **kwargs}))
    model.init_weights()
    return model


def samples(*size, batch=2):
    result = []
    for _ in range(batch):
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size,
                                             pad_shape=size))
        labels = torch.arange(size[0] * size[1]).view(1, *size) % 3
        sample.gt_sem_seg = PixelData(data=labels)
        result.append(sample)
    return result


# ---------------------------------------------------------------------- upsampling

def test_weights_are_the_published_ones():
    assert bilinear_weights(2)[0].tolist() == [.0625, .1875, .1875, .0625]
    weights = bilinear_weights(8)
    assert weights.shape == (16, 16) and weights.sum() == pytest.approx(64)
    assert torch.equal(weights, weights.flip(0)) and torch.equal(weights, weights.T)


@pytest.mark.parametrize('factor', [2, 4, 8])
@pytest.mark.parametrize('size', [(3, 4), (1, 1), (1, 5)])
def test_the_learned_upsampling_starts_as_the_fixed_one(factor, size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    out = LearnedUpsampling(3, factor).double()(x)
    assert out.shape == (2, 3, factor * size[0], factor * size[1])
    torch.testing.assert_close(out, bilinear_upsampling(x, factor))


@pytest.mark.parametrize('factor', [8, 16, 32])
def test_the_fixed_upsampling_is_the_published_transposed_convolution(factor):
    """Away from the border, which the published networks pad and cut off."""
    x = torch.randn(1, 1, 4, 5, dtype=torch.float64)
    weights = bilinear_weights(factor).double()[None, None]
    wanted = F.conv_transpose2d(x, weights, stride=factor, padding=factor // 2)
    inner = slice(factor // 2, -(factor // 2))
    torch.testing.assert_close(bilinear_upsampling(x, factor)[..., inner, inner],
                               wanted[..., inner, inner])


def test_upsampling_gradients():
    up = LearnedUpsampling(2).double()
    x = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(up, x)
    up(x).square().sum().backward()
    assert up.weight.grad.abs().min() > 0
    with pytest.raises(ValueError, match='factor must be even, got 3'):
        LearnedUpsampling(2, 3)


def test_fitting_moves_no_pixel():
    x = torch.arange(12.).view(1, 1, 3, 4)
    assert torch.equal(fit_map(x, (2, 3)), x[..., :2, :3])
    assert torch.equal(fit_map(x, (2, 2), offset=1), x[..., 1:, 1:3])
    out = fit_map(x, (4, 5))[0, 0]
    assert torch.equal(out[:3, :4], x[0, 0]) and out[3].tolist() == [8, 9, 10, 11, 11]


# ------------------------------------------------------------------------ backbone

@pytest.mark.parametrize('size, fc7', [((64, 64), (2, 2)), ((33, 65), (2, 3)),
                                       ((1, 1), (1, 1))])
@pytest.mark.parametrize('pad', [None, 97, 100])
def test_vgg_maps_halve(size, fc7, pad):
    maps = VGG16FC(pad, WIDTHS, 10).eval()(images(*size))
    sizes = [tuple(m.shape[1:]) for m in maps]
    assert [s[0] for s in sizes] == [6, 8, 10]
    if pad is not None:
        # The map reaches as far behind the image as the padding allows.
        fc7 = tuple(-(-(n + 2 * (pad - 1)) // 32) - 6 for n in size)
        assert sizes == [(c, k * fc7[0], k * fc7[1])
                         for c, k in zip((6, 8, 10), (4, 2, 1))]
    else:
        assert sizes[2][1:] == fc7
        assert all(b == -(-a // 2) for k in (0, 1)
                   for a, b in zip(sizes[k][1:], sizes[k + 1][1:]))


def test_maps_with_pad_begin_where_it_says():
    """With pad 97 at the image: away from the border pool3 and pool4 are the same."""
    torch.manual_seed(0)
    plain = VGG16FC(None, WIDTHS, 10).eval()
    assert VGG16FC(100, WIDTHS).offset == 3 and plain.offset == 0
    padded = VGG16FC(97, WIDTHS, 10).eval()
    padded.load_state_dict(plain.state_dict())
    assert padded.offset == 0
    x = images(320, 320, batch=1)
    for a, b in zip(plain(x)[:2], padded(x)[:2]):
        assert a.shape == b.shape
        torch.testing.assert_close(a[..., 7:-7, 7:-7], b[..., 7:-7, 7:-7])
        assert not torch.allclose(a[..., 0, :], b[..., 0, :])


def test_torchvision_names_and_linear_layers():
    backbone = VGG16FC(None, WIDTHS, 5, dropout_ratio=0).eval()
    state = {k: torch.randn_like(v) for k, v in backbone.features.state_dict().items()}
    state = {f'features.{k}': v for k, v in state.items()}
    state.update({
        f'classifier.{k}.{kind}': torch.randn(*shape) for k, out, fan_in in (
            (0, 5, 8 * 49), (3, 5, 5), (6, 7, 5))
        for kind, shape in (('weight', (out, fan_in)), ('bias', (out, )))})
    want = state['classifier.0.weight'].clone()
    load_state_dict(backbone, state, strict=False)
    assert torch.equal(backbone.fc6.weight.flatten(1), want)
    pool5 = torch.randn(1, 8, 7, 7)
    torch.testing.assert_close(
        backbone.fc6(pool5)[0, :, 3, 3],
        F.linear(pool5.flatten(1), want, backbone.fc6.bias)[0], atol=1e-4, rtol=1e-4)
    own = backbone.state_dict()
    VGG16FC(None, WIDTHS, 5).load_state_dict(own)  # its own names, strictly


def test_published_sizes():
    with torch.device('meta'):
        backbone, head = VGG16FC(), FCNSkipHead()
    assert sum(p.numel() for p in backbone.parameters()) == 134260544
    assert [m.in_channels for m in head.skips] == [512, 256]
    assert head.conv_seg.in_channels == 4096
    assert backbone.out_channels == (256, 512, 4096)


@pytest.mark.parametrize('kwargs, text', [
    (dict(pad=50), 'pad must be at least 97, got 50'),
    (dict(channels=(4, 4)), 'channels must be those of 5 stages')])
def test_backbone_errors(kwargs, text):
    with pytest.raises(ValueError, match=text):
        VGG16FC(**kwargs)


# ---------------------------------------------------------------------------- head

def maps_of(*size, channels=(6, 8, 10), seed=0):
    """Maps of halving sizes, the finest one of the given size."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, c, -(-size[0] // 2**k), -(-size[1] // 2**k),
                        generator=generator) for k, c in enumerate(channels)]


def test_it_starts_as_the_network_without_skips():
    """Skips are 0 and x2 bilinear: the scores of fc7 alone go up."""
    head = FCNSkipHead((6, 8, 10), 3)
    maps = maps_of(8, 12)
    up = bilinear_upsampling(bilinear_upsampling(head.conv_seg(maps[2]), 2), 2)
    torch.testing.assert_close(head(maps), bilinear_upsampling(up, 8))


def test_by_hand():
    """8s: x8(up2(up2(fc7 scores) + pool4 scores) + pool3 scores)."""
    head = FCNSkipHead((6, 8, 10), 3)
    for score in head.skips:
        torch.nn.init.normal_(score.weight)
    a, b, c = maps_of(8, 12)
    fused = bilinear_upsampling(head.conv_seg(c), 2) + head.skips[0](b)
    fused = bilinear_upsampling(fused, 2) + head.skips[1](a)
    torch.testing.assert_close(head([a, b, c]), bilinear_upsampling(fused, 8))


def test_at_once_scales_the_finer_scores():
    head = FCNSkipHead((6, 8, 10), 3, at_once=True)
    assert head.scales == [1, .01, pytest.approx(.0001)]
    for score in head.skips:
        torch.nn.init.normal_(score.weight)
    a, b, c = maps_of(8, 12)
    fused = bilinear_upsampling(head.conv_seg(c), 2) + .01 * head.skips[0](b)
    fused = bilinear_upsampling(fused, 2) + .0001 * head.skips[1](a)
    torch.testing.assert_close(head([a, b, c]), bilinear_upsampling(fused, 8))


@pytest.mark.parametrize('in_channels, in_index, stride', [
    (10, 2, 32), ((10, ), (2, ), 32), ((8, 10), (1, 2), 16), ((6, 8, 10), (0, 1, 2), 8)])
def test_32s_16s_and_8s(in_channels, in_index, stride):
    head = dict(HEAD, in_channels=in_channels, in_index=in_index, stride=stride)
    model = segmentor(head=head).eval()
    assert model(images(64, 96), mode='tensor').shape == (2, 3, 64, 96)
    (found, ) = model(images(37, 51, batch=1), samples(37, 51, batch=1), mode='predict')
    assert found.seg_logits.shape == (37, 51)


def test_stages_of_training_fit_on_each_other():
    """FCN-8s from FCN-16s from FCN-32s: what both have is loaded, results stay."""
    coarse = segmentor(head=dict(HEAD, in_channels=10, in_index=2, stride=32)).eval()
    fine = segmentor(seed=1).eval()
    found = fine.load_state_dict(coarse.state_dict(), strict=False)
    assert not found.unexpected_keys
    assert all('skips' in key or 'ups' in key for key in found.missing_keys)
    x = images(64, 64)
    a, b = coarse(x, mode='tensor'), fine(x, mode='tensor')
    # Bilinear in one step and in three are not the same, but near.
    assert (a - b).abs().mean() < .1 * a.abs().mean()
    middle = segmentor(head=dict(HEAD, in_channels=(8, 10), in_index=(1, 2), stride=16))
    found = fine.load_state_dict(middle.state_dict(), strict=False)
    assert sorted(found.missing_keys) == [
        'decode_head.skips.1.bias', 'decode_head.skips.1.weight',
        'decode_head.ups.1.weight']


# ----------------------------------------------------------------------- alignment

@pytest.mark.parametrize('pad', [None, 100])
@pytest.mark.parametrize('size', [(64, 64), (70, 91), (95, 33)])
def test_scores_are_aligned_with_the_image(pad, size):
    """The score at a pixel is that of the finest map's cell under it.

    Scores are made the cells' own columns and rows; all pixels of a cell's centre get
    its number, without a shift, for any size and padding.
    """
    backbone = VGG16FC(pad, WIDTHS, 10).eval()
    finest, *coarser = backbone(images(*size, batch=1))
    head = FCNSkipHead((6, 8, 10), 2, offset=backbone.offset)
    for layer in (head.conv_seg, head.skips[0]):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    rows, cols = (torch.arange(float(n)) for n in finest.shape[2:])
    x = torch.zeros_like(finest)
    x[0, 0], x[0, 1] = rows[:, None], cols[None]
    head.skips[1].weight.data[:, :2, 0, 0] = torch.eye(2)
    meta = [dict(img_shape=size, pad_shape=size)]
    got = head.predict_by_feat(head([x, *coarser]), meta)[0]
    assert got.shape == (2, *size)
    for axis, n in enumerate(size):
        # Pixel p is at (p + offset + 1/2) / 8 - 1/2 cells.
        place = (torch.arange(n) + backbone.offset + .5) / 8 - .5
        wanted = place.clamp(0, finest.shape[2 + axis] - 1)
        line = got[axis][:, 5] if axis == 0 else got[axis][5]
        torch.testing.assert_close(line, wanted, atol=1e-4, rtol=0)


def test_a_shifted_image_gives_shifted_scores():
    """By 32 pixels, away from the border."""
    model = segmentor().eval()
    for p in model.decode_head.skips.parameters():
        torch.nn.init.normal_(p)
    # Little context: fc6 reads one cell.
    middle = torch.zeros_like(model.backbone.fc6.weight)
    middle[..., 3, 3] = model.backbone.fc6.weight[..., 3, 3]
    model.backbone.fc6.weight.data.copy_(middle)
    x = images(512, 512, batch=1)
    a = model(x, mode='tensor')
    b = model(x[..., 32:, 32:], mode='tensor')
    inner = slice(192, 288)
    torch.testing.assert_close(a[..., 224:320, 224:320], b[..., inner, inner])


@pytest.mark.parametrize('size', [(64, 64), (37, 51), (5, 7), (1, 1)])
@pytest.mark.parametrize('backbone, head', [
    (VGG, HEAD), (dict(VGG, pad=100), dict(HEAD, offset=3)),
    (dict(RESNET, out_indices=(1, 2, 3)), dict(HEAD, in_channels=(8, 16, 32))),
    (dict(RESNET, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1),
          out_indices=(0, 1, 2)), dict(HEAD, in_channels=(4, 8, 16), stride=4))])
def test_any_backbone_and_size(backbone, head, size):
    model = segmentor(backbone, head).eval()
    (found, ) = model(images(*size, batch=1), samples(*size, batch=1), mode='predict')
    assert found.seg_logits.shape == size and found.seg_logits.data.isfinite().all()


@pytest.mark.parametrize('backbone, head', [
    (VGG, HEAD), (dict(RESNET, out_indices=(1, 2, 3)),
                  dict(HEAD, in_channels=(8, 16, 32), dropout_ratio=.1))])
def test_training_reaches_every_weight(backbone, head):
    model = segmentor(backbone, head).train()
    losses = model(images(40, 48), samples(40, 48), mode='loss')
    losses['decode.loss_ce'].backward()
    assert losses['decode.loss_ce'].isfinite()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert all(score.weight.grad.abs().sum() > 0 for score in model.decode_head.skips)


def test_labels_of_another_size_are_left_to_upstream():
    head = FCNSkipHead((6, 8, 10), 3)
    scores = head(maps_of(8, 8))
    assert head.at_size(scores, (16, 16)) is scores
    assert head.at_size(scores, (60, 40)).shape[2:] == (60, 40)
    losses = head.loss_by_feat(scores, samples(16, 16))
    assert losses['loss_ce'].isfinite()


def test_sliding_windows():
    data = images(40, 56, batch=1)
    whole = segmentor().eval()
    slide = segmentor(test_cfg=dict(mode='slide', crop_size=(40, 56),
                                    stride=(32, 32))).eval()
    got, wanted = (m(data, samples(40, 56, batch=1), mode='predict')[0].seg_logits.data
                   for m in (slide, whole))
    torch.testing.assert_close(got, wanted)
    slide.test_cfg.update(crop_size=(30, 30), stride=(20, 20))
    (parts, ) = slide(data, samples(40, 56, batch=1), mode='predict')
    assert parts.seg_logits.shape == (40, 56)


def test_autocast_and_determinism():
    model = segmentor().eval()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        runs = [model(1e3 * images(40, 48), mode='tensor') for _ in range(2)]
    assert torch.equal(*runs) and runs[0].isfinite().all()


def test_an_empty_batch():
    head = FCNSkipHead((6, 8, 10), 3)
    assert head([m[:0] for m in maps_of(8, 8)]).shape == (0, 3, 64, 64)


@pytest.mark.parametrize('kwargs, text', [
    (dict(in_channels=(6, 8)),
     r'in_channels \(6, 8\) and in_index \(0, 1, 2\) must name the same maps'),
    (dict(stride=3), 'stride must be even or 1, got 3'),
    (dict(stride=0), 'stride must be at least 1'),
    (dict(offset=-1), 'offset must be at least 0')])
def test_option_errors(kwargs, text):
    with pytest.raises(ValueError, match=text):
        FCNSkipHead(**{**dict(in_channels=(6, 8, 10), num_classes=3), **kwargs})


def test_maps_that_do_not_halve():
    head = FCNSkipHead((6, 8, 10), 3)
    a, b, c = maps_of(8, 8)
    with pytest.raises(ValueError, match=r'maps of \(4, 4\) and \(4, 4\), one after'):
        head([a, b, c.repeat(1, 1, 2, 2)])
