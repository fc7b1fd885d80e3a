"""FlowNetS: plain and aware, the same network where the masks are 1."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.registry import MODELS, DefaultScope  # noqa: E402
from mmengine.structures import BaseDataElement, PixelData  # noqa: E402

import segaware_mm  # noqa: E402, F401
from segaware_mm.datasets.flow.loading import PackFlowInputs  # noqa: E402
from segaware_mm.datasets.flow.render import render_pair  # noqa: E402
from segaware_mm.segaware.flow.loss import MultiScaleEndPointError  # noqa: E402

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'segaware'
TAIL = '_w16_1xb8-5000i_flow-80x96.py'
NAMES = sorted(path.name[:-len(TAIL)] for path in CONFIGS.glob(f'*{TAIL}'))
SMALL = dict(type='FlowNetS', base_channels=4, num_stages=3, flow_scale=4.)
AWARE = dict(SMALL, conv_cfg=dict(type='SegAwareConv2d', hardness=.3),
             embedding=dict(type='ColorEmbedding', color_scale=1.))


@pytest.fixture(autouse=True)
def scope():
    """Parts are looked up in mmseg, as the Runner does."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def build(cfg, seed=0):
    torch.manual_seed(seed)
    return MODELS.build(deepcopy(cfg))


def model_of(name):
    return Config.fromfile(str(CONFIGS / (name + TAIL))).model


def pairs(count=2, size=(32, 48), **changes):
    """What the data set gives: procedural pairs."""
    found = []
    for index in range(count):
        pair = render_pair(0, index, size)
        results = dict(img=pair.first[..., ::-1], img2=pair.second[..., ::-1],
                       flow=pair.flow, known=np.ones(size, bool), layers=pair.layers)
        found.append(PackFlowInputs().transform({**results, **changes}))
    return {key: [one[key] for one in found] for key in found[0]}


def samples(flow, known=None):
    """Data samples of flows (B, 2, H, W)."""
    known = torch.ones(len(flow), *flow.shape[2:], dtype=torch.bool) \
        if known is None else known
    return [BaseDataElement(gt_flow=PixelData(data=f, valid=k[None]))
            for f, k in zip(flow, known)]


def total(losses):
    return sum(value for key, value in losses.items() if 'loss' in key)


def test_the_rows_of_the_comparison_are_there():
    assert set(NAMES) >= {'flownets', 'color-flownets', 'segaware-flownets',
                          'segaware-flownets-layers'}


