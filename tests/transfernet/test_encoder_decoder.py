"""Encoders that remember switches, and the decoder that uses them."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import nn
from torch.autograd import gradcheck

import segaware_mm  # noqa: F401  registers the parts
from segaware_mm.ops.switch_pooling import unpool
from segaware_mm.transfernet.switched_backbone import energy_switches
from segaware_mm.transfernet.switched_maps import SwitchedMaps
from segaware_mm.transfernet.unpool_decoder import DECONVNET, UnpoolDecoder
from segaware_mm.transfernet.vgg16_switch import VGG16Switch

NARROW = (4, 6, 8, 8, 10)
RESNET = dict(type='mmseg.ResNet', depth=18, base_channels=4, stem_channels=4,
              out_indices=(0, 1, 2, 3), norm_cfg=dict(type='BN'))


def image(*size, batch=2, seed=0):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def built(cfg, seed=0):
    torch.manual_seed(seed)
    model = MODELS.build(cfg)
    model.init_weights()
    return model


def small_decoder(encoder_channels=NARROW, levels=4, in_channels=1, out_channels=2,
                  **kwargs):
    """One convolution a stage; channels at a level are the encoder's."""
    widths = list(encoder_channels[:levels][::-1]) + [5]
    return UnpoolDecoder(in_channels, out_channels, [(w, ) for w in widths], **kwargs)


# ------------------------------------------------------------------- VGG16Switch

@pytest.mark.parametrize('num_pools, side', [(4, 4), (5, 2)])
def test_vgg_maps_and_switches(num_pools, side):
    maps = VGG16Switch(num_pools, channels=NARROW)(image(64, 64))
    assert maps.feature.shape == (2, 10, side, side)
    assert [tuple(s.shape) for s in maps.switches] == [
        (2, c, 64 >> k, 64 >> k)
        for k, c in list(enumerate(NARROW, 1))[:num_pools][::-1]]
    assert [s.dtype for s in maps.switches] == [torch.int64] * num_pools
    assert maps.sizes == tuple((64 >> k, 64 >> k) for k in range(num_pools))[::-1]


def test_vgg_equals_the_plain_network():
    """The sequence of torchvision's layers gives the same map."""
    encoder = VGG16Switch(5, channels=NARROW).eval()
    x = image(45, 33)
    torch.testing.assert_close(encoder(x).feature, encoder.features(x), rtol=0, atol=0)


