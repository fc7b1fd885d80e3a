"""Hypercolumn, EmbeddingNet, ColorEmbedding, EmbeddingLoss, filter, mean field."""

import pytest
import torch
from mmengine.registry import MODELS
from torch.nn import functional

from segaware_mm.ops.local_attention import (
    embedding_loss,
    local_attention_mask,
    masked_mean,
)
from segaware_mm.ops.mean_field import segaware_mean_field
from segaware_mm.segaware.embedding_loss import EmbeddingLoss
from segaware_mm.segaware.embedding_net import ColorEmbedding, EmbeddingNet
from segaware_mm.segaware.hypercolumn import Hypercolumn
from segaware_mm.segaware.seg_aware_filter import SegAwareFilter
from segaware_mm.segaware.seg_aware_mean_field import SegAwareMeanField
from segaware_mm.segaware.vgg_taps import VGG16Taps

torch.manual_seed(0)


def test_hypercolumn_is_the_convolution_of_the_concatenation():
    maps = [torch.randn(2, c, *s) for c, s in ((3, (9, 7)), (5, (5, 4)), (2, (3, 2)))]
    brick = Hypercolumn((3, 5, 2), 6)
    wide = torch.cat([functional.interpolate(x, (9, 7), mode='bilinear',
                                             align_corners=True) for x in maps], 1)
    torch.testing.assert_close(brick(maps, (9, 7)), brick.conv(wide))
    with pytest.raises(ValueError, match=r'in_channels must be .* \(3, 5\)'):
        brick(maps[:2], (9, 7))


def test_the_published_network_has_451_channels_and_torchvisions_names():
    net = EmbeddingNet()
    assert net.hypercolumn.conv.weight.shape == (64, 451, 1, 1)
    names = [k for k in net.backbone.state_dict() if k.endswith('weight')]
    assert names == [f'features.{k}.weight' for k in (0, 2, 5, 7, 10, 12, 14)]
    assert [x.shape[1:] for x in net.backbone(torch.randn(1, 3, 33, 41))] == [
        (64, 33, 41), (128, 17, 21), (256, 9, 11)]
    assert net(torch.randn(1, 3, 33, 41)).shape == (1, 64, 33, 41)


def test_any_backbone_and_stride():
    net = EmbeddingNet(
        dict(type='mmseg.ResNet', depth=18, num_stages=3, strides=(1, 2, 2),
             dilations=(1, 1, 1), out_indices=(0, 1, 2)), (64, 256), (0, 2), 16, stride=4)
    out = net.eval()(torch.randn(1, 3, 37, 50))
    assert out.shape == (1, 16, 10, 13)
    out.sum().backward()
    assert net.backbone.conv1.weight.grad.any()


def test_vgg_checks_its_arguments():
    with pytest.raises(ValueError, match='num_stages must be 1..5'):
        VGG16Taps(6)
    with pytest.raises(ValueError, match='pool_size must be 2 or 3'):
        VGG16Taps(pool_size=4)
    assert VGG16Taps(2, pool_size=2)(torch.randn(1, 3, 8, 8))[1].shape[2:] == (4, 4)


def test_colours_and_places():
    image = torch.randn(2, 3, 6, 8)
    assert torch.equal(ColorEmbedding(.5)(image), image * .5)
    # Every second pixel where corners allow it.
    torch.testing.assert_close(ColorEmbedding(1., stride=2)(image[..., :5, :7]),
                               image[..., :5:2, :7:2])
    out = ColorEmbedding(1., xy_scale=.1, stride=2)(image)
    assert out.shape == (2, 5, 3, 4)
    torch.testing.assert_close(out[0, 3, 0], torch.tensor([0., .2, .4, .6]))
    torch.testing.assert_close(out[1, 4, :, 2], torch.tensor([0., .2, .4]))


def test_the_loss_is_the_operator_times_its_weight():
    embedding, labels = torch.randn(2, 4, 7, 6), torch.randint(0, 3, (2, 7, 6))
    labels[:, 0] = 7
    loss = MODELS.build(dict(type='EmbeddingLoss', power=2, loss_weight=.5))
    wanted = .5 * embedding_loss(embedding, labels, power=2, ignore_index=7)
    torch.testing.assert_close(loss(embedding, labels, ignore_index=7), wanted)
    assert EmbeddingLoss().loss_name == 'loss_embed'


@pytest.mark.parametrize('power', [1, 2])
def test_pairs_of_different_labels_may_weigh_more(power):
    embedding, labels = .2 * torch.randn(2, 4, 7, 6), torch.randint(0, 3, (2, 7, 6))
    embedding.requires_grad_()
    first, twice, third = (EmbeddingLoss(power=power, other_weight=w)(embedding, labels)
                           for w in (1., 2., 3.))
    torch.testing.assert_close(third - twice, twice - first)
    same = EmbeddingLoss(power=power, other_weight=0.)(embedding, labels)
    torch.testing.assert_close(same + (twice - first), first)
    assert twice - first > .1
    third.backward()
    assert torch.isfinite(embedding.grad).all()


def test_a_cascade_is_a_masked_mean_repeated():
    logits, embedding = torch.randn(1, 3, 8, 9), torch.randn(1, 2, 8, 9)
    brick = SegAwareFilter(3, 2, passes=2, hardness=.7)
    mask = local_attention_mask(embedding, 3, 2, hardness=.7, border='drop')
    wanted = masked_mean(masked_mean(logits, mask, 2), mask, 2)
    torch.testing.assert_close(brick(logits, embedding), wanted)
    brick(logits, embedding).square().sum().backward()
    assert brick.hardness.grad.any()
    assert not SegAwareFilter(learn=False).hardness.requires_grad
    with pytest.raises(ValueError, match='passes must be at least 1'):
        SegAwareFilter(passes=0)


def test_a_filter_of_the_test_network_does_nothing_in_training():
    logits, embedding = torch.randn(1, 3, 8, 9), torch.randn(1, 2, 8, 9)
    brick = SegAwareFilter(3, hardness=.7, skip_in_training=True)
    assert brick(logits, embedding) is logits and not brick.hardness.requires_grad
    wanted = SegAwareFilter(3, hardness=.7)(logits, embedding)
    torch.testing.assert_close(brick.eval()(logits, embedding), wanted)


def test_mean_field_starts_at_the_released_values_and_learns_all():
    unary, embedding = torch.randn(2, 3, 8, 9), torch.randn(2, 2, 8, 9) * .01
    brick = SegAwareMeanField(3, bilateral_kernel=3, bilateral_dilation=2)
    wanted = segaware_mean_field(unary, embedding, 2, 3, 2)
    out = brick(unary, embedding)
    torch.testing.assert_close(out, wanted)
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in brick.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


@pytest.mark.parametrize('name', [
    'ColorEmbedding', 'EmbeddingLoss', 'EmbeddingNet', 'Hypercolumn', 'SegAwareFilter',
    'SegAwareMeanField', 'VGG16Taps'])
def test_bricks_are_registered_for_both_toolboxes(name):
    assert MODELS.get(name) is not None