@pytest.mark.parametrize('name', NAMES)
def test_every_config_learns(name):
    """Losses are finite and fall on one batch; every weight has a gradient."""
    model = build(model_of(name)).train()
    batch = model.data_preprocessor(pairs(), True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    history, errors = [], []
    for _ in range(7):
        losses = model(**batch, mode='loss')
        assert all(torch.isfinite(value) for value in losses.values())
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        history.append(float(total(losses).detach()))
        errors.append(float(losses['epe'].detach()))
    assert history[-1] < .95 * history[0] and errors[-1] < errors[0]
    without = [key for key, weight in model.named_parameters()
               if weight.grad is None or not weight.grad.abs().sum() > 0]
    assert without == []
    assert ('loss_embed' in losses) == name.endswith('layers')


def test_the_configs_differ_in_masks_and_embedding_alone():
    plain, *others = (Config.fromfile(str(CONFIGS / (name + TAIL))).to_dict()
                      for name in ('flownets', 'color-flownets', 'segaware-flownets'))
    for other in others:
        assert other['model'].pop('conv_cfg') and other['model'].pop('embedding')
        assert other == plain


def test_the_published_size():
    """Nine convolutions, 7 5 5 3 3 3 3 3 3, to 1024 channels, stride 64."""
    with torch.device('meta'):
        model = MODELS.build(dict(type='FlowNetS'))
        flow = model(torch.empty(1, 6, 384, 512))
    found = [(m.out_channels, m.kernel_size[0], m.stride[0])
             for m in model.encoder.modules() if isinstance(m, torch.nn.Conv2d)]
    assert found == [(64, 7, 2), (128, 5, 2), (256, 5, 2), (256, 3, 1), (512, 3, 2),
                     (512, 3, 1), (512, 3, 2), (512, 3, 1), (1024, 3, 2)]
    assert flow.shape == (1, 2, 384, 512)
    assert [p.in_channels for p in model.decoder.predict] == [1024, 1026, 770, 386, 194]


@pytest.mark.parametrize('cfg', [SMALL, AWARE], ids=['plain', 'aware'])
@pytest.mark.parametrize('size', [(1, 1), (7, 30), (33, 50)])
def test_any_size(cfg, size):
    model = build(cfg).eval()
    x = torch.randn(2, 6, *size)
    flow = model(x)
    assert flow.shape == (2, 2, *size) and torch.isfinite(flow).all()
    height, width = (-(-n // 8) * 8 for n in size)
    padded = torch.nn.functional.pad(
        x, (0, width - size[1], 0, height - size[0]), mode='replicate')
    torch.testing.assert_close(model(padded)[..., :size[0], :size[1]], flow)
    losses = model(x, samples(torch.randn(2, 2, *size)), 'loss')
    assert torch.isfinite(total(losses))


def test_modes():
    model = build(AWARE).eval()
    x = torch.randn(2, 6, 16, 24)
    truth = torch.randn(2, 2, 16, 24)
    flow = model(x)
    given = samples(truth)
    found = model(x, given, mode='predict')
    assert all(a is b for a, b in zip(found, given))
    assert torch.equal(torch.stack([one.pred_flow.data for one in found]), flow)
    assert len(model(x, mode='predict')) == 2
    losses = model(x, given, 'loss')
    assert set(losses) == {'loss_flow_s0', 'loss_flow_s1', 'epe'}
    torch.testing.assert_close(losses['epe'], (flow - truth).norm(dim=1).mean())
    with pytest.raises(ValueError, match="mode must be 'tensor'.*got 'guess'"):
        model(x, mode='guess')
    with pytest.raises(ValueError, match=r'\(B, 6, H, W\), two images, got \(2, 3, 16'):
        model(x[:, :3])


def test_aware_has_the_weights_of_plain_and_hardnesses():
    plain, aware = build(SMALL), build(AWARE)
    more = set(aware.state_dict()) - set(plain.state_dict())
    assert set(plain.state_dict()) < set(aware.state_dict())
    assert more == {f'encoder.stages.{k}.{n}.conv.hardness'
                    for k, n in ((0, 0), (1, 0), (2, 0), (2, 1))}
    learned = build(model_of('segaware-flownets')).state_dict()
    known = set(build(model_of('flownets')).state_dict())
    assert all(key.endswith('.hardness') or key.startswith('embedding.')
               for key in set(learned) - known) and known < set(learned)
    assert aware.load_state_dict(plain.state_dict(), strict=True)


def test_without_hardness_aware_is_plain():
    plain, aware = build(SMALL).eval(), build(AWARE, seed=1).eval()
    aware.load_state_dict(plain.state_dict())
    x = torch.randn(2, 6, 24, 32)
    assert not torch.allclose(aware(x), plain(x), atol=1e-4)
    for layer in aware.encoder.modules():
        if hasattr(layer, 'hardness'):
            torch.nn.init.zeros_(layer.hardness)
    torch.testing.assert_close(aware(x), plain(x))


def test_masks_are_those_of_the_first_image():
    """One colour has no segments, whatever the second image shows."""
    plain, aware = build(SMALL).eval(), build(AWARE, seed=1).eval()
    aware.load_state_dict(plain.state_dict())
    x = torch.randn(1, 6, 24, 32)
    x[:, :3] = .7
    torch.testing.assert_close(aware(x), plain(x))
    assert not torch.allclose(aware(x.flip(1)), plain(x.flip(1)), atol=1e-4)


@pytest.mark.parametrize('name', ['flownets', 'segaware-flownets-layers'])
def test_no_known_pixel_is_no_loss(name):
    model = build(model_of(name)).train()
    nothing = dict(known=np.zeros((32, 48), bool),
                   flow=np.full((32, 48, 2), np.nan, np.float32))
    batch = model.data_preprocessor(pairs(**nothing), True)
    losses = model(**batch, mode='loss')
    flow = sum(value for key, value in losses.items() if key.startswith('loss_flow'))
    assert flow == 0 and losses['epe'] == 0
    total(losses).backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters()
               if weight.grad is not None)


def test_unknown_pixels_change_nothing():
    model = build(SMALL).eval()
    x, truth = torch.randn(1, 6, 16, 24), torch.randn(1, 2, 16, 24)
    known = torch.rand(1, 16, 24) < .6
    first = model(x, samples(truth, known), 'loss')
    wild = truth.masked_fill(~known[:, None], float('nan'))
    again = model(x, samples(wild, known), 'loss')
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize('name', ['flownets', 'segaware-flownets-layers'])
def test_bfloat16_autocast(name):
    model = build(model_of(name)).train()
    batch = model.data_preprocessor(pairs(), True)
    wide = model(**batch, mode='loss')
    with torch.autocast('cpu', torch.bfloat16):
        half = model(**batch, mode='loss')
    for key, value in half.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, wide[key], rtol=.03, atol=.01)
    total(half).backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())