@pytest.mark.parametrize('norm_cfg', [None, dict(type='BN')])
def test_vgg_has_the_names_of_torchvision(norm_cfg):
    """Those of mmcv's VGG, whose layers are torchvision's vgg16 and vgg16_bn."""
    from mmcv.cnn import VGG
    with torch.device('meta'):
        theirs = VGG(16, with_bn=norm_cfg is not None).features
        ours = VGG16Switch(5, frozen=False, norm_cfg=norm_cfg).features
    want = {k: v.shape for k, v in theirs.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == want


def test_vgg_of_four_pools_has_no_pool5():
    with torch.device('meta'):
        encoder = VGG16Switch(4)
    assert len(encoder.features) == 30 and encoder.out_channels == 512
    assert sum(p.numel() for p in encoder.parameters()) == 14714688


def test_frozen_vgg_learns_nothing_and_keeps_statistics():
    encoder = VGG16Switch(4, channels=NARROW, norm_cfg=dict(type='BN')).train()
    maps = encoder(image(32, 32).requires_grad_())
    assert not maps.feature.requires_grad
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not any(m.training for m in encoder.modules())
    assert all(int(v) == 0 for k, v in encoder.state_dict().items()
               if k.endswith('num_batches_tracked'))


def test_trainable_vgg_gets_gradients():
    encoder = VGG16Switch(4, frozen=False, channels=NARROW).train()
    encoder(image(32, 32)).feature.sum().backward()
    assert encoder.features[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize('size', [(1, 1), (33, 47), (5, 2)])
def test_odd_sizes_come_back(size):
    encoder = VGG16Switch(5, channels=NARROW)
    maps = encoder(image(*size))
    out = small_decoder(levels=5)(maps.feature[:, :1], maps)
    assert out.shape == (2, 2, *size) and out.isfinite().all()


def test_floor_mode_needs_a_larger_image():
    encoder = VGG16Switch(5, channels=NARROW, ceil_mode=False)
    assert encoder(image(37, 45)).feature.shape[2:] == (1, 1)
    with pytest.raises(ValueError, match='Use ceil_mode=True, or a larger input'):
        encoder(image(31, 64))


def test_switches_stay_int64_under_autocast():
    encoder, decoder = VGG16Switch(4, channels=NARROW), small_decoder()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        maps = encoder(image(32, 32))
        out = decoder(maps.feature[:, :1], maps)
    assert {s.dtype for s in maps.switches} == {torch.int64}
    assert out.dtype == torch.bfloat16 and out.isfinite().all()


@pytest.mark.parametrize('kwargs, text', [
    (dict(num_pools=3), 'num_pools must be 4 or 5, got 3'),
    (dict(channels=(4, 4)), r'channels must be those of 5 stages, got \(4, 4\)')])
def test_vgg_errors(kwargs, text):
    with pytest.raises(ValueError, match=text):
        VGG16Switch(**kwargs)


# ------------------------------------------------------------------ SwitchedMaps

def test_select_rows():
    maps = VGG16Switch(4, channels=NARROW)(image(32, 32))
    maps = maps._replace(switches=maps.switches[:3] + (None, ))
    some = maps.select([1, 0, 1])
    assert torch.equal(some.feature, maps.feature[[1, 0, 1]])
    assert torch.equal(some.switches[2], maps.switches[2][[1, 0, 1]])
    assert some.switches[3] is None and some.sizes == maps.sizes
    assert maps.select([]).feature.shape[0] == 0
    assert torch.equal(maps.select(torch.tensor([1], dtype=torch.int32)).feature,
                       maps.feature[1:])


@pytest.mark.parametrize('rows, error, text', [
    ([0, 2], ValueError, 'rows are in 0..2; there are 2 images, 0..1'),
    ([-1], ValueError, 'rows are in -1..-1'),
    (torch.tensor([0.]), TypeError, 'rows must be a list of indices of images'),
    (torch.tensor([True, False]), TypeError, 'got a torch.bool tensor')])
def test_select_errors(rows, error, text):
    maps = SwitchedMaps(torch.zeros(2, 1, 1, 1), (None, ), ((2, 2), ))
    with pytest.raises(error, match=text):
        maps.select(rows)


def test_a_plain_tuple_becomes_maps_again():
    maps = VGG16Switch(4, channels=NARROW)(image(32, 32))
    assert SwitchedMaps.of(maps) is maps
    assert SwitchedMaps.of(tuple(maps)) == maps
    with pytest.raises(TypeError, match=r'wanted SwitchedMaps from the backbone '
                       r'\(VGG16Switch, .*got list'):
        SwitchedMaps.of([maps.feature])


def test_select_takes_memory_for_its_rows_alone():
    maps = VGG16Switch(4, channels=NARROW)(image(32, 32, batch=5))
    one = maps.select([3])
    for part, whole in zip((one.feature, *one.switches), (maps.feature, *maps.switches)):
        assert 5 * part.untyped_storage().nbytes() == whole.untyped_storage().nbytes()


def test_repeated_maps_of_an_image_share_its_memory():
    maps = VGG16Switch(4, channels=NARROW)(image(32, 32))
    one = maps.select([1])
    three = one.repeated(3)
    assert three.feature.data_ptr() == one.feature.data_ptr()
    assert three.switches[0].data_ptr() == one.switches[0].data_ptr()
    decoder, copied = small_decoder(), maps.select([1, 1, 1])
    torch.testing.assert_close(decoder(three.feature[:, :1], three),
                               decoder(copied.feature[:, :1], copied))
    with pytest.raises(ValueError, match='of one image; these are of 2. Use select'):
        maps.repeated(3)


# -------------------------------------------------------------- SwitchedBackbone

def test_resnet_levels():
    maps = built(dict(type='SwitchedBackbone', backbone=RESNET))(image(64, 96))
    assert maps.feature.shape == (2, 32, 2, 3)
    assert maps.sizes == ((4, 6), (8, 12), (16, 24), (32, 48), (64, 96))
    assert [s if s is None else tuple(s.shape) for s in maps.switches] == [
        (2, 1, 2, 3), (2, 1, 4, 6), (2, 1, 8, 12), None, None]


def test_switches_are_places_of_largest_energy():
    x = torch.zeros(1, 2, 4, 4)
    x[0, 0, 0, 1], x[0, 1, 0, 0] = 3, -4          # 9 against 16: the first pixel
    x[0, :, 3, 2] = torch.tensor([-2., 2.])       # 8, alone in its window
    x[0, 0, 1, 3] = -1
    assert energy_switches(x).flatten().tolist() == [0, 7, 8, 14]


def test_energy_survives_half_precision():
    x = torch.full((1, 4, 2, 2), 300., dtype=torch.float16)
    x[..., 1, 0] = 301
    assert energy_switches(x).item() == 2


def test_without_switches():
    maps = built(dict(type='SwitchedBackbone', backbone=RESNET,
                      switches='none'))(image(64, 96))
    assert maps.switches == (None, ) * 5 and maps.sizes[-1] == (64, 96)


def test_channel_switches_are_those_of_a_pool():
    encoder = built(dict(type='SwitchedBackbone', backbone=RESNET,
                         switches='channel')).eval()
    maps = encoder(image(64, 96))
    finer = encoder.backbone(image(64, 96))[-2]
    assert maps.switches[0].shape[1] == finer.shape[1] > 1
    wanted = F.max_pool2d(finer, 2, return_indices=True)[1]
    assert torch.equal(maps.switches[0], wanted)
    with pytest.raises(ValueError, match="switches must be one of 'energy', 'channel'"):
        built(dict(type='SwitchedBackbone', backbone=RESNET, switches='pool'))


@pytest.mark.parametrize('backbone', [
    RESNET, dict(type='mmseg.MobileNetV2', widen_factor=.1, out_indices=(1, 2, 4, 6)),
    dict(RESNET, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1),
         out_indices=(0, 1, 2))])
@pytest.mark.parametrize('size', [(64, 64), (45, 77), (1, 1), (2, 3)])
def test_any_backbone_with_a_decoder(backbone, size):
    encoder = built(dict(type='SwitchedBackbone', backbone=backbone)).eval()
    maps = encoder(image(*size))
    stages = [(6, )] * (len(maps.sizes) + 1)
    decoder = UnpoolDecoder(maps.feature.shape[1], 2, stages, upsample='nearest')
    assert decoder(maps.feature, maps).shape == (2, 2, *size)


def test_decoder_may_end_before_the_image():
    encoder = built(dict(type='SwitchedBackbone', backbone=RESNET)).eval()
    maps = encoder(image(64, 64))
    decoder = UnpoolDecoder(32, 7, [(8, )] * 4)
    assert decoder(maps.feature, maps).shape == (2, 7, 16, 16)


def test_frozen_backbone():
    encoder = built(dict(type='SwitchedBackbone', backbone=RESNET, frozen=True)).train()
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    assert not encoder(image(64, 64)).feature.requires_grad
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())


