"""The loss that trains embeddings: E4, the reference, and what must not count."""

import itertools

import pytest
import torch
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from segaware_mm.ops.kernels import local_distance_torch
from segaware_mm.ops.local_attention import embedding_loss
from segaware_mm.ops.reference import local_attention as reference

F64 = torch.float64
NORMS = ('l1', 'l2', 'sq')
EMBEDDING_E4 = torch.tensor([[[[0, .75, 1.5], [0, .25, 3]]]], dtype=F64)
LABELS_E4 = torch.tensor([[[0, 0, 1], [0, 0, 1]]])


def scene(height=5, width=6, batch=2, dims=3, seed=0, dtype=F64):
    """Random embeddings, and labels of three classes and some void."""
    generator = torch.Generator().manual_seed(seed)
    embedding = torch.randn(batch, dims, height, width, generator=generator, dtype=F64)
    labels = torch.randint(0, 3, (batch, height, width), generator=generator)
    void = torch.rand(batch, height, width, generator=generator) < .15
    return embedding.to(dtype), labels.masked_fill(void, 255)


def value_and_gradient(function, embedding, *args, **kwargs):
    leaf = embedding.detach().clone().requires_grad_()
    loss = function(leaf, *args, **kwargs)
    return loss.detach(), torch.autograd.grad(loss, leaf)[0]


@pytest.mark.parametrize('function', [embedding_loss, reference.embedding_loss])
def test_e4(function):
    loss, grad = value_and_gradient(function, EMBEDDING_E4, LABELS_E4, dilations=[1])
    assert loss.item() == pytest.approx(.25)  # 7 over 28 pairs, centres counted
    wanted = [[-.071429, .214286, -.214286], [-.071429, .071429, .071429]]
    torch.testing.assert_close(grad[0, 0], torch.tensor(wanted, dtype=F64), atol=1e-6,
                               rtol=0)
    squared = function(EMBEDDING_E4, LABELS_E4, dilations=[1], power=2)
    assert squared.item() == pytest.approx(.116071, abs=1e-6)
    void = LABELS_E4.clone()
    void[0, 0, 1] = 255
    assert function(EMBEDDING_E4, void, dilations=[1]).item() == pytest.approx(
        .205882, abs=1e-6)
    assert function(EMBEDDING_E4, LABELS_E4).item() == pytest.approx(.35)


def test_the_hinge_itself_is_descended():
    """The released layer reports the hinge and sends back its value, not its sign."""
    loss, grad = value_and_gradient(
        embedding_loss, torch.tensor([[[[0., 2.5]]]]), torch.zeros(1, 1, 2).long(),
        dilations=1)
    assert loss.item() == pytest.approx(1.)  # 2 * (2.5 - 0.5) over 4 pairs
    assert grad.flatten().tolist() == pytest.approx([-.5, .5])


@pytest.mark.parametrize('norm, power', list(itertools.product(NORMS, (1, 2))))
def test_parity_with_the_reference(norm, power, monkeypatch):
    monkeypatch.setattr(local_distance_torch, 'ELEMENTS', 1)
    for seed, options in enumerate((dict(), dict(kernel_size=5, dilations=[2]),
                                    dict(alpha=.1, beta=4., dilations=(1, 3)))):
        embedding, labels = scene(seed=seed)
        embedding[:, :, 2] = embedding[:, :, 1]  # distances of 0
        got, wanted = (
            value_and_gradient(f, embedding, labels, norm=norm, power=power, **options)
            for f in (embedding_loss, reference.embedding_loss))
        for a, b in zip(got, wanted):
            torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)
        assert got[1].abs().sum() > 0


@pytest.mark.parametrize('norm, power', list(itertools.product(NORMS, (1, 2))))
def test_gradcheck(norm, power):
    embedding, labels = scene(3, 4, 1)
    assert gradcheck(
        lambda e: embedding_loss(e, labels, dilations=(1, 2), norm=norm, power=power),
        (embedding.requires_grad_(), ))


