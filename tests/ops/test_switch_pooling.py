"""Pooling with switches: T3, equality with the reference and with torch, gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from segaware_mm.ops import switch_pooling as ops
from segaware_mm.ops.reference import switch_pooling as reference

F64 = torch.float64
T3 = torch.tensor([[[[1, 5, 2, 2], [3, 4, 2, 0], [0, -1, 7, 6], [-2, -3, 8, 9]]]],
                  dtype=F64)


def rand(*shape, seed=0, dtype=F64):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=F64).to(dtype)


@pytest.mark.parametrize('module', [ops, reference])
def test_t3(module):
    pooled, switches = module.pool_with_switches(T3)
    assert pooled[0, 0].tolist() == [[5, 2], [0, 9]]
    assert switches[0, 0].tolist() == [[1, 2], [8, 15]]
    out = module.unpool(10 * pooled, switches, (4, 4))[0, 0]
    wanted = torch.zeros(4, 4, dtype=F64)
    wanted[0, 1], wanted[0, 2], wanted[3, 3] = 50, 20, 90
    assert torch.equal(out, wanted)


@pytest.mark.parametrize('ceil_mode', [False, True])
@pytest.mark.parametrize('size', [(4, 6), (5, 7), (3, 2), (2, 9), (2, 2)])
def test_equals_reference_and_torch(size, ceil_mode):
    x = rand(2, 3, *size)
    pooled, switches = ops.pool_with_switches(x, ceil_mode=ceil_mode)
    slow, slow_switches = reference.pool_with_switches(x, ceil_mode=ceil_mode)
    assert switches.dtype == torch.int64
    assert torch.equal(pooled, slow) and torch.equal(switches, slow_switches)
    values = rand(*pooled.shape, seed=5)
    out = ops.unpool(values, switches, size)
    assert torch.equal(out, reference.unpool(values, switches, size))
    assert torch.equal(out, F.max_unpool2d(values, switches, 2, 2, output_size=size))


@pytest.mark.parametrize('options', [
    dict(kernel_size=3, stride=3), dict(kernel_size=2, stride=3),
    dict(kernel_size=2, stride=2, padding=1), dict(kernel_size=1, stride=2)])
def test_other_windows(options):
    x = rand(1, 2, 7, 8)
    pooled, switches = ops.pool_with_switches(x, **options)
    slow = reference.pool_with_switches(x, **options)
    assert torch.equal(pooled, slow[0]) and torch.equal(switches, slow[1])
    back = ops.unpool(pooled, switches, (7, 8))
    low = torch.full_like(back, -99)
    again, same = ops.pool_with_switches(torch.where(back == 0, low, back), **options)
    assert torch.equal(again, pooled) and torch.equal(same, switches)


@pytest.mark.parametrize('ceil_mode', [False, True])
def test_pooling_undoes_unpooling(ceil_mode):
    """Of positive maxima, as ReLU leaves them."""
    pooled, switches = ops.pool_with_switches(rand(2, 3, 5, 6).abs(), ceil_mode=ceil_mode)
    back = ops.unpool(pooled, switches, (5, 6))
    assert torch.equal(ops.pool_with_switches(back, ceil_mode=ceil_mode)[0], pooled)


def test_shared_switches_serve_all_channels():
    switches = ops.pool_with_switches(rand(2, 1, 5, 6), ceil_mode=True)[1]
    values = rand(2, 4, 3, 3)
    out = ops.unpool(values, switches, (5, 6))
    assert torch.equal(out, ops.unpool(values, switches.repeat(1, 4, 1, 1), (5, 6)))
    assert torch.equal(out, reference.unpool(values, switches, (5, 6)))


def test_output_size_decides_among_sizes():
    x = rand(1, 1, 5, 5)
    pooled, switches = ops.pool_with_switches(x)
    odd = ops.unpool(pooled, switches, 5)
    assert torch.equal(odd, torch.where(odd != 0, x, torch.zeros_like(x)))
    assert (odd[..., 4, :] == 0).all()


@pytest.mark.parametrize('shape', [(0, 3, 4, 4), (2, 1, 1, 1)])
def test_empty_and_one_pixel(shape):
    pooled, switches = ops.pool_with_switches(rand(*shape), ceil_mode=True)
    assert pooled.shape == (*shape[:2], (shape[2] + 1) // 2, (shape[3] + 1) // 2)
    assert ops.unpool(pooled, switches, shape[2:]).shape == shape


def test_non_contiguous():
    x = rand(2, 3, 6, 5).transpose(2, 3)
    pooled, switches = ops.pool_with_switches(x)
    solid = ops.pool_with_switches(x.contiguous())
    assert torch.equal(pooled, solid[0]) and torch.equal(switches, solid[1])
    turned = pooled.transpose(2, 3).contiguous().transpose(2, 3)
    places = switches.transpose(2, 3).contiguous().transpose(2, 3)
    assert torch.equal(ops.unpool(turned, places, (5, 6)),
                       ops.unpool(pooled, switches, (5, 6)))


@pytest.mark.parametrize('planes', [1, 2])
def test_gradients(planes):
    x = rand(2, 2, 5, 4)
    assert gradcheck(lambda t: ops.pool_with_switches(t, ceil_mode=True)[0],
                     x.requires_grad_())
    switches = ops.pool_with_switches(rand(2, planes, 5, 4), ceil_mode=True)[1]
    values = rand(2, 2, 3, 2).requires_grad_()
    assert gradcheck(lambda t: ops.unpool(t, switches, (5, 4)), values)
    weight = rand(2, 2, 5, 4, seed=3)
    got, = torch.autograd.grad((ops.unpool(values, switches, (5, 4)) * weight).sum(),
                               values)
    slow, = torch.autograd.grad(
        (reference.unpool(values, switches, (5, 4)) * weight).sum(), values)
    assert torch.equal(got, slow)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_formats_and_extreme_values(dtype):
    x = torch.full((1, 2, 4, 4), torch.finfo(dtype).min, dtype=dtype)
    x[..., 1, 1] = torch.finfo(dtype).max
    with torch.autocast('cpu', dtype=torch.bfloat16):
        pooled, switches = ops.pool_with_switches(x)
        out = ops.unpool(pooled, switches, (4, 4))
    assert pooled.dtype == out.dtype == dtype and switches.dtype == torch.int64
    assert out.isfinite().all() and out[0, 0, 1, 1] == torch.finfo(dtype).max


def test_equal_maxima_first_wins_and_minus_infinity():
    x = torch.full((1, 1, 4, 4), -float('inf'))
    assert ops.pool_with_switches(x)[1].flatten().tolist() == [0, 2, 8, 10]
    assert ops.pool_with_switches(torch.zeros(1, 1, 4, 4))[1].flatten().tolist() == [
        0, 2, 8, 10]


def test_determinism():
    x = rand(2, 3, 8, 8)
    runs = [ops.unpool(*ops.pool_with_switches(x), 8) for _ in range(2)]
    assert torch.equal(*runs)


@pytest.mark.parametrize('x, options, text', [
    (torch.zeros(2, 4, 4), {}, r'x must have shape \(B, C, H, W\), got \(2, 4, 4\)'),
    (torch.zeros(1, 1, 4, 4, dtype=torch.int64), {}, 'x must be floating point'),
    (torch.zeros(1, 0, 4, 4), {}, 'x must have at least one channel and one pixel'),
    (torch.zeros(1, 1, 4, 4), dict(kernel_size=0), 'kernel_size must be at least 1'),
    (torch.zeros(1, 1, 4, 4), dict(stride=1.5), 'stride must be an integer, got 1.5'),
    (torch.zeros(1, 1, 4, 4), dict(padding=2), r'padding must be in \[0, 1\], got 2'),
    (torch.zeros(1, 1, 1, 4), {},
     r'no window of 2 x 2 fits into it. Use ceil_mode=True'),
])
def test_pool_errors(x, options, text):
    with pytest.raises((TypeError, ValueError), match=text):
        ops.pool_with_switches(x, **options)


@pytest.mark.parametrize('x, switches, size, text', [
    (torch.zeros(2, 2), torch.zeros(1, 1, 2, 2).long(), 4, 'x must have shape'),
    (torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), 4, 'switches must hold integers'),
    (torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2).int(), 4,
     'switches must be int64, got torch.int32'),
    (torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, 2).long(), 4,
     r'switches has shape \(1, 2, 2, 2\); with x \(1, 3, 2, 2\) it must be'),
    (torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2).long(), 'large', 'output_size'),
    (torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 16), (4, 4),
     r'switches name the places 16..16; an output_size of \(4, 4\) has 0..15'),
    (torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), -1), (4, 4), 'places -1..-1'),
])
def test_unpool_errors(x, switches, size, text):
    with pytest.raises((TypeError, ValueError), match=text):
        ops.unpool(x, switches, size)


def test_shared_switches_are_not_copied(peak_memory):
    """64 channels of 256 x 256: the result has 16 MB, expanded switches had 8 MB."""
    used = peak_memory(
        """
        from segaware_mm.ops.switch_pooling import unpool
        x = torch.ones(1, 64, 128, 128)
        switches = torch.arange(128)[:, None] * 512 + torch.arange(128) * 2
        switches = switches[None, None]
        unpool(x[:, :, :2, :2], switches[:, :, :2, :2], 256)
        """, 'out = unpool(x, switches, 256)')
    assert used < 20
