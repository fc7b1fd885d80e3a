"""SegAwareConv2d: plain weights, safe modes, conv_cfg, conversion, errors."""

import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.registry import MODELS
from torch import nn
from torch.nn import functional

from segaware_mm.ops.local_attention import local_attention_mask, masked_conv2d
from segaware_mm.segaware.convert import convert_to_segaware
from segaware_mm.segaware.guide import Guide, bind_guide
from segaware_mm.segaware.seg_aware_conv import SegAwareConv2d

SAFE = [('none', 'zero'), ('none', 'drop'), ('mean', 'zero')]


def inputs(batch=2, channels=4, size=(7, 9), dims=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, channels, *size, generator=generator),
            torch.randn(batch, dims, *size, generator=generator))


@pytest.mark.parametrize('stride,dilation,groups', [(1, 1, 1), (2, 1, 2), (1, 3, 1)])
def test_it_is_the_masked_convolution(stride, dilation, groups):
    x, embedding = inputs()
    layer = SegAwareConv2d(4, 6, 3, stride, dilation, dilation, groups, hardness=.7,
                           norm='l2', border='drop', normalize='sum')
    mask = local_attention_mask(embedding, 3, dilation, stride, 'l2', .7, 'drop',
                                'sum')
    wanted = masked_conv2d(x, layer.weight, mask, layer.bias, stride, dilation, groups,
                           'reference')
    torch.testing.assert_close(layer(x, embedding), wanted)


@pytest.mark.parametrize('normalize,border', SAFE[:1] + SAFE[2:])
def test_hardness_zero_is_the_plain_convolution_bit_for_bit(normalize, border):
    x, embedding = inputs()
    plain = nn.Conv2d(4, 6, 3, 2, 2, 2)
    layer = SegAwareConv2d(4, 6, 3, 2, 2, 2, hardness=0., normalize=normalize,
                           border=border)
    layer.load_state_dict(plain.state_dict())
    assert torch.equal(layer(x, embedding), plain(x))


def test_an_activation_in_place_may_follow_masks_of_one():
    """ConvModule's default; the result at hardness 0 was a view, and refused it."""
    x, embedding = inputs()
    layer = SegAwareConv2d(4, 6, 3, hardness=0.)
    functional.relu_(layer(x, embedding)).sum().backward()
    assert layer.weight.grad.abs().sum() > 0
    grads = []
    for impl in ('auto', 'reference'):
        mask = torch.ones(2, 9, 7, 9, requires_grad=True)
        out = masked_conv2d(x, layer.weight, mask, layer.bias, impl=impl)
        functional.leaky_relu(out, .1, inplace=impl == 'auto').sum().backward()
        grads.append(mask.grad)
    torch.testing.assert_close(*grads)


def test_sum_divides_by_the_window_at_hardness_zero():
    """The trap of the published equation: trained weights shrink ninefold."""
    x, embedding = inputs()
    layer = SegAwareConv2d(4, 6, 3, bias=False, hardness=0., normalize='sum')
    wanted = functional.conv2d(x, layer.weight, padding=1) / 9
    torch.testing.assert_close(layer(x, embedding), wanted)


def test_plain_weights_load_and_the_hardness_keeps_its_value():
    plain, layer = nn.Conv2d(4, 6, 3), SegAwareConv2d(4, 6, 3, hardness=.3)
    assert set(layer.state_dict()) - set(plain.state_dict()) == {'hardness'}
    layer.load_state_dict(plain.state_dict())
    assert torch.equal(layer.weight, plain.weight)
    assert layer.hardness.item() == pytest.approx(.3)
    with pytest.raises(RuntimeError, match='bias'):
        layer.load_state_dict({'weight': plain.weight})


def test_every_part_learns():
    x, embedding = inputs()
    layer = SegAwareConv2d(4, 6, 3)
    embedding.requires_grad_()
    layer(x, embedding).square().sum().backward()
    for value in (layer.weight, layer.bias, layer.hardness, embedding):
        assert value.grad.isfinite().all() and value.grad.any()


def test_one_by_one_needs_no_embedding():
    layer = SegAwareConv2d(4, 6, 1)
    assert dict(layer.named_parameters()).keys() == {'weight', 'bias'}
    x, _ = inputs()
    assert torch.equal(layer(x), functional.conv2d(x, layer.weight, layer.bias))


def test_as_conv_cfg_of_an_upstream_module():
    module = ConvModule(4, 6, 3, padding=2, dilation=2,
                        conv_cfg=dict(type='SegAwareConv2d', hardness=.2),
                        norm_cfg=dict(type='BN'))
    assert isinstance(module.conv, SegAwareConv2d)
    guide = Guide()
    assert bind_guide(module, guide) == 1
    x, embedding = inputs()
    with guide.show(embedding):
        assert module(x).shape == (2, 6, 7, 9)
    with pytest.raises(RuntimeError, match='SegAwareConv2d has no embedding'):
        module(x)


def test_it_is_registered_for_both_toolboxes():
    assert MODELS.get('SegAwareConv2d') is SegAwareConv2d


def small_net():
    return nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(),
                         nn.Conv2d(6, 6, 1), nn.Conv2d(6, 5, 3, padding=2, dilation=2),
                         nn.Conv2d(5, 5, 3)).eval()


def test_convert_replaces_what_can_be_and_shares_the_weights():
    net = small_net()
    before = {name: value for name, value in net.named_parameters()}
    x, embedding = inputs()
    wanted = net(x)
    assert convert_to_segaware(net, hardness=0.) == ['0', '4']
    for name, value in before.items():
        assert dict(net.named_parameters())[name] is value
    guide = Guide()
    assert bind_guide(net, guide) == 2
    with guide.show(embedding):
        assert torch.equal(net(x), wanted)


