"""Attention over positions: worked numbers, the table of pairs, gradients, memory."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.autograd.functional import jacobian

from segaware_mm.ops import (
    attended_feature,
    densify,
    position_softmax,
    similarity_map,
)
from segaware_mm.ops.reference import attention_map as reference

F64 = torch.float64
#: The example of the equations: two channels on a map of 2 x 2.
A = torch.tensor([[[[1., 0], [2, 1]], [[0, 3], [1, 1]]]], dtype=F64)
#: Logits of the attention of three labels, and its weights.
LOGITS = torch.tensor([[.73, .66, .795, -.07], [.755, 2.71, 1.8325, 1.955],
                       [.255, .21, .3325, -.045]], dtype=F64)
WEIGHTS = [[.289949, .270347, .309422, .130283], [.069826, .493243, .205101, .23183],
           [.264733, .253084, .286065, .196119]]


def rand(*shape, seed=0, dtype=F64):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=F64).to(dtype)


def job(batch=2, channels=3, size=(4, 5), dtype=F64):
    features = rand(batch, channels, *size)
    return features.to(dtype), reference.position_softmax(
        rand(batch, 1, *size, seed=5)).to(dtype)


def gradients(function, tensors):
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    out = function(*leaves)
    weight = rand(*out.shape, seed=9).to(out.dtype)
    return (out.detach(), *torch.autograd.grad((out * weight).sum(), leaves))


# ------------------------------------------------------------------ worked numbers


def test_weights_of_three_labels():
    weights = position_softmax(LOGITS.view(3, 1, 2, 2))
    torch.testing.assert_close(weights.flatten(1), torch.tensor(WEIGHTS, dtype=F64),
                               atol=1e-6, rtol=0)


def test_dense_map_of_a_label():
    alpha = position_softmax(LOGITS[:1].view(1, 1, 2, 2))
    z = attended_feature(A, alpha)
    s = densify(A, alpha)
    torch.testing.assert_close(z, torch.tensor([[1.039075, 1.250744]], dtype=F64),
                               atol=1e-6, rtol=0)
    wanted = torch.tensor([[[[1.039075, 3.752233], [3.328894, 2.289819]]]], dtype=F64)
    torch.testing.assert_close(s, wanted, atol=1e-6, rtol=0)
    assert torch.equal(s, similarity_map(A, z))


def test_attention_on_one_position_gives_its_column_of_the_table():
    alpha = torch.tensor([[[[0., 1], [0, 0]]]], dtype=F64)
    assert densify(A, alpha).tolist() == [[[[0, 9], [3, 3]]]]


def test_the_gradient_to_the_attention_is_the_table_of_pairs():
    rows = A[0].flatten(1)
    table = jacobian(lambda a: densify(A, a.view(1, 1, 2, 2)).flatten(),
                     torch.tensor(WEIGHTS[0], dtype=F64))
    torch.testing.assert_close(table, rows.T @ rows)


# ---------------------------------------------------------- parity, gradients, shapes


@pytest.mark.parametrize('size', [(4, 5), (1, 1), (1, 6), (5, 1)])
def test_values_and_gradients_match_the_reference(size):
    tensors = job(size=size)
    for fast, slow in ((densify, reference.densify),
                       (attended_feature, reference.attended_feature)):
        for got, wanted in zip(gradients(fast, tensors), gradients(slow, tensors)):
            torch.testing.assert_close(got, wanted)
    logits = rand(3, 1, *size)
    valid = rand(3, 1, *size, seed=3) > 0
    valid[0] = False
    for mask in (None, valid, valid[1:2]):
        got, wanted = (gradients(lambda x, f=f, m=mask: f(x, m), (logits, ))
                       for f in (position_softmax, reference.position_softmax))
        for a, b in zip(got, wanted):
            torch.testing.assert_close(a, b)


def test_gradcheck():
    features, alpha = (t.requires_grad_() for t in job(2, 3, (2, 3)))
    assert gradcheck(densify, (features, alpha))
    assert gradcheck(attended_feature, (features, alpha))
    assert gradcheck(similarity_map, (features, rand(2, 3).requires_grad_()))
    logits = rand(2, 1, 2, 3).requires_grad_()
    valid = torch.tensor([[1, 1, 0], [0, 1, 1]], dtype=torch.bool).view(1, 1, 2, 3)
    assert gradcheck(position_softmax, (logits, ))
    assert gradcheck(lambda x: position_softmax(x, valid), (logits, ))


def test_strided_input_and_two_runs_give_the_same():
    tensors = job(2, 4, (5, 6))
    turned = (tensors[0].contiguous(memory_format=torch.channels_last),
              tensors[1].transpose(2, 3).contiguous().transpose(2, 3))
    assert not turned[1].is_contiguous()
    first = gradients(densify, tensors)
    for a, b, c in zip(first, gradients(densify, turned), gradients(densify, tensors)):
        torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-14)
        assert torch.equal(a, c)
    logits = rand(2, 1, 5, 6)
    turned = logits.transpose(2, 3).contiguous().transpose(2, 3)
    assert torch.equal(position_softmax(turned), position_softmax(logits))


def test_no_pairs():
    features = rand(0, 3, 4, 5).requires_grad_()
    alpha = position_softmax(rand(0, 1, 4, 5))
    out = densify(features, alpha)
    assert out.shape == (0, 1, 4, 5)
    out.sum().backward()
    assert features.grad.shape == features.shape


def test_what_is_outside_gets_nothing():
    """Neither weight nor gradient, and no NaN, whatever the logits are there."""
    logits = rand(2, 1, 3, 4)
    logits[:, :, 2] = torch.tensor([float('nan'), float('inf'), -float('inf'), 1e30])
    valid = torch.ones(2, 1, 3, 4, dtype=torch.bool)
    valid[:, :, 2] = False
    valid[1] = False
    logits.requires_grad_()
    weights = position_softmax(logits, valid)
    assert weights[0].sum().item() == pytest.approx(1)
    assert (weights[0, :, 2] == 0).all() and (weights[1] == 0).all()
    (weights * rand(2, 1, 3, 4, seed=4)).sum().backward()
    assert logits.grad.isfinite().all() and (logits.grad[:, :, 2] == 0).all()
    assert (logits.grad[1] == 0).all() and logits.grad[0].abs().sum() > 0


# ------------------------------------------------------------------ number formats


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_extreme_half_precision_is_finite(dtype):
    """65504^2 * 512 is far beyond half precision."""
    features = torch.full((1, 512, 4, 5), 6e4, dtype=dtype, requires_grad=True)
    logits = (rand(1, 1, 4, 5) * 3e4).clamp(-6e4, 6e4).to(dtype).requires_grad_()
    alpha = position_softmax(logits)
    out = densify(features, alpha)
    assert alpha.dtype == out.dtype == torch.float32
    assert alpha.sum().item() == pytest.approx(1) and out.isfinite().all()
    (out.mean() * 1e-12).backward()
    assert features.grad.dtype == logits.grad.dtype == dtype
    assert features.grad.isfinite().all() and logits.grad.isfinite().all()


def test_autocast_changes_nothing():
    features, alpha = job(dtype=torch.float32)
    logits = rand(2, 1, 4, 5, dtype=torch.float32)
    with torch.autocast('cpu', torch.bfloat16):
        got = densify(features, alpha), position_softmax(logits)
        wide = densify(features.double(), alpha.double())
    assert torch.equal(got[0], densify(features, alpha))
    assert torch.equal(got[1], position_softmax(logits)) and wide.dtype == F64
    assert densify(features.bfloat16(), alpha).dtype == torch.float32
    assert densify(features, alpha.double()).dtype == F64


# ---------------------------------------------------------------------- memory


def test_no_table_of_pairs_exists(peak_memory):
    """A map of 128 x 128: 1.07 GB of pairs, 8.4 MB of features."""
    used = peak_memory(
        """
        from segaware_mm.ops import densify, position_softmax
        features = torch.rand(1, 128, 128, 128, requires_grad=True)
        logits = torch.rand(1, 1, 128, 128, requires_grad=True)
        densify(features[..., :2, :2], position_softmax(logits[..., :2, :2])).sum()
        """, 'densify(features, position_softmax(logits)).sum().backward()')
    # The gradient, twice while both parts of it are added: 17 MB; and small maps.
    assert used < 60, f'{used:.0f} MB'


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize('change, error, text', [
    (dict(features=torch.rand(2, 4, 5)), ValueError,
     r'features must have shape \(B, C, H, W\), got \(2, 4, 5\)'),
    (dict(features=torch.ones(2, 3, 4, 5).long()), TypeError,
     'features must be floating point'),
    (dict(features=torch.rand(2, 3, 0, 5)), ValueError, 'at least one channel and one'),
    (dict(attention=torch.rand(2, 2, 4, 5)), ValueError,
     r'attention has shape \(2, 2, 4, 5\); with features .* must be \(2, 1, 4, 5\)'),
    (dict(attention=torch.rand(1, 1, 4, 5)), ValueError, r'must be \(2, 1, 4, 5\)'),
    (dict(attention=torch.rand(2, 1, 4, 5, device='meta')), ValueError,
     'attention is on meta, features on cpu; move one of them'),
    (dict(attention=None), TypeError, 'attention must be a tensor')])
def test_errors_of_the_dense_map(change, error, text):
    arguments = dict(features=torch.rand(2, 3, 4, 5), attention=torch.rand(2, 1, 4, 5))
    for function in (densify, attended_feature):
        with pytest.raises(error, match=text):
            function(**{**arguments, **change})


@pytest.mark.parametrize('vector, error, text', [
    (torch.rand(2, 3, 1), ValueError, r'vector must have shape \(B, C\)'),
    (torch.rand(2, 4), ValueError, r'vector has shape \(2, 4\).* must be \(2, 3\)'),
    (torch.rand(2, 3, device='meta'), ValueError, 'vector is on meta')])
def test_errors_of_the_similarity(vector, error, text):
    with pytest.raises(error, match=text):
        similarity_map(torch.rand(2, 3, 4, 5), vector)


@pytest.mark.parametrize('logits, valid, error, text', [
    (torch.rand(2, 3, 4, 5), None, ValueError,
     r'logits has shape \(2, 3, 4, 5\); with one map an image it must be '
     r'\(2, 1, 4, 5\)'),
    (torch.rand(2, 1, 0, 5), None, ValueError, 'logits must have at least one'),
    (torch.rand(2, 1, 4, 5), torch.ones(2, 1, 4, 5), TypeError,
     'valid must be a bool tensor, got torch.float32'),
    (torch.rand(2, 1, 4, 5), 3, TypeError, 'valid must be a bool tensor, got int'),
    (torch.rand(2, 1, 4, 5), torch.ones(2, 1, 5, 4).bool(), ValueError,
     r'valid has shape \(2, 1, 5, 4\).* must be \(2, 1, 4, 5\)'),
    (torch.rand(2, 1, 4, 5), torch.ones(2, 1, 4, 5, device='meta').bool(), ValueError,
     'valid is on meta')])
def test_errors_of_the_softmax(logits, valid, error, text):
    with pytest.raises(error, match=text):
        position_softmax(logits, valid)
