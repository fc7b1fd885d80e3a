"""RANetHead and its modules: shapes, losses, gradients, odd maps, autocast."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS, TRANSFORMS
from mmseg.structures import SegDataSample

from segaware_mm.ops.region_attention import boundary_target
from segaware_mm.ranet.ranet_head import RANetHead
from segaware_mm.ranet.region_attention import RegionAttention
from segaware_mm.ranet.region_construction import RegionConstruction
from segaware_mm.ranet.region_interaction import RegionInteraction
from segaware_mm.ranet.representatives import RepresentativeConv

BN = dict(type='BN', requires_grad=True)
MODES = ('released', 'paper')


def build_head(mode='released', **kwargs):
    torch.manual_seed(0)
    arguments = dict(
        in_channels=(6, 8), channels=8, in_index=(0, 1), num_classes=4,
        norm_cfg=BN, dropout_ratio=0., align_corners=True,
        interaction=dict(mode=mode, scale='sqrt'))
    arguments.update(kwargs)
    return RANetHead(**arguments)


def feature_maps(batch=2, sizes=((9, 11), (9, 11)), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, c, *s, generator=generator)
            for c, s in zip((6, 8), sizes)]


def samples(batch=2, size=(33, 41), edges=False):
    out = []
    for b in range(batch):
        label = torch.zeros(1, *size, dtype=torch.int64)
        label[..., 10 + b:] = 2
        label[:, :5] = 255
        sample = SegDataSample(gt_sem_seg=PixelData(data=label))
        if edges:
            sample.gt_edge_map = PixelData(
                data=torch.ones(1, *size, dtype=torch.uint8))
        out.append(sample)
    return out


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('sizes', [((9, 11), (9, 11)), ((9, 11), (5, 6)),
                                   ((1, 1), (1, 1)), ((1, 7), (1, 7))])
def test_shapes(sizes, mode):
    head = build_head(mode).eval()
    maps = feature_maps(sizes=sizes)
    out = head.forward_all(maps)
    assert out.logits.shape == out.aux_logits.shape == (2, 4) + sizes[0]
    assert out.boundary_logits.shape == (2, 2) + sizes[0]
    assert out.aux_boundary_logits.shape == (2, 2) + sizes[0]
    assert torch.equal(head(maps), out.logits)
    assert out.regions.shape == sizes[0]


def test_an_input_of_several_maps_is_their_concatenation():
    head = build_head(in_index=(1, (0, 1)), in_channels=(8, (6, 8))).eval()
    small, large = feature_maps(sizes=((5, 6), (9, 11)))
    out = head.forward_all([small, large])
    grown = torch.nn.functional.interpolate(
        small, (9, 11), mode='bilinear', align_corners=True)
    alone = build_head(in_index=(0, 1), in_channels=(8, 14)).eval()
    alone.load_state_dict(head.state_dict())
    same = alone.forward_all([large, torch.cat([grown, large], 1)])
    torch.testing.assert_close(out.logits, same.logits)
    torch.testing.assert_close(out.aux_logits, same.aux_logits)


@pytest.mark.parametrize('wrong', [
    dict(in_index=(0, 1, 2)), dict(in_channels=8), dict(in_index=(0, (0, 1))),
    dict(input_transform='resize_concat')])
def test_wrong_inputs_are_named(wrong):
    with pytest.raises(ValueError, match='in_index'):
        build_head(**wrong)


@pytest.mark.parametrize('mode', MODES)
def test_losses_have_the_published_weights(mode):
    head = build_head(mode).train()
    maps = feature_maps()
    losses = head.loss(maps, samples(), {})
    assert set(losses) == {'loss_ce', 'loss_aux', 'loss_boundary',
                           'loss_aux_boundary', 'acc_seg'}
    weights = [head.loss_decode, head.loss_aux, head.loss_boundary,
               head.loss_aux_boundary]
    assert [w.loss_weight for w in weights] == [1., .4, .2, .08]
    sum(v for k, v in losses.items() if k.startswith('loss')).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_losses_are_cross_entropies_at_label_size():
    head = build_head().eval()
    maps, batch = feature_maps(), samples()
    out = head.forward_all(maps)
    losses = head.loss_by_feat(out, batch)
    labels = torch.stack([s.gt_sem_seg.data[0] for s in batch])
    edges = boundary_target(labels, 2)
    for name, logits, target, weight in (
        ('loss_ce', out.logits, labels, 1.), ('loss_aux', out.aux_logits, labels, .4),
        ('loss_boundary', out.boundary_logits, edges, .2),
        ('loss_aux_boundary', out.aux_boundary_logits, edges, .08)):
        big = torch.nn.functional.interpolate(
            logits, labels.shape[1:], mode='bilinear', align_corners=True)
        want = weight * torch.nn.functional.cross_entropy(
            big, target, ignore_index=255)
        torch.testing.assert_close(losses[name], want)


@pytest.mark.parametrize('ignore_index', [254, 3])
def test_another_ignored_label(ignore_index):
    head = build_head(ignore_index=ignore_index).eval()
    out = head.forward_all(feature_maps())
    batch = samples()
    plain = build_head().eval().loss_by_feat(out, samples())
    for sample in batch:
        label = sample.gt_sem_seg.data
        label[label == 255] = ignore_index
    other = head.loss_by_feat(out, batch)
    for name, value in plain.items():
        torch.testing.assert_close(other[name], value)


def test_a_given_boundary_map_is_used():
    head = build_head().eval()
    out = head.forward_all(feature_maps())
    made = head.loss_by_feat(out, samples())['loss_boundary']
    given = head.loss_by_feat(out, samples(edges=True))['loss_boundary']
    assert not torch.allclose(made, given)


def test_the_membership_trains_the_auxiliary_maps():
    """The main loss alone reaches c3, through J and nothing else."""
    head = build_head('paper').train()
    maps = feature_maps()
    maps[0].requires_grad_()
    out = head.forward_all(maps)
    (out.logits**2).sum().backward()
    assert maps[0].grad.abs().sum() > 0
    with torch.no_grad():
        head.aux_conv_seg.weight.zero_()
        head.aux_conv_boundary.weight.zero_()
    maps[0].grad = None
    (head.forward_all(maps).logits**2).sum().backward()
    assert maps[0].grad.abs().sum() == 0


@pytest.mark.parametrize('mode', MODES)
def test_a_batch_of_two_is_two_batches_of_one_in_eval(mode):
    head = build_head(mode).eval()
    maps = feature_maps(seed=3)
    apart = [head([m[b:b + 1] for m in maps]) for b in (0, 1)]
    torch.testing.assert_close(head(maps), torch.cat(apart), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('mode', MODES)
def test_regions_are_the_same_under_autocast(mode):
    head = build_head(mode).train()
    maps = feature_maps(seed=1)
    plain = head.forward_all(maps)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        halved = head.construction(plain.aux_logits, plain.aux_boundary_logits)
        assert halved.membership.dtype == torch.float32
        assert torch.equal(halved.labels, plain.regions.labels)
        losses = head.loss(maps, samples(), {})
    total = sum(v for k, v in losses.items() if k.startswith('loss'))
    assert total.isfinite()
    total.backward()
    assert all(p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize('mode', MODES)
def test_huge_features_stay_finite(mode):
    """Unscaled dot products of features near 1e4 overflow half precision."""
    interaction = RegionInteraction(4, 4, mode=mode)
    regions = RegionConstruction()(torch.randn(2, 3, 5, 6) * 50,
                                   torch.randn(2, 2, 5, 6))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = interaction(torch.randn(2, 4, 5, 6) * 1e4, regions)
    assert out.isfinite().all()


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('act', ['ReLU', 'GELU', 'PReLU'])
def test_activations_and_half_models(act, mode):
    interaction = RegionInteraction(4, 4, mode=mode, act_cfg=dict(type=act))
    regions = RegionConstruction()(torch.randn(2, 3, 5, 6), torch.randn(2, 2, 5, 6))
    features = torch.randn(2, 4, 5, 6)
    assert interaction(features, regions).dtype == torch.float32
    halved = interaction.bfloat16()(features.bfloat16(), regions)
    assert halved.dtype == torch.bfloat16 and halved.isfinite().all()


def test_norms_that_would_mix_images_are_refused():
    with pytest.raises(ValueError, match='must be a batch norm'):
        RegionInteraction(4, 4, norm_cfg=dict(type='GN', num_groups=2))


@pytest.mark.parametrize('mode', MODES)
def test_one_region_one_pixel_one_image_trains(mode):
    interaction = RegionInteraction(4, 4, mode=mode, norm_cfg=None).train()
    regions = RegionConstruction()(torch.randn(1, 3, 1, 1), torch.randn(1, 2, 1, 1))
    interaction(torch.randn(1, 4, 1, 1), regions).sum().backward()
    assert all(p.grad is not None for p in interaction.parameters())


@pytest.mark.parametrize('mode', MODES)
def test_all_singletons_and_the_cap(mode):
    construction = RegionConstruction(threshold=1., max_representatives=5)
    regions = construction(torch.randn(2, 3, 4, 4), torch.randn(2, 2, 4, 4))
    assert [len(r) for r in regions.representatives] == [5, 5]
    interaction = RegionInteraction(4, 4, mode=mode).train()
    out = interaction(torch.randn(2, 4, 4, 4), regions)
    assert out.isfinite().all()


def test_the_module_prints_all_it_was_built_with():
    text = repr(RegionConstruction(max_representatives=7, impl='torch'))
    assert "max_representatives=7, impl='torch'" in text


def test_the_cap_keeps_the_largest_regions():
    construction = RegionConstruction(max_representatives=2)
    labels = torch.tensor([0, 1, 1, 1, 2, 2])
    kept = construction._of_largest(torch.tensor([0, 1, 4]), labels)
    assert kept.tolist() == [1, 4]


def test_region_attention_is_a_brick_of_the_root_registry():
    from mmengine.registry import MODELS as ROOT
    brick = ROOT.build(dict(
        type='RegionAttention', in_channels=6, channels=8, num_classes=3,
        norm_cfg=BN, interaction=dict(mode='paper')))
    assert isinstance(brick, RegionAttention)
    features = torch.randn(2, 6, 7, 5)
    assert brick(features).shape == (2, 8, 7, 5)
    context, classes, boundary = brick(features, return_logits=True)
    assert classes.shape == (2, 3, 7, 5) and boundary.shape == (2, 2, 7, 5)
    given = RegionAttention(6, 8, predict=False)
    with pytest.raises(ValueError, match='boundary_logits must be given'):
        given(features, classes)
    assert given(features, classes, boundary).shape == (2, 8, 7, 5)


@pytest.mark.parametrize('norm', [BN, dict(type='SyncBN'),
                                  dict(type='BN', track_running_stats=False)])
def test_one_representative_trains_under_every_batch_norm(norm):
    conv = RepresentativeConv(4, 1, norm, None)
    values, real = torch.randn(1, 1, 4), torch.ones(1, 1, dtype=torch.bool)
    for training in (True, False):
        assert conv.train(training)(values, real).isfinite().all()


def test_zero_init_starts_without_context():
    head = build_head(interaction=dict(zero_init=True)).eval()
    head.init_weights()
    seen = []
    head.interaction.register_forward_hook(lambda m, i, out: seen.append(out))
    head(feature_maps())
    assert not seen[0].any()
    with pytest.raises(ValueError, match='zero_init needs a norm'):
        RegionInteraction(4, 4, zero_init=True)


def test_no_activation_means_none():
    brick = RegionInteraction(4, 4, act_cfg=None)
    assert brick.after_collect.act is None and not brick.value.with_activation


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="mode must be one of 'released', 'paper'"):
        RegionInteraction(4, 4, mode='fast')
    with pytest.raises(ValueError, match="scale must be a number or 'sqrt'"):
        RegionInteraction(4, 4, scale='x')
    with pytest.raises(ValueError, match='representative_kernel must be 1 or 3'):
        RegionInteraction(4, 4, representative_kernel=2)
    with pytest.raises(TypeError, match='scale must be a number, got None'):
        RegionInteraction(4, 4, scale=None)
    with pytest.raises(ValueError, match='scale must be at least 0, got nan'):
        RegionInteraction(4, 4, scale=float('nan'))
    with pytest.raises(TypeError, match="boundary_radius must be a number, got 'x'"):
        build_head(boundary_radius='x')
    with pytest.raises(ValueError, match="impl must be one of 'auto', 'numba'.*nubma"):
        RegionConstruction(impl='nubma')
    with pytest.raises(ValueError, match='num_classes must be given.*predict=False'):
        RegionAttention(6, 8)
    with pytest.raises(ValueError, match='num_classes must be at least 2, got 1'):
        RegionAttention(6, 8, 1)
    with pytest.raises(TypeError, match="threshold must be a number, got 'a'"):
        RegionConstruction(threshold='a')
    with pytest.raises(TypeError, match='num_representatives must be an integer'):
        RegionConstruction(num_representatives='8')
    with pytest.raises(ValueError, match='divergence must be one of'):
        RegionConstruction(divergence='kl')
    with pytest.raises(ValueError, match="rule must be one of 'clean'"):
        TRANSFORMS.build(dict(type='GenerateRegionBoundary', rule='thin'))
    with pytest.raises(ValueError, match='RANetHead has two inputs'):
        build_head(in_channels=(6, ))
    construction = RegionConstruction()
    with pytest.raises(ValueError, match=r'boundary_logits must have shape'):
        construction(torch.randn(1, 3, 4, 4), torch.randn(1, 1, 4, 4))
    regions = construction(torch.randn(1, 3, 4, 4), torch.randn(1, 2, 4, 4))
    with pytest.raises(ValueError, match=r'features have a map of \(5, 5\)'):
        RegionInteraction(4, 4)(torch.randn(1, 4, 5, 5), regions)


def test_the_head_builds_from_a_config_by_name():
    head = MODELS.build(dict(
        type='RANetHead', in_channels=(6, 8), channels=8, in_index=(0, 1),
        num_classes=4, norm_cfg=BN))
    assert head.act_cfg['negative_slope'] == 0.01
    assert head.interaction.mode == 'released'


@pytest.mark.parametrize('rule', ['clean', 'released'])
def test_boundary_transform_follows_the_labels(rule):
    make = TRANSFORMS.build(dict(type='GenerateRegionBoundary', rule=rule))
    label = np.zeros((12, 16), np.uint8)
    label[:, 7:] = 1
    results = dict(gt_seg_map=label, seg_fields=['gt_seg_map'],
                   img=np.zeros((12, 16, 3), np.uint8), img_shape=(12, 16))
    results = make(results)
    want = boundary_target(torch.from_numpy(label).long()[None], rule=rule)[0]
    assert results['gt_edge_map'].dtype == np.uint8
    assert (results['gt_edge_map'] == want.numpy()).all()
    flip = TRANSFORMS.build(dict(type='mmseg.RandomFlip', prob=1.0))
    before = results['gt_edge_map'].copy()
    flipped = flip(results)
    assert (flipped['gt_edge_map'] == before[:, ::-1]).all()
    packed = TRANSFORMS.build(dict(type='mmseg.PackSegInputs', meta_keys=()))(flipped)
    assert packed['data_samples'].gt_edge_map.data.shape == (1, 12, 16)


def test_boundary_transform_wants_labels():
    make = TRANSFORMS.build(dict(type='GenerateRegionBoundary'))
    with pytest.raises(KeyError, match='after LoadAnnotations'):
        make(dict(img=np.zeros((4, 4, 3))))