def test_a_shared_convolution_stays_shared():
    """It was replaced at its first place alone."""
    conv = nn.Conv2d(3, 3, 3, padding=1)
    net = nn.ModuleDict(dict(a=nn.Sequential(conv, conv), b=conv))
    assert convert_to_segaware(net) == ['a.0']
    assert isinstance(net['b'], SegAwareConv2d)
    assert net['a'][0] is net['a'][1] is net['b']
    conv = nn.Conv2d(3, 3, 3, padding=1)
    net = nn.ModuleDict(dict(a=conv, b=conv))
    convert_to_segaware(net, select=['b'])
    assert net['a'] is net['b'] and isinstance(net['a'], SegAwareConv2d)


def test_layers_that_cannot_be_replaced_as_they_are_say_why():
    with pytest.raises(ValueError, match='select chose no convolution'):
        convert_to_segaware(nn.Sequential(nn.utils.spectral_norm(
            nn.Conv2d(3, 3, 3, padding=1))))
    net = nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 3, 3, padding=1)))
    with pytest.raises(ValueError, match='0 cannot become segmentation-aware: its weight '
                       'is computed'):
        convert_to_segaware(net, select=['0'])
    net = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))
    net[0].register_forward_hook(lambda *args: None)
    with pytest.raises(ValueError, match='it has forward hooks'):
        convert_to_segaware(net, select=['0'])


def test_mmcvs_convolutions_are_replaced():
    cnn = pytest.importorskip('mmcv.cnn')
    net = nn.Sequential(cnn.Conv2d(3, 3, 3, padding=1))
    assert convert_to_segaware(net) == ['0']


def test_mmcvs_folded_batch_norms_keep_the_masks():
    """They call ``_conv_forward``, which was that of the plain layer."""
    cnn = pytest.importorskip('mmcv.cnn')
    block = cnn.ConvModule(3, 4, 3, padding=1, norm_cfg=dict(type='BN'), act_cfg=None,
                           conv_cfg=dict(type='SegAwareConv2d', hardness=1.)).eval()
    block.conv.guide = guide = Guide()
    x = torch.randn(2, 3, 6, 7)
    with torch.no_grad(), guide.show(torch.randn(2, 4, 6, 7)):
        wanted = block(x)
        block.turn_on_efficient_conv_bn_eval(True)
        torch.testing.assert_close(block(x), wanted)


def test_a_frozen_convolution_has_a_frozen_hardness():
    """Data parallel training waited for its gradient: upstream freezes stages
    again at every ``train()``."""
    net = small_net()
    net[0].requires_grad_(False)
    convert_to_segaware(net)
    assert not net[0].hardness.requires_grad and net[4].hardness.requires_grad


def test_convert_by_name_and_by_function():
    assert convert_to_segaware(small_net(), select=['4']) == ['4']
    chosen = convert_to_segaware(small_net(), lambda name, conv: conv.out_channels == 6
                                 and conv.kernel_size == (3, 3))
    assert chosen == ['0']
    with pytest.raises(ValueError, match="select names '7'"):
        convert_to_segaware(small_net(), select=['7'])
    with pytest.raises(ValueError, match=r'5 cannot become .* padding is \(0, 0\)'):
        convert_to_segaware(small_net(), select=['5'])
    with pytest.raises(ValueError, match='select chose no convolution'):
        convert_to_segaware(nn.Sequential(nn.Conv2d(3, 3, 1)))
    with pytest.raises(TypeError, match='itself a convolution'):
        convert_to_segaware(nn.Conv2d(3, 3, 3, padding=1))


@pytest.mark.parametrize('wrong,text', [
    (dict(kernel_size=2), 'kernel_size must be odd, got 2'),
    (dict(kernel_size=(3, 5)), 'kernel_size must be one integer for both axes'),
    (dict(kernel_size=3, padding=0), "padding must be 1 or 'same'"),
    (dict(kernel_size=3, padding=0, padding_mode='reflect'),
     "padding_mode must be 'zeros'"),
    (dict(kernel_size=3, impl='tapp'), "impl must be one of 'auto'"),
    (dict(kernel_size=3, normalize='max'), 'normalize must be one of'),
    (dict(kernel_size=3, stride=(1, 2)), 'stride must be one integer'),
])
def test_errors_name_the_argument(wrong, text):
    with pytest.raises(ValueError, match=text):
        SegAwareConv2d(4, 6, **wrong)


def test_an_embedding_of_another_size_is_named():
    x, embedding = inputs()
    with pytest.raises(ValueError, match=r'must be \(2, E, 7, 9\)'):
        SegAwareConv2d(4, 6, 3)(x, embedding[..., 1:])


@pytest.mark.parametrize('scale', [1., 1e4])
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_keeps_masks_wide_and_results_finite(scale, dtype):
    x, embedding = inputs()
    embedding = (embedding * scale).to(dtype)
    layer = SegAwareConv2d(4, 6, 3, hardness=.3)
    with torch.autocast('cpu', torch.bfloat16):
        out = layer(x, embedding)
    assert out.dtype == torch.bfloat16 and out.isfinite().all()
    mask = local_attention_mask(embedding, 3, hardness=.3)
    assert mask.dtype == torch.float32

    def with_mask(mask):
        narrow = [t.bfloat16() for t in (x, layer.weight, layer.bias)]
        return masked_conv2d(narrow[0], narrow[1], mask, narrow[2])

    assert torch.equal(out, with_mask(mask))
    if scale == 1:
        assert not torch.equal(out, with_mask(mask.bfloat16().float()))