@pytest.mark.parametrize('cfg, text', [
    (dict(finest_stride=3, backbone=RESNET), 'finest_stride must be a power of 2, got 3'),
    (dict(finest_stride=8, backbone=RESNET),
     r'the finest map has \(16, 16\) pixels for an image of \(64, 64\), which is not '
     'stride 8; set finest_stride'),
    (dict(backbone=dict(RESNET, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))),
     r'has maps of \(8, 8\) and \(8, 8\), one after the other; each must be half')])
def test_backbone_errors(cfg, text):
    with pytest.raises(ValueError, match=text):
        built(dict(type='SwitchedBackbone', **cfg)).eval()(image(64, 64))


# ----------------------------------------------------------------- UnpoolDecoder

def test_published_decoder_has_the_published_size():
    with torch.device('meta'):
        decoder = UnpoolDecoder()
    assert sum(p.numel() for p in decoder.parameters()) == 7675202
    assert sum(isinstance(m, nn.ConvTranspose2d) for m in decoder.modules()) == 11
    assert decoder.num_levels == 4


def test_deconvnet_decoder_is_expressible():
    with torch.device('meta'):
        decoder = UnpoolDecoder(512, 21, DECONVNET, norm_cfg=dict(type='BN'))
    assert decoder.num_levels == 5
    convs = [m for m in decoder.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.out_channels for m in convs] == [
        512, 512, 512, 512, 512, 256, 256, 256, 128, 128, 64, 64, 64]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in decoder.modules()) == len(convs)


def test_published_initialisation():
    decoder = small_decoder((32, 32, 32, 32, 32))
    decoder.init_weights()
    weights = torch.cat([m.weight.flatten() for m in decoder.modules()
                         if isinstance(m, nn.ConvTranspose2d)])
    assert weights.std().item() == pytest.approx(.01, rel=.05)
    assert all((m.bias == 0).all() for m in decoder.modules()
               if isinstance(m, nn.ConvTranspose2d))


