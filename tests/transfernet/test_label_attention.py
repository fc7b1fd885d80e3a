"""Attention by labels, soft and hard, and the estimator of its gradient."""

import math

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

import segaware_mm  # noqa: F401  registers the parts
from segaware_mm.ops import densify, position_softmax
from segaware_mm.transfernet.label_attention import LabelAttention
from segaware_mm.transfernet.soft_hard_attention import (
    Attention,
    SoftHardAttention,
    one_position,
)


def rand(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(att_type='flat', seed=0, **kwargs):
    torch.manual_seed(seed)
    model = LabelAttention(**{**dict(
        in_channels=3, num_labels=4, feat_size=(2, 3), embed_channels=9,
        feat_scale=.5, att_type=att_type), **kwargs})
    model.init_weights()
    nn.init.normal_(model.attend_layer.weight)  # maps that differ visibly
    return model


@pytest.fixture(params=['flat', 'conv'])
def att_type(request):
    return request.param


# ------------------------------------------------------------------ LabelAttention


def test_published_sizes():
    """The numbers of weights of the released network."""
    with torch.device('meta'):
        layers = LabelAttention()
    counts = {name: sum(p.numel() for p in child.parameters())
              for name, child in layers.named_children()}
    assert counts == dict(feature_layer=209716224, label_layer=82944, mix=1049600,
                          attend_layer=410000, select=0)
    assert (layers.feat_scale, layers.feat_size) == (.004, (20, 20))
    with torch.device('meta'):
        formula = LabelAttention(mix_layer=False)
    assert formula.mix is None


@pytest.mark.parametrize('mix', [True, False])
def test_the_equation(att_type, mix):
    layers = small(att_type, mix_layer=mix)
    features, labels = rand(3, 3, 2, 3), torch.tensor([2, 0, 3])
    unit = nn.functional.one_hot(labels, 4).float()
    asked = unit @ layers.label_layer.weight.t() + layers.label_layer.bias
    scaled = .5 * features
    if att_type == 'flat':
        joined = layers.feature_layer(scaled.reshape(3, -1)) * asked
        joined = layers.mix(joined).relu() if mix else joined
        e = layers.attend_layer(joined)
    else:
        rows = scaled.flatten(2).transpose(1, 2)  # every position by itself

        def linear(layer, x):
            return x @ layer.weight.flatten(1).t() + layer.bias
        joined = linear(layers.feature_layer, rows) * asked[:, None]
        joined = linear(layers.mix, joined).relu() if mix else joined
        e = linear(layers.attend_layer, joined)[..., 0]
    torch.testing.assert_close(layers(features, labels).flatten(1), e.softmax(1))


def test_labels_and_images_decide(att_type):
    layers = small(att_type)
    features = rand(1, 3, 2, 3).expand(3, -1, -1, -1)
    out = layers(features, torch.tensor([0, 1, 0]))
    assert out.shape == (3, 1, 2, 3)
    torch.testing.assert_close(out[0], out[2])
    assert not torch.allclose(out[0], out[1], atol=.01)
    torch.testing.assert_close(out.sum((2, 3)), torch.ones(3, 1))


def test_one_projection_serves_all_labels(att_type):
    layers = small(att_type)
    features, labels = rand(1, 3, 2, 3), torch.arange(4)
    shared = position_softmax(layers.logits(layers.project(features), labels))
    torch.testing.assert_close(shared, layers(features.expand(4, -1, -1, -1), labels))


def test_conv_takes_any_map_and_forgets_places():
    layers = small('conv')
    features, labels = rand(2, 3, 5, 7), torch.tensor([1, 3])
    out = layers(features, labels)
    turned = layers(features.flip(3), labels)
    torch.testing.assert_close(out.flip(3), turned)
    assert layers(features[..., :1, :1], labels).flatten().tolist() == [1, 1]


def test_positions_outside_get_no_attention(att_type):
    layers = small(att_type)
    valid = torch.tensor([[1, 1, 0], [1, 1, 0]], dtype=torch.bool).view(1, 1, 2, 3)
    out = layers(rand(2, 3, 2, 3), torch.tensor([0, 1]), valid)
    assert (out[..., 2] == 0).all()
    torch.testing.assert_close(out.sum((1, 2, 3)), torch.ones(2))


def test_published_initialisation():
    layers = LabelAttention(in_channels=16, num_labels=30, feat_size=8,
                            embed_channels=64)
    torch.manual_seed(0)
    layers.init_weights()
    assert layers.attend_layer.weight.std().item() == pytest.approx(.01, rel=.1)
    for layer, inputs in ((layers.feature_layer, 1024), (layers.label_layer, 30)):
        bound = math.sqrt(3 / inputs)
        assert .98 * bound < layer.weight.abs().max().item() <= bound
        assert (layer.bias == 0).all()


def test_every_weight_learns_and_autocast_is_finite(att_type):
    layers = small(att_type)
    features, labels = rand(2, 3, 2, 3), torch.tensor([0, 3])
    with torch.autocast('cpu', torch.bfloat16):
        out = layers(features, labels)
        loss = densify(features, out).square().sum()
    assert out.dtype == torch.float32 and out.isfinite().all()
    loss.backward()
    for name, parameter in layers.named_parameters():
        assert parameter.grad.isfinite().all(), name
        # The softmax does not see what is added to all positions.
        if not (att_type == 'conv' and name == 'attend_layer.bias'):
            assert parameter.grad.abs().sum() > 0, name


def test_no_pairs(att_type):
    layers = small(att_type)
    none = torch.zeros(0, dtype=torch.int64)
    assert layers(rand(0, 3, 2, 3), none).shape == (0, 1, 2, 3)


@pytest.mark.parametrize('features, labels, error, text', [
    (torch.rand(2, 3, 4, 4), torch.zeros(2).long(), ValueError,
     r"a map of \(4, 4\); att_type 'flat' has weights for feat_size \(2, 3\)\. "
     "Resize images .*set feat_size, or take att_type 'conv'"),
    (torch.rand(2, 4, 2, 3), torch.zeros(2).long(), ValueError,
     r'features has shape \(2, 4, 2, 3\); with in_channels 3 it must be \(2, 3, 2, 3\)'),
    (torch.rand(2, 3, 2, 3), torch.zeros(1).long(), ValueError,
     'labels has 1 entries for 2 features'),
    (torch.rand(2, 3, 2, 3), torch.zeros(2), TypeError, 'labels must hold integers')])
def test_errors_of_calls(features, labels, error, text):
    with pytest.raises(error, match=text):
        small()(features, labels)


@pytest.mark.parametrize('change, error, text', [
    (dict(att_type='deep'), ValueError, "att_type must be one of 'flat', 'conv'"),
    (dict(mode='firm'), ValueError, "mode must be one of 'soft', 'hard'; got 'firm'"),
    (dict(feat_size=(20, 0)), ValueError, 'feat_size must be at least 1'),
    (dict(num_labels=0), ValueError, 'num_labels must be at least 1'),
    (dict(feat_scale=-1), ValueError, 'feat_scale must be at least 0'),
    (dict(mode='hard', hard=dict(soft_prob=2)), ValueError, 'soft_prob must be in'),
    (dict(hard=dict(eval_mode='mean')), ValueError, "eval_mode must be one of 'soft'")])
def test_errors_of_arguments(change, error, text):
    with pytest.raises(error, match=text):
        MODELS.build(dict(type='LabelAttention', in_channels=3, **change))


# --------------------------------------------------------------- SoftHardAttention


class Forced(SoftHardAttention):
    """Hard attention that draws what it is told, to go through all cases."""

    places = None

    def draw(self, probabilities):
        return self.places


def rewards_of_positions(weights):
    """Some reward of one-position attention, not linear in it."""
    features = rand(1, 2, 2, 2, seed=3)
    return -densify(features, weights).square().sum((1, 2, 3))


@pytest.mark.parametrize('baseline', [0., 2.5])
def test_the_estimator_has_the_expectation_of_the_exact_gradient(baseline):
    """All four outcomes, weighted by their probabilities."""
    logits = rand(1, 1, 2, 2, seed=1).requires_grad_()
    alpha = position_softmax(logits)
    table = torch.stack([
        rewards_of_positions(one_position(torch.tensor([k]), alpha))[0]
        for k in range(4)]).detach()
    exact, = torch.autograd.grad(-(alpha.flatten() * table).sum(), logits,
                                 retain_graph=True)
    expected = torch.zeros_like(logits)
    for k, probability in enumerate(alpha.detach().flatten()):
        chooser = Forced('hard', soft_prob=0, entropy_weight=0)
        chooser.baseline.fill_(baseline)
        chooser.places = torch.tensor([k])
        out = chooser(logits)
        assert out.drawn.all() and out.weights.flatten().argmax() == k
        loss = chooser.loss(out, rewards_of_positions(out.weights))
        expected += probability * torch.autograd.grad(loss, logits)[0]
    torch.testing.assert_close(expected, exact)
    assert exact.abs().max() > .1


def test_the_expectation_holds_for_pairs_and_weights():
    """Two items: the sum over both draws; lambda_r is a factor."""
    logits = rand(2, 1, 1, 2, seed=2).requires_grad_()
    alpha = position_softmax(logits).flatten(1)
    table = torch.tensor([[1., -2.], [.5, 3.]])
    exact, = torch.autograd.grad(-.7 * (alpha * table).sum(1).mean(), logits,
                                 retain_graph=True)
    expected = torch.zeros_like(logits)
    for i in range(2):
        for j in range(2):
            chooser = Forced('hard', soft_prob=0, entropy_weight=0, reward_weight=.7)
            chooser.places = torch.tensor([i, j])
            out = chooser(logits)
            reward = table[[0, 1], [i, j]]
            loss = chooser.loss(out, reward)
            share = (alpha[0, i] * alpha[1, j]).detach()
            expected += share * torch.autograd.grad(loss, logits)[0]
    torch.testing.assert_close(expected, exact)


def test_the_entropy_grows():
    logits = rand(1, 1, 2, 2, seed=1).requires_grad_()
    chooser = SoftHardAttention('hard', reward_weight=0, entropy_weight=1.)
    out = chooser(logits)
    p = logits.detach().flatten().softmax(0)
    assert out.entropy.item() == pytest.approx(-(p * p.log()).sum().item(), rel=1e-5)
    chooser.loss(out, torch.zeros(1)).backward()
    with torch.no_grad():
        after = chooser(logits - .1 * logits.grad).entropy
    assert after.item() > out.entropy.item()


def test_draws_follow_alpha_and_half_of_them_are_soft():
    torch.manual_seed(0)
    logits = torch.tensor([.1, .2, .3, .4]).log().view(1, 1, 2, 2).expand(4000, -1, -1,
                                                                         -1)
    out = SoftHardAttention('hard')(logits)
    assert out.drawn.float().mean().item() == pytest.approx(.5, abs=.03)
    hard = out.weights[out.drawn].flatten(1)
    assert (hard.sum(1) == 1).all() and hard.max(1).values.min() == 1
    assert hard.mean(0).tolist() == pytest.approx([.1, .2, .3, .4], abs=.03)
    soft = out.weights[~out.drawn].flatten(1)
    assert soft[0].tolist() == pytest.approx([.1, .2, .3, .4])
    assert (out.log_prob[~out.drawn] == 0).all()
    torch.testing.assert_close(
        out.log_prob[out.drawn],
        torch.tensor([.1, .2, .3, .4]).log()[hard.argmax(1)])


def test_soft_items_have_exact_gradients_and_no_score():
    logits = rand(3, 1, 2, 2).requires_grad_()
    soft = SoftHardAttention('hard', soft_prob=1., entropy_weight=0)
    out = soft(logits)
    assert not out.drawn.any()
    torch.testing.assert_close(out.weights, SoftHardAttention()(logits).weights)
    assert soft.loss(out, rand(3)).item() == 0


@pytest.mark.parametrize('eval_mode', ['soft', 'argmax'])
def test_outside_training_nothing_is_drawn(eval_mode):
    logits = rand(3, 1, 2, 4)
    out = SoftHardAttention('hard', eval_mode).eval()(logits)
    alpha = position_softmax(logits)
    assert not out.drawn.any()
    wanted = alpha if eval_mode == 'soft' else one_position(alpha.flatten(1).argmax(1),
                                                            alpha)
    assert torch.equal(out.weights, wanted)


def test_the_baseline_is_a_running_mean_of_its_group():
    chooser = SoftHardAttention('hard', num_groups=2)
    out = chooser(rand(3, 1, 2, 2))
    chooser.loss(out, torch.tensor([1., 3, 10]), torch.tensor([0, 0, 1]))
    assert chooser.baseline.tolist() == pytest.approx([.2, 1])
    chooser.loss(out, torch.tensor([4., 4, 4]), torch.tensor([0, 0, 0]))
    assert chooser.baseline.tolist() == pytest.approx([.58, 1])
    assert 'baseline' in chooser.state_dict()
    assert not SoftHardAttention().state_dict()


def test_what_has_no_probability_is_finite():
    """Logits a thousand apart, and a map without valid positions."""
    chooser = Forced('hard', soft_prob=0)
    chooser.places = torch.tensor([1, 0])
    logits = torch.tensor([[1000., -1000], [0, 0]]).view(2, 1, 1, 2).requires_grad_()
    valid = torch.tensor([[1, 1], [0, 0]], dtype=torch.bool).view(2, 1, 1, 2)
    out = chooser(logits, valid)
    assert out.drawn.tolist() == [True, False] and out.weights[1].sum() == 0
    loss = chooser.loss(out, torch.tensor([-5., 1]))
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()
    again = SoftHardAttention('hard', soft_prob=0)(logits, valid)
    assert again.weights[1].sum() == 0


def test_no_items():
    chooser = SoftHardAttention('hard')
    out = chooser(rand(0, 1, 2, 2))
    assert out.weights.shape == (0, 1, 2, 2)
    assert chooser.loss(out, rand(0)).item() == 0
    assert SoftHardAttention('hard', 'argmax').eval()(rand(0, 1, 2, 2)).weights.shape \
        == (0, 1, 2, 2)


def test_errors_of_rewards():
    chooser = SoftHardAttention('hard')
    with pytest.raises(ValueError, match=r'reward has shape \(3,\); with attention of 2'):
        chooser.loss(chooser(rand(2, 1, 2, 2)), rand(3))


def test_draws_repeat_with_the_seed():
    runs = []
    for _ in range(2):
        torch.manual_seed(4)
        runs.append(SoftHardAttention('hard')(rand(9, 1, 3, 3)))
    assert isinstance(runs[0], Attention)
    assert all(torch.equal(a, b) for a, b in zip(*runs))