def test_a_second_derivative_is_refused():
    embedding, labels = scene()
    embedding.requires_grad_()
    loss = embedding_loss(embedding, labels, power=2).square()
    grad, = torch.autograd.grad(loss, embedding, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()


def test_void_pixels_take_no_part():
    """Void is no class; whatever stands there, inf and NaN too, does not matter."""
    embedding, labels = scene()
    wanted = value_and_gradient(embedding_loss, embedding, labels)
    void = (labels == 255)[:, None].expand_as(embedding)
    assert void.any() and (wanted[1][void] == 0).all()
    for bad in (5., float('nan'), float('inf')):
        got = value_and_gradient(embedding_loss, embedding.masked_fill(void, bad), labels)
        assert torch.equal(got[0], wanted[0]) and torch.equal(got[1], wanted[1])
    other = value_and_gradient(embedding_loss, embedding,
                               labels.masked_fill(labels == 255, -1), ignore_index=-1)
    assert torch.equal(other[0], wanted[0])


def test_all_void_is_zero():
    embedding, labels = scene()
    loss, grad = value_and_gradient(embedding_loss, embedding,
                                    torch.full_like(labels, 255))
    assert loss.item() == 0 and grad.tolist() == torch.zeros_like(grad).tolist()


def test_the_whole_batch_trains():
    """The released GPU layer saw image 0 alone."""
    embedding, labels = scene()
    _, grad = value_and_gradient(embedding_loss, embedding, labels)
    assert (grad.abs().sum((1, 2, 3)) > 0).all()
    # Without void, two images of one size have as many pairs: the mean of both.
    labels = labels.clamp(max=2)
    loss, grad = value_and_gradient(embedding_loss, embedding, labels)
    single = [value_and_gradient(embedding_loss, embedding[b:b + 1], labels[b:b + 1])
              for b in (0, 1)]
    torch.testing.assert_close(loss, (single[0][0] + single[1][0]) / 2)
    torch.testing.assert_close(grad, torch.cat([s[1] for s in single]) / 2)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('norm, power', list(itertools.product(NORMS, (1, 2))))
def test_half_precision_at_extreme_distances(norm, power, dtype):
    embedding = torch.zeros(1, 64, 4, 5, dtype=dtype)
    embedding[..., 2:] = 1e4
    labels = torch.zeros(1, 4, 5).long()
    loss, grad = value_and_gradient(embedding_loss, embedding, labels, norm=norm,
                                    power=power, dilations=1)
    assert loss.dtype == torch.float32 and loss.isfinite() and loss > 1e3
    assert grad.dtype == dtype
    if power == 1 and norm != 'sq':
        assert grad.isfinite().all()
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(embedding_loss(embedding, labels, norm=norm, power=power,
                                          dilations=1), loss)


@pytest.mark.parametrize('size', [(1, 1), (1, 4), (3, 1)])
def test_tiny_maps(size):
    embedding, labels = scene(*size)
    got, wanted = (value_and_gradient(f, embedding, labels)
                   for f in (embedding_loss, reference.embedding_loss))
    torch.testing.assert_close(got[0], wanted[0])
    torch.testing.assert_close(got[1], wanted[1])


def test_an_empty_batch():
    embedding, labels = scene(batch=0)
    loss, grad = value_and_gradient(embedding_loss, embedding, labels)
    assert loss.item() == 0 and grad.shape == embedding.shape


def test_non_contiguous_input_and_label_dtypes():
    embedding, labels = scene()
    wanted = embedding_loss(embedding, labels)
    turned = embedding.contiguous(memory_format=torch.channels_last)
    assert not turned.is_contiguous()
    torch.testing.assert_close(
        embedding_loss(turned, labels.transpose(1, 2).contiguous().transpose(1, 2)),
        wanted)
    assert torch.equal(embedding_loss(embedding, labels.to(torch.uint8)), wanted)


def test_two_runs_are_bit_equal():
    embedding, labels = scene(20, 30, dtype=torch.float32)
    runs = [value_and_gradient(embedding_loss, embedding, labels) for _ in range(2)]
    assert torch.equal(runs[0][0], runs[1][0]) and torch.equal(runs[0][1], runs[1][1])


def test_no_differences_are_saved():
    saved = []
    embedding, labels = scene(20, 30, dims=16)
    with saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        embedding_loss(embedding.requires_grad_(), labels)
    assert max(t.numel() for t in saved) == embedding.numel()
    assert sum(t.is_floating_point() and t.numel() > 1 for t in saved) == 1


@pytest.mark.parametrize('change, error, text', [
    (dict(labels=torch.zeros(2, 5, 5).long()), ValueError,
     r'labels has shape \(2, 5, 5\).*must be \(2, 5, 6\)'),
    (dict(labels=torch.zeros(2, 1, 5, 6).long()), ValueError,
     r'labels must have shape \(B, H, W\), got \(2, 1, 5, 6\)'),
    (dict(labels=torch.zeros(2, 5, 6)), TypeError, 'labels must hold integers'),
    (dict(labels=torch.zeros(2, 5, 6, device='meta').long()), ValueError,
     'labels is on meta, embedding on cpu'),
    (dict(embedding=torch.rand(2, 5, 6)), ValueError, 'embedding must have shape'),
    (dict(kernel_size=2), ValueError, 'kernel_size must be odd'),
    (dict(dilations=(1, 0)), ValueError, 'dilation must be at least 1, got 0'),
    (dict(dilations=()), ValueError, 'dilations must name at least one'),
    (dict(norm='cosine'), ValueError, "norm must be one of 'l1'"),
    (dict(power=3), ValueError, r'power must be in \[1, 2\], got 3'),
    (dict(alpha=-1.), ValueError, 'alpha must be at least 0'),
    (dict(beta='2'), TypeError, "beta must be a number, got '2'"),
])
def test_errors_name_the_argument(change, error, text):
    embedding, labels = scene()
    with pytest.raises(error, match=text):
        embedding_loss(**{**dict(embedding=embedding, labels=labels), **change})
