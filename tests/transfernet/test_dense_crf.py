"""A CRF on figures: edges of the image win, both implementations, errors."""

import sys

import pytest
import torch
from mmengine.registry import MODELS

import segaware_mm  # noqa: F401  registers the parts
from segaware_mm.transfernet.dense_crf import DenseCRF


@pytest.fixture(params=['mean_field', 'pydensecrf'])
def impl(request):
    if request.param == 'pydensecrf':
        pytest.importorskip('pydensecrf')
    return request.param


def scene(size=48):
    """A bright square, a probability that is shifted by three pixels, some noise."""
    true = torch.zeros(size, size, dtype=torch.bool)
    true[12:36, 12:36] = True
    image = torch.where(true, 200., 40.).expand(3, -1, -1).clone()
    generator = torch.Generator().manual_seed(0)
    probability = torch.where(true.roll((3, 3), (0, 1)), .75, .25)
    probability += .1 * torch.rand(size, size, generator=generator) - .05
    return true, image, probability


def test_defaults_are_the_released_settings():
    crf = MODELS.build(dict(type='DenseCRF'))
    assert crf.impl == 'mean_field'
    assert (crf.spatial_xy, crf.spatial_weight, crf.bilateral_xy, crf.bilateral_rgb,
            crf.bilateral_weight, crf.num_iters) == (3, 3, 20, 3, 5, 10)


def test_figures_end_at_the_edges_of_the_image(impl):
    true, image, probability = scene()
    before = (probability > .5) != true
    found = DenseCRF(impl)(torch.stack([probability, 1 - probability]), image)
    assert found.dtype == torch.bool and found.shape == (2, 48, 48)
    assert before.sum() > 200 and (found[0] != true).sum() < 30
    assert (found[1] == true).sum() < 30  # each label by itself


def test_both_implementations_agree():
    pytest.importorskip('pydensecrf')
    _, image, probability = scene()
    ours, theirs = (DenseCRF(impl)(probability[None], image)
                    for impl in ('mean_field', 'pydensecrf'))
    assert (ours != theirs).float().mean() < .02


def test_nothing_to_do_and_certain_pixels(impl):
    _, image, probability = scene(16)
    crf = DenseCRF(impl, num_iters=2)
    assert crf(probability[None, :, :][:0], image).shape == (0, 16, 16)
    certain = torch.stack([torch.zeros(16, 16), torch.ones(16, 16)])
    found = crf(certain, image)
    assert not found[0].any() and found[1].all()
    assert crf(torch.ones(1, 1, 1), image[:, :1, :1]).all()


def test_no_iterations_is_a_threshold():
    _, image, probability = scene(16)
    found = DenseCRF(num_iters=0)(probability[None], image)
    assert torch.equal(found[0], probability > .5)


def test_two_runs_are_equal(impl):
    _, image, probability = scene(24)
    runs = [DenseCRF(impl, num_iters=3)(probability[None].half(), image)
            for _ in range(2)]
    assert torch.equal(*runs)


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pydensecrf', None)
    with pytest.raises(ImportError, match="pip install pydensecrf2\n.*'mean_field'"):
        DenseCRF('pydensecrf')
    DenseCRF()


@pytest.mark.parametrize('change, error, text', [
    (dict(impl='grid'), ValueError, "impl must be one of 'mean_field', 'pydensecrf'"),
    (dict(bilateral_rgb=0), ValueError, 'bilateral_rgb must be at least 0.001'),
    (dict(num_iters=-1), ValueError, 'num_iters must be at least 0'),
    (dict(spatial_weight=-1), ValueError, 'spatial_weight must be at least 0')])
def test_errors_of_arguments(change, error, text):
    with pytest.raises(error, match=text):
        DenseCRF(**change)


@pytest.mark.parametrize('probability, image, text', [
    (torch.rand(4, 5), torch.rand(3, 4, 5), r'probability must have shape \(K, H, W\)'),
    (torch.rand(1, 4, 5), torch.rand(3, 5, 4), r'image has shape \(3, 5, 4\).*3, 4, 5')])
def test_errors_of_calls(probability, image, text):
    with pytest.raises(ValueError, match=text):
        DenseCRF()(probability, image)