def test_decoder_by_hand():
    """One level, identity kernels: the score is the unpooled map."""
    decoder = UnpoolDecoder(1, 1, [(1, ), (1, )])
    for layer in [m for m in decoder.modules() if hasattr(m, 'weight')]:
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        layer.weight.data[..., layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = 1
    maps = SwitchedMaps(torch.zeros(1, 3, 2, 2), (torch.tensor([[[[1, 2], [8, 15]]]]), ),
                        ((4, 4), ))
    x = torch.tensor([[[[5., 2], [-3, 9]]]])
    out = decoder(x, maps)
    assert torch.equal(out, unpool(x.relu(), maps.switches[0], (4, 4)))
    assert out[0, 0, 3, 3] == 9 and out.sum() == 16


@pytest.mark.parametrize('batch', [0, 3])
def test_pairs_of_rows(batch):
    """More rows than images; each row is decoded as if alone."""
    encoder, decoder = VGG16Switch(4, channels=NARROW), small_decoder()
    maps = encoder(image(32, 32)).select([1, 0, 1][:batch])
    x = torch.randn(batch, 1, 2, 2)
    out = decoder(x, maps)
    assert out.shape == (batch, 2, 32, 32)
    for k in range(batch):
        alone = decoder(x[k:k + 1], maps.select([k]))
        torch.testing.assert_close(out[k:k + 1], alone)


@pytest.mark.parametrize('upsample', ['bilinear', 'nearest'])
def test_levels_without_switches(upsample):
    maps = SwitchedMaps(torch.zeros(1, 1, 2, 3), (None, ), ((3, 5), ))
    decoder = UnpoolDecoder(1, None, [(), ()], upsample=upsample)
    x = torch.randn(1, 1, 2, 3)
    corners = dict(align_corners=False) if upsample == 'bilinear' else {}
    wanted = nn.functional.interpolate(x, (3, 5), mode=upsample, **corners)
    assert torch.equal(decoder(x, maps), wanted) and decoder.out_channels == 1


def test_gradcheck():
    torch.manual_seed(0)
    decoder = UnpoolDecoder(1, 2, [(2, ), (2, )]).double()
    nn.init.normal_(decoder.stages[0][0].weight)
    nn.init.normal_(decoder.stages[1][0].weight)
    maps = SwitchedMaps(torch.zeros(1, 1, 2, 2), (
        torch.tensor([0, 2, 6, 8] * 2).view(1, 2, 2, 2), ), ((3, 3), ))
    x = torch.randn(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda t: decoder(t, maps), x)


def test_checkpointing_changes_nothing():
    grads = []
    for with_cp in (False, True):
        torch.manual_seed(1)
        decoder = small_decoder(with_cp=with_cp, norm_cfg=dict(type='BN')).train()
        maps = VGG16Switch(4, channels=NARROW)(image(32, 32))
        x = torch.ones(2, 1, 2, 2, requires_grad=True)
        decoder(x, maps).square().mean().backward()
        grads.append([x.grad] + [p.grad for p in decoder.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*grads))


def test_determinism():
    encoder, decoder = VGG16Switch(4, channels=NARROW), small_decoder()
    runs = [decoder(m.feature[:, :1], m) for m in (encoder(image(32, 32)),
                                                   encoder(image(32, 32)))]
    assert torch.equal(*runs)


def test_extreme_input_stays_finite():
    maps = VGG16Switch(4, channels=NARROW)(255 * image(32, 32))
    decoder = small_decoder()
    decoder.init_weights()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert decoder(torch.full((2, 1, 2, 2), 1e30), maps).isfinite().all()


@pytest.mark.parametrize('with_cp', [False, True])
def test_a_map_beyond_float16_learns_in_float16(with_cp):
    """Densified maps are sums of products of features, and float32."""
    maps = VGG16Switch(4, channels=NARROW)(image(32, 32))
    decoder = small_decoder(norm_cfg=dict(type='BN'), with_cp=with_cp)
    decoder.init_weights()
    x = (1e6 * torch.rand(2, 1, 2, 2)).requires_grad_()
    with torch.autocast('cpu', dtype=torch.float16):
        out = decoder(x, maps)
    assert out.dtype == torch.float16 and out.isfinite().all()
    out.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in decoder.parameters())
    first = decoder.stages[0][0].weight
    assert first.grad.any()


@pytest.mark.parametrize('decoder, x, text', [
    (small_decoder(levels=5), torch.zeros(2, 1, 2, 2),
     'the decoder undoes 5 levels, the encoder has 4; give the decoder 5 stages'),
    (small_decoder((4, 6, 8, 9, 10)), torch.zeros(2, 1, 2, 2),
     r'9 channels arrive at level 0 \(0 is the coarsest\), where the encoder has '
     'switches of 8; make the last width of stage 0 in channels 8'),
    (small_decoder(), torch.zeros(2, 3, 2, 2), 'x has shape'),
    (small_decoder(), torch.zeros(3, 1, 2, 2), r'it must be \(2, 1, 2, 2\)')])
def test_decoder_errors(decoder, x, text):
    maps = VGG16Switch(4, channels=NARROW)(image(32, 32))
    with pytest.raises(ValueError, match=text):
        decoder(x, maps)


@pytest.mark.parametrize('kwargs, text', [
    (dict(upsample='cubic'), "upsample must be one of 'bilinear', 'nearest'"),
    (dict(channels=()), 'channels must have at least one stage')])
def test_decoder_option_errors(kwargs, text):
    with pytest.raises(ValueError, match=text):
        UnpoolDecoder(**kwargs)
