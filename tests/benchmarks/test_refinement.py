"""The refinement table: what is trained, searched, scored, kept and printed."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.registry import DefaultScope, init_default_scope  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
BENCHMARKS = str(REPO / 'benchmarks')
sys.path.insert(0, BENCHMARKS)
try:
    refinement = importlib.import_module('refinement')
    data = importlib.import_module('refinement_data')
    methods = importlib.import_module('refinement_methods')
    plan = importlib.import_module('refinement_plan')
    rows = importlib.import_module('refinement_rows')
    score = importlib.import_module('refinement_score')
    table = importlib.import_module('refinement_table')
    train = importlib.import_module('refinement_train')
    from camvid_job import RowError
finally:
    sys.path.remove(BENCHMARKS)

CAMVID = plan.DATA['camvid']


def test_trainings_come_in_their_order_and_start_from_one_another():
    jobs = train.plan(list(plan.ROWS), CAMVID, {}, [], Path('work_dirs/x'))
    assert [job.name for job in jobs] == ['fcn', 'embedding', 'learned', 'aware']
    options = ' '.join(jobs[2].train)
    for name, key in (('fcn', 'segmentor'), ('embedding', 'embedding')):
        assert f'model.{key}.init_cfg.checkpoint=work_dirs/x/{name}/iter_600.pth' \
            in options
    given = dict(fcn='a/fcn.pth', learned='a/learned.pth')
    jobs = train.plan(['densecrf', 'learned'], CAMVID, given, [], Path('x'))
    assert jobs == []


@pytest.mark.parametrize('one', list(plan.DATA.values()), ids=lambda one: one.name)
def test_every_training_has_a_config(one):
    weights = dict(fcn='f.pth', embedding='e.pth')
    for name in ('fcn', 'embedding', 'learned', 'aware'):
        assert (REPO / plan.training(name, one, weights).config).is_file()
    assert set(plan.NEEDS) == set(plan.ROWS)


def test_a_span_is_kept_to():
    rng = np.random.default_rng(0)
    span, whole = methods.Span(.1, 10), methods.Span(2, 10, True)
    draws = [span.draw(rng) for _ in range(200)]
    assert min(draws) >= .1 and max(draws) <= 10
    assert .5 < float(np.exp(np.mean(np.log(draws)))) < 2  # log-uniform
    assert {whole.draw(rng) for _ in range(200)} == set(range(2, 11))
    assert all(.1 <= span.near(10., rng) <= 10 for _ in range(50))
    for first, spans in rows.TUNERS.values():
        assert set(first) == set(spans)
        assert all(spans[key].low <= first[key] <= spans[key].high for key in spans)


def test_a_search_finds_what_is_best_and_goes_on_where_it_was(tmp_path):
    spans = dict(x=methods.Span(.01, 100))
    calls = []

    def close(values):
        calls.append(values['x'])
        return -abs(np.log(values['x'] / 3))

    def search(path, count=20):
        return score.search(spans, dict(x=50.), close, count, tmp_path / path,
                            dict(of='this'))

    whole = search('whole.json')
    assert calls[0] == 50. and len(calls) == 20
    assert abs(np.log(whole['parameters']['x'] / 3)) < .5
    assert whole['first'] == pytest.approx(-np.log(50 / 3))
    cut = json.loads((tmp_path / 'whole.json').read_text())
    cut['trials'] = cut['trials'][:13]
    (tmp_path / 'cut.json').write_text(json.dumps(cut))
    calls.clear()
    assert search('cut.json') == whole and len(calls) == 7
    calls.clear()
    assert search('whole.json') == whole and not calls
    score.search(spans, dict(x=50.), close, 3, tmp_path / 'whole.json', dict(of='other'))
    assert len(calls) == 3


def test_a_package_that_is_absent_is_one_clear_error(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, 'pydensecrf', None)
    code = refinement.main(['--rows', 'none', 'densecrf', '--work-dir', str(tmp_path)])
    text = capsys.readouterr().err
    assert code == 2 and text.count('error: ') == 1
    assert 'pip install -c constraints.txt pydensecrf2' in text


def sample(labels, inputs=None):
    pixels = np.array([[200, 30, 30], [30, 30, 200]], np.uint8)[labels]
    inputs = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 57
    return data.Sample('one', np.ascontiguousarray(pixels), inputs, labels)


def blurred(labels):
    logits = torch.nn.functional.one_hot(torch.from_numpy(labels), 2).permute(
        2, 0, 1)[None].float()
    small = torch.nn.functional.avg_pool2d(logits, 8)
    return torch.nn.functional.interpolate(4 * small, labels.shape, mode='bilinear')


@pytest.mark.parametrize('name', ['densecrf', 'rgb'])
def test_refinement_finds_the_edge_of_the_colours(name):
    if name == 'densecrf':
        pytest.importorskip('pydensecrf')
    labels = np.zeros((48, 64), np.int64)
    labels[:, 29:] = 1
    labels[:20, 50:] = 0
    logits = blurred(labels)
    wrong = float((logits.argmax(1)[0].numpy() != labels).mean())
    assert wrong > .01
    method = methods.dense_crf(methods.CRF_RELEASED) if name == 'densecrf' else \
        methods.rgb_mean_field(methods.RGB_RELEASED, 2, dict(
            bilateral_kernel=5, bilateral_dilation=2), dict(kernel_size=5))
    out = method(sample(labels), logits)
    assert out.shape == logits.shape
    assert float((out.argmax(1)[0].numpy() != labels).mean()) < .75 * wrong


@pytest.fixture
def fcn(tiny_config, tmp_path):
    """A tiny FCN, its checkpoint, and a config of its refinement with weights."""
    config = tiny_config(name='fcn', options={
        'model.backbone.norm_cfg.type': 'BN', 'model.decode_head.norm_cfg.type': 'BN'})
    cfg = Config.fromfile(str(config))
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'fcn.pth')
    inner = cfg.model.to_dict()
    cfg.model = dict(
        type='SegAwareRefinedSegmentor', segmentor=inner, frozen=True,
        data_preprocessor=inner['data_preprocessor'],
        embedding=dict(type='ColorEmbedding', color_scale=1., stride=2),
        mean_field=dict(bilateral_kernel=3, bilateral_dilation=2, embedding_scale=1.),
        filters=dict(kernel_size=3, hardness=1.))
    refined = tmp_path / 'refined.py'
    cfg.dump(str(refined))
    whole = MODELS.build(cfg.model)
    whole.segmentor.load_state_dict(model.state_dict())
    torch.save(dict(state_dict=whole.state_dict()), tmp_path / 'refined.pth')
    yield dict(fcn=str(config), learned=str(refined)), dict(
        fcn=str(tmp_path / 'fcn.pth'), learned=str(tmp_path / 'refined.pth'))


@pytest.mark.filterwarnings('ignore:a frozen segmentor')
def test_rows_are_scored_once_and_equal_the_model_itself(fcn, tmp_path, monkeypatch):
    configs, weights = fcn
    monkeypatch.setattr(rows.Bench, 'config', lambda self, name: configs[name])
    folder = tmp_path / 'bench'

    def bench(**changes):
        return rows.Bench(*dict(dict(
            data=CAMVID, weights=weights, folder=folder, tune_images=3, trials=3,
            limit=0), **changes).values())

    facts = dict(environment='here', date='today', commands=['train'])
    one = bench()
    results = {name: one.run(name, facts) for name in ('none', 'rgb', 'learned')}
    assert results['none']['refine_seconds'] is None and results['none']['images'] == 2
    assert results['rgb']['tuning']['trials'] == 3
    assert results['learned']['seconds'] > results['learned']['refine_seconds'] > 0
    assert results['learned']['refine_cpu'] > 0

    # The same as the model's own prediction, by the same metric.
    model = data.load_model(configs['learned'], weights['learned'])
    whole = score.evaluate(one.val, lambda s: rows._predict(model, s), 'whole')
    whole.pop('seconds')
    assert results['learned']['scores'] == pytest.approx(whole, nan_ok=True)

    with monkeypatch.context() as patch:
        patch.setattr(rows, 'evaluate', lambda *_: pytest.fail('scored again'))
        assert {name: bench().kept(name) for name in results} == results
    assert bench(trials=4).kept('rgb') is None and bench(trials=4).kept('none')

    text = table.make_page(CAMVID, results, [('aware', 'not trained')], 'cmd', 'day')
    assert '| `none`    |' in text and '`aware`: not trained' in text
    assert 'best of 3 trials on 3 training images' in text and '1. here' in text
    assert text.count('train\n') >= 1

    # Logits of another checkpoint are not mixed with these.
    torch.save(dict(state_dict=model.segmentor.state_dict(), note=1),
               tmp_path / 'other.pth')
    with pytest.raises(RowError, match='logits of another checkpoint'):
        bench(weights=dict(weights, fcn=str(tmp_path / 'other.pth'))).logits()


def test_images_are_spread_over_the_split(fcn):
    configs, _ = fcn
    with DefaultScope.overwrite_default_scope('mmseg'):
        images = data.Images(configs['fcn'], 'train', 4)
    assert data.names(images) == ['00', '02', '04', '06'] and len(images) == 4
    first = next(iter(images))
    assert first.pixels.shape == (40, 48, 3) and first.pixels.dtype == np.uint8
    assert first.inputs.shape == (1, 3, 40, 48) and first.label.shape == (40, 48)
    # Channel 0 of the preprocessed input is red.
    red = (first.pixels[..., 0] - 127.5) / 64
    np.testing.assert_allclose(first.inputs[0, 0], red, atol=1e-5)
