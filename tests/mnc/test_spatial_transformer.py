"""The layer: identity at the start, learning, its localisation network, formats."""

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import nn

from segaware_mm.mnc.spatial_transformer import SpatialTransformer
from segaware_mm.ops.spatial_transforms import TRANSFORMS

CHANNELS = 3


def built(transform='affine', **options):
    torch.manual_seed(0)
    return MODELS.build(dict(type='SpatialTransformer', in_channels=CHANNELS,
                             transform=transform, **options))


def picture(batch=2, size=(9, 12)):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, CHANNELS, *size, generator=generator)


@pytest.mark.parametrize('transform', TRANSFORMS)
@pytest.mark.parametrize('align_corners', [False, True])
def test_it_starts_as_the_identity(transform, align_corners):
    layer, x = built(transform, align_corners=align_corners), picture()
    out, params = layer(x, return_parameters=True)
    torch.testing.assert_close(out, x, atol=1e-5, rtol=0)
    assert params.shape == (2, {'affine': 6, 'attention': 3, 'projective': 8,
                                'tps': 32}[transform])
    assert torch.equal(layer(x), out)


@pytest.mark.parametrize('transform', TRANSFORMS)
def test_every_parameter_learns(transform):
    """After a step of the last layer the localisation network learns too."""
    layer, x = built(transform), picture()
    x.requires_grad_()
    for _ in range(2):
        out = layer(x)
        ((out - x.detach().roll(1, 3))**2).sum().backward()
        with torch.no_grad():
            for parameter in layer.fc.parameters():
                parameter -= 1e-4 * parameter.grad
    for name, parameter in layer.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name
    assert x.grad.any()


def test_it_finds_a_shift():
    """A blob that lies 2 pixels to the right of where it should be."""
    y, x = torch.meshgrid(torch.arange(16.), torch.arange(16.), indexing='ij')

    def blob(at):
        return torch.exp(-((x - at)**2 + (y - 8)**2) / 12).expand(1, 1, 16, 16)

    torch.manual_seed(0)
    layer = SpatialTransformer(1, 'attention')
    optimiser = torch.optim.Adam(layer.parameters(), 1e-2)
    first = ((layer(blob(9.)) - blob(7.))**2).sum().item()
    for _ in range(60):
        optimiser.zero_grad()
        loss = ((layer(blob(9.)) - blob(7.))**2).sum()
        loss.backward()
        optimiser.step()
    assert loss.item() < first / 20
    _, params = layer(blob(9.), return_parameters=True)
    assert params[0].tolist() == pytest.approx([1, 2 / 8, 0], abs=.05)


@pytest.mark.parametrize('init', [
    dict(type='Kaiming', layer=['Linear', 'Conv2d']),
    dict(type='Constant', val=1., bias=1., layer='Linear')])
def test_initialising_a_model_keeps_the_identity(init):
    class Model(BaseModule):

        def __init__(self):
            super().__init__(init_cfg=init)
            self.first = built()
            self.second = SpatialTransformer(CHANNELS, 'tps', init_cfg=init)

    model, x = Model(), picture()
    model.init_weights()
    for layer in (model.first, model.second):
        torch.testing.assert_close(layer(x), x, atol=1e-5, rtol=0)


def test_weights_are_loaded_and_kept(tmp_path):
    trained = built()
    nn.init.constant_(trained.fc.bias, .3)
    path = str(tmp_path / 'weights.pth')
    torch.save(trained.state_dict(), path)
    assert set(trained.state_dict()) == {
        *(f'loc_net.{i}.{kind}' for i in (0, 2, 6) for kind in ('weight', 'bias')),
        'fc.weight', 'fc.bias'}
    layer = built(init_cfg=dict(type='Pretrained', checkpoint=path))
    layer.init_weights()
    assert (layer.fc.bias == .3).all()


def test_another_size_and_another_network():
    @MODELS.register_module(name='TestLocalisation', force=True)
    class TestLocalisation(nn.Conv2d):
        pass

    layer = built('projective', output_size=(4, 5), loc_channels=7, loc_net=dict(
        type='TestLocalisation', in_channels=CHANNELS, out_channels=7, kernel_size=3))
    MODELS.module_dict.pop('TestLocalisation')
    out, params = layer(picture(), return_parameters=True)
    assert out.shape == (2, CHANNELS, 4, 5) and params.shape == (2, 8)
    assert built(output_size=6)(picture()).shape == (2, CHANNELS, 6, 6)


@pytest.mark.parametrize('size', [(1, 1), (2, 3), (1, 7)])
def test_small_maps_and_no_maps(size):
    layer = built('tps')
    out = layer(picture(1, size).requires_grad_())
    torch.testing.assert_close(out, picture(1, size), atol=1e-5, rtol=0)
    assert built()(picture(0)).shape == (0, CHANNELS, 9, 12)


def test_mixed_precision_keeps_the_parameters_in_float32():
    layer, x = built(), picture()
    with torch.no_grad():
        layer.fc.bias[2] = .2468  # bfloat16 would say .2471
    with torch.autocast('cpu', torch.bfloat16):
        out, params = layer(x.bfloat16(), return_parameters=True)
    assert out.dtype == torch.bfloat16 and params.dtype == torch.float32
    assert params[0, 2].item() == pytest.approx(.2468, abs=1e-6)
    assert built('tps').bfloat16()(x.bfloat16()).isfinite().all()
    assert built().double()(x.double()).dtype == torch.float64


@pytest.mark.parametrize('options, error, text', [
    (dict(transform='rigid'), ValueError, "transform must be one of 'affine'"),
    (dict(transform='tps', num_control_points=10), ValueError,
     r'num_control_points must be a square \(4, 9, 16, ...\), got 10'),
    (dict(transform='tps', num_control_points=1), ValueError,
     'num_control_points must be at least 4'),
    (dict(output_size=0), ValueError, 'output_size must be at least 1'),
    (dict(loc_channels=0), ValueError, 'loc_channels must be at least 1'),
    (dict(in_channels='3'), TypeError, 'in_channels must be an integer')])
def test_errors_of_the_constructor(options, error, text):
    with pytest.raises(error, match=text):
        SpatialTransformer(**{'in_channels': CHANNELS, **options})


def test_errors_of_a_call():
    with pytest.raises(ValueError, match=r'x must have shape \(B, C, H, W\)'):
        built()(torch.rand(3, 4, 5))
    with pytest.raises(ValueError, match='x has 2 channels.*in_channels=3'):
        built()(torch.rand(1, 2, 4, 5))
    layer = built()
    layer.loc_net = nn.Conv2d(CHANNELS, 8, 1)
    with pytest.raises(ValueError, match=r'loc_net returned \(2, 8\); with loc_channels='
                       r'32 it must be \(2, 32\)'):
        layer(picture())
