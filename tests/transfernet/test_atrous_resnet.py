"""A finer ResNet contains the coarse one."""

import pytest
import torch
from torch import nn

pytest.importorskip('mmseg')

from mmseg.models.backbones import ResNet  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402

from segaware_mm.transfernet.atrous_resnet import AtrousResNet  # noqa: E402


def settled(network: nn.Module) -> nn.Module:
    """Weights and statistics from a seed, no two channels alike."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
        elif isinstance(part, nn.BatchNorm2d):
            for one in (part.weight, part.running_var):
                nn.init.uniform_(one, .5, 1.5)
            for one in (part.bias, part.running_mean):
                nn.init.normal_(one)
    return evaluated(network)


def evaluated(network: nn.Module) -> nn.Module:
    """The network, in double precision and evaluation mode."""
    network.double().train(False)  # returns nothing, as mmseg's ResNet has it
    return network


@pytest.mark.parametrize('options', [
    dict(depth=18), dict(depth=50, style='pytorch'), dict(depth=50, style='caffe'),
    dict(depth=18, deep_stem=True), dict(depth=18, num_stages=3, strides=(1, 2, 2),
                                         dilations=(1, 1, 1), out_indices=(0, 2))])
@pytest.mark.parametrize('output_stride', [4, 8, 16, 32])
@torch.no_grad()
def test_every_second_position_is_that_of_the_trained_network(options, output_stride):
    options = dict(base_channels=8, **options)
    coarse = settled(ResNet(**options))
    options = {k: v for k, v in options.items() if k not in ('strides', 'dilations')}
    fine = evaluated(AtrousResNet(output_stride, **options))
    fine.load_state_dict(coarse.state_dict())
    image = torch.randn(1, 3, 72, 136, dtype=torch.float64)  # 136 / 16 is odd
    for k, wanted, found in zip(fine.out_indices, coarse(image), fine(image)):
        stride = 4 * 2**k
        step = max(1, stride // output_stride)
        assert found.shape[3] == -(-136 // min(stride, output_stride))
        torch.testing.assert_close(found[:, :, ::step, ::step], wanted)


@torch.no_grad()
def test_dilations_of_upstream_are_another_thing():
    """Why this class is there; if it fails, upstream's option will do."""
    options = dict(depth=18, base_channels=8, num_stages=3, out_indices=(2, ))
    coarse = settled(ResNet(strides=(1, 2, 2), dilations=(1, 1, 1), **options))
    image = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    for contract in (False, True):
        fine = evaluated(ResNet(strides=(1, 2, 1), dilations=(1, 1, 2),
                                contract_dilation=contract, **options))
        fine.load_state_dict(coarse.state_dict())
        assert (fine(image)[0][:, :, ::2, ::2] - coarse(image)[0]).abs().max() > .1


@pytest.mark.parametrize('options, word', [
    (dict(output_stride=6), 'output_stride is 6'),
    (dict(output_stride=2), 'output_stride'),
    (dict(dilations=(1, 1, 2, 4)), 'dilations'), (dict(avg_down=True), 'avg_down'),
    (dict(dcn=dict(type='DCN')), 'dcn')])
def test_what_cannot_be_is_told(options, word):
    with pytest.raises(ValueError, match=word):
        MODELS.build(dict(type='AtrousResNet', depth=18, **options))