def test_frozen_embedding():
    cfg = model_of('segaware-flownets')
    cfg.frozen_embedding = True
    model = build(cfg).train()
    assert not any(module.training for module in model.embedding.modules())
    total(model(**model.data_preprocessor(pairs(1), True), mode='loss')).backward()
    assert all(weight.grad is None for weight in model.embedding.parameters())
    assert model.encoder.stages[0][0].conv.hardness.grad.abs() > 0


def test_loss_by_hand():
    """Scales of weight 1 and .5; the mean of known cells; unit of the target."""
    target = torch.tensor([[[[3., 3.], [0., 9.]], [[4., 4.], [0., 9.]]]])
    known = torch.tensor([[[True, True], [True, False]]])
    losses = MultiScaleEndPointError(weights=(1, .5), loss_weight=2.)(
        [torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 1, 1)], target, known)
    assert float(losses['loss_flow_s0']) == pytest.approx(2 * (5 + 5 + 0) / 3)
    # one cell, the mean of three known vectors: (2, 8 / 3)
    assert float(losses['loss_flow_s1']) == pytest.approx(10 / 3)
    with pytest.raises(ValueError, match='weights has 1 numbers for 2 scales'):
        MultiScaleEndPointError(weights=(1, ))([target] * 2, target, known)
    with pytest.raises(ValueError, match='weights must be numbers of at least 0'):
        MultiScaleEndPointError(weights=(1, -1))


@pytest.mark.parametrize('changes, words', [
    (dict(conv_cfg=dict(type='SegAwareConv2d')), 'which need an embedding: give'),
    (dict(embedding=AWARE['embedding']), 'embedding is read by aware convolutions only'),
    (dict(loss_embed=dict(type='EmbeddingLoss')), 'loss_embed needs an embedding'),
    (dict(AWARE, loss_embed=dict(type='EmbeddingLoss'), frozen_embedding=True),
     'loss_embed needs an embedding that is trained'),
    (dict(num_stages=7), r'num_stages must be 2..6, got 7'),
    (dict(base_channels=0), 'base_channels must be 1 or more'),
])
def test_arguments(changes, words):
    with pytest.raises(ValueError, match=words):
        build({**SMALL, **changes})


def test_an_embedding_loss_says_where_layers_come_from():
    model = build(dict(AWARE, loss_embed=dict(type='EmbeddingLoss')))
    x = torch.randn(1, 6, 16, 16)
    with pytest.raises(ValueError, match=r'LoadFlowPair\(with_layers=True\)'):
        model(x, samples(torch.zeros(1, 2, 16, 16)), 'loss')
