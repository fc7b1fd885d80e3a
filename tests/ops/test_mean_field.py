"""The segmentation-aware mean field: E5, the reference, and its limits."""


import pytest
import torch
from memory_program import PEAK_MEMORY
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from segaware_mm.ops import mean_field as module
from segaware_mm.ops.kernels import local_distance_torch, masked_sum_tap
from segaware_mm.ops.mean_field import segaware_mean_field
from segaware_mm.ops.reference import mean_field as reference

F64 = torch.float64
UNARY_E5 = torch.tensor([[[[2, 1, .2], [2, .2, 0]], [[0, .5, 1], [0, .5, 2]]]], dtype=F64)
EMBEDDING_E5 = torch.tensor([[[[0, 0, 1]] * 2]], dtype=F64)
E5 = dict(bilateral_kernel=3, bilateral_dilation=1, spatial_kernel=3,
          embedding_scale=3., bilateral_xy_scale=.5, spatial_xy_scale=.5)
SMALL = dict(bilateral_kernel=3, bilateral_dilation=2, spatial_kernel=5,
             embedding_scale=.8, bilateral_xy_scale=.3, spatial_xy_scale=.4)
NAMES = ('embedding_scale', 'bilateral_xy_scale', 'spatial_xy_scale', 'spatial_weight',
         'bilateral_weight', 'compatibility')


def maps(height=4, width=5, batch=2, classes=3, dims=2, seed=0, dtype=F64):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, classes, height, width, generator=generator,
                        dtype=F64).to(dtype),
            torch.randn(batch, dims, height, width, generator=generator,
                        dtype=F64).to(dtype))


def parameters(classes=3, seed=1):
    """Three scales and three matrices, in the order of NAMES."""
    generator = torch.Generator().manual_seed(seed)
    scales = [torch.tensor([v], dtype=F64) for v in (.8, -.3, .4)]
    return scales + [torch.randn(classes, classes, generator=generator, dtype=F64)
                     for _ in range(3)]


@pytest.mark.parametrize('function', [segaware_mean_field,
                                      reference.segaware_mean_field])
def test_e5(function):
    wanted = {1: [[3.303599, 2.243671, .715207], [3.287546, 1.548019, .760043]],
              2: [[3.516257, 2.347766, .751928], [3.507036, 1.618431, .637043]]}
    assert UNARY_E5[0, :, 1, 1].argmax() == 1
    for count, rows in wanted.items():
        out = function(UNARY_E5, EMBEDDING_E5, count, **E5)
        torch.testing.assert_close(out[0, 0], torch.tensor(rows, dtype=F64), atol=1e-6,
                                   rtol=0)
        assert out[0, :, 1, 1].argmax() == 0


def test_e5_messages():
    q = UNARY_E5.softmax(1)
    assert q[0, 0, 1].tolist() == pytest.approx([.880797, .425557, .119203], abs=1e-6)
    half, three = torch.tensor(.5, dtype=F64), torch.tensor(3., dtype=F64)
    spatial = module._kernel(EMBEDDING_E5, 3, 1, half)
    bilateral = module._kernel(EMBEDDING_E5, 3, 1, half, three)
    s, b = (masked_sum_tap.masked_sum(q, k, 1, False)[0, 0]
            for k in (spatial, bilateral))
    assert s[0, :2].tolist() == pytest.approx([.651799, .524424], abs=1e-6)
    assert [b[0, 1].item(), b[1, 1].item()] == pytest.approx([.719247, .786978], abs=1e-6)


def test_kernels_leave_out_centre_and_outside():
    kernel = module._kernel(EMBEDDING_E5, 3, 1, torch.tensor(.5, dtype=F64))
    assert (kernel[:, 4] == 0).all()
    assert (kernel[0, :, 0, 0] > 0).tolist() == [False] * 5 + [True, False, True, True]
    torch.testing.assert_close(kernel.sum(1), torch.ones(1, 2, 3, dtype=F64))


@pytest.mark.parametrize('size', [(4, 5), (1, 6), (2, 2), (1, 1)])
def test_parity_with_the_reference(size, monkeypatch):
    monkeypatch.setattr(masked_sum_tap, 'ELEMENTS', 1)
    monkeypatch.setattr(local_distance_torch, 'ELEMENTS', 1)
    tensors = [*maps(*size), *parameters()]
    results = []
    for function in (segaware_mean_field, reference.segaware_mean_field):
        leaves = [t.clone().requires_grad_() for t in tensors]
        out = function(leaves[0], leaves[1], 2, **dict(
            SMALL, **dict(zip(NAMES, leaves[2:]))))
        weight = torch.arange(out.numel(), dtype=F64).view_as(out).sin()
        grads = torch.autograd.grad((out * weight).sum(), leaves, allow_unused=True)
        results.append([out] + [torch.zeros_like(t) if g is None else g
                                for g, t in zip(grads, leaves)])
    for got, wanted in zip(*results):
        torch.testing.assert_close(got, wanted, atol=1e-10, rtol=1e-10)


def test_parity_with_the_released_sizes():
    """13x13 taps 9 pixels apart and features times 200."""
    unary, embedding = maps(12, 11, 1)
    got = segaware_mean_field(unary, embedding * .02)
    wanted = reference.segaware_mean_field(unary, embedding * .02)
    torch.testing.assert_close(got, wanted)
    single = segaware_mean_field(unary.float(), embedding.float() * .02)
    torch.testing.assert_close(single.double(), wanted, atol=1e-4, rtol=0)


def test_gradcheck():
    unary, embedding = maps(3, 3, 1)
    tensors = [t.requires_grad_() for t in (unary, embedding, *parameters())]
    assert gradcheck(
        lambda u, e, *p: segaware_mean_field(u, e, 2, 3, 1, 3, 1, *p), tensors)


def test_a_second_derivative_is_refused():
    unary, embedding = maps()
    unary.requires_grad_()
    grad, = torch.autograd.grad(
        segaware_mean_field(unary, embedding, **SMALL).square().sum(), unary,
        create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()


def test_defaults_are_identities():
    unary, embedding = maps()
    eye = torch.eye(3, dtype=F64)
    plain = segaware_mean_field(unary, embedding, **SMALL)
    torch.testing.assert_close(plain, segaware_mean_field(
        unary, embedding, **SMALL, spatial_weight=eye, bilateral_weight=eye,
        compatibility=-eye))
    tensors = {k: torch.tensor([SMALL[k]], dtype=F64) for k in NAMES[:3]}
    assert torch.equal(plain, segaware_mean_field(unary, embedding,
                                                  **{**SMALL, **tensors}))


def test_no_iteration_returns_the_unary():
    unary, embedding = maps()
    assert torch.equal(segaware_mean_field(unary, embedding, 0), unary)


@pytest.mark.parametrize('size', [(1, 1), (6, 9)])
def test_a_pixel_without_neighbours_gets_no_message(size):
    """Nothing is 9 pixels away, and the spatial window is switched off."""
    unary, embedding = maps(*size)
    unary.requires_grad_()
    embedding.requires_grad_()
    out = segaware_mean_field(unary, embedding, spatial_kernel=1)
    assert torch.equal(out, unary)
    grads = torch.autograd.grad(out.sum(), (unary, embedding))
    assert torch.equal(grads[0], torch.ones_like(unary))
    assert torch.equal(grads[1], torch.zeros_like(embedding))


def test_segments_stop_messages():
    """A hard edge in the embedding: the left half knows nothing of the right."""
    unary, _ = maps(4, 6, 1)
    embedding = torch.zeros(1, 1, 4, 6, dtype=F64)
    embedding[..., 3:] = 1.
    options = dict(bilateral_kernel=5, bilateral_dilation=1, spatial_kernel=1)
    out = segaware_mean_field(unary, embedding, **options)
    other = unary.clone()
    other[..., 3:] += 7 * torch.rand(1, 3, 4, 3, dtype=F64)
    changed = segaware_mean_field(other, embedding, **options)
    assert torch.equal(out[..., :3], changed[..., :3])
    other[..., 4] = float('nan')
    spoiled = segaware_mean_field(other, embedding, **options)
    assert torch.equal(out[..., :3], spoiled[..., :3])
    assert not spoiled[..., 3:].isfinite().any()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast(dtype):
    unary, embedding = maps(12, 13, dtype=dtype)
    unary, embedding = (unary * 300).requires_grad_(), (embedding * 1e4).requires_grad_()
    out = segaware_mean_field(unary, embedding)
    assert out.dtype == torch.float32 and out.isfinite().all()
    grads = torch.autograd.grad(out.square().mean(), (unary, embedding))
    assert all(g.isfinite().all() and g.dtype == dtype for g in grads)
    with torch.autocast('cpu', torch.bfloat16):
        again = segaware_mean_field(unary, embedding,
                                    compatibility=-torch.eye(3, dtype=dtype))
        assert torch.equal(again, out)


def test_a_batch_of_two_is_two_batches_of_one():
    """The released layer was never run with more than one image."""
    tensors = maps(12, 13, dtype=torch.float32)
    leaves = [t.requires_grad_() for t in tensors]
    both = segaware_mean_field(*leaves, **SMALL)
    grads = torch.autograd.grad(both.square().sum(), leaves)
    for b in (0, 1):
        single = [t.detach()[b:b + 1].requires_grad_() for t in tensors]
        one = segaware_mean_field(*single, **SMALL)
        torch.testing.assert_close(one, both[b:b + 1])  # last bits: the matmul's size
        for got, wanted in zip(torch.autograd.grad(one.square().sum(), single), grads):
            torch.testing.assert_close(got, wanted[b:b + 1])


def test_an_empty_batch_and_non_contiguous_input():
    unary, embedding = maps(batch=0)
    assert segaware_mean_field(unary, embedding).shape == unary.shape
    unary, embedding = maps()
    turned = [t.contiguous(memory_format=torch.channels_last)
              for t in (unary, embedding)]
    assert not turned[0].is_contiguous()
    torch.testing.assert_close(segaware_mean_field(*turned, **SMALL),
                               segaware_mean_field(unary, embedding, **SMALL))


def test_two_runs_are_bit_equal():
    runs = []
    for _ in range(2):
        unary, embedding = (t.requires_grad_() for t in maps(20, 24, dtype=torch.float32))
        out = segaware_mean_field(unary, embedding)
        runs.append((out, *torch.autograd.grad(out.square().sum(), (unary, embedding))))
    assert all(torch.equal(a, b) for a, b in zip(*runs))


def test_kernels_are_computed_once(monkeypatch):
    calls = []
    kernel = module._kernel
    monkeypatch.setattr(module, '_kernel', lambda *a: calls.append(1) or kernel(*a))
    segaware_mean_field(*maps(), num_iters=5, **SMALL)
    assert len(calls) == 2


def test_no_taps_of_the_classes_are_saved():
    saved = []
    unary, embedding = maps(10, 11, 1, classes=16, dims=16)
    with saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        segaware_mean_field(unary.requires_grad_(), embedding.requires_grad_(),
                            embedding_scale=torch.tensor(.5, requires_grad=True))
    assert max(t.numel() for t in saved) <= 169 * 110  # P * H * W


MEMORY_PROGRAM = PEAK_MEMORY + """
import torch
from segaware_mm.ops.mean_field import segaware_mean_field
def run(size):
    unary = torch.randn(1, 32, size, size, requires_grad=True)
    embedding = torch.randn(1, 32, size, size, requires_grad=True)
    scale = torch.tensor(.1, requires_grad=True)
    before = start_peak()
    out = segaware_mean_field(unary, embedding, embedding_scale=scale)
    out.sum().backward()
    return peak_mb(before)
run(4)
print(run(96))
"""


def test_no_taps_of_the_classes_exist(last_line):
    """P*H*W are 6 MB, P*C*H*W 199 MB."""
    used = float(last_line(MEMORY_PROGRAM))
    assert used < 110, f'{used:.0f} MB beyond the inputs'


@pytest.mark.parametrize('change, error, text', [
    (dict(unary=torch.rand(3, 4, 5)), ValueError,
     r'unary must have shape \(B, C, H, W\)'),
    (dict(embedding=torch.rand(2, 2, 5, 4)), ValueError,
     r'embedding has shape \(2, 2, 5, 4\).*must be \(2, 2, 4, 5\)'),
    (dict(embedding=torch.rand(2, 2, 4, 5, device='meta')), ValueError,
     'embedding is on meta, unary on cpu'),
    (dict(num_iters=-1), ValueError, 'num_iters must be at least 0'),
    (dict(num_iters=1.5), TypeError, 'num_iters must be an integer'),
    (dict(bilateral_kernel=4), ValueError, 'bilateral_kernel must be odd.*got 4'),
    (dict(bilateral_dilation=0), ValueError, 'bilateral_dilation must be at least 1'),
    (dict(spatial_kernel='5'), TypeError, 'spatial_kernel must be an integer'),
    (dict(spatial_dilation=0), ValueError, 'spatial_dilation must be at least 1'),
    (dict(embedding_scale=torch.ones(2)), ValueError,
     r'embedding_scale must be.*got shape \(2,\)'),
    (dict(spatial_xy_scale='1'), TypeError, "spatial_xy_scale must be a number, got '1'"),
    (dict(bilateral_xy_scale=torch.ones(1).long()), TypeError,
     'bilateral_xy_scale must be floating point'),
    (dict(compatibility=torch.eye(2)), ValueError,
     r'compatibility has shape \(2, 2\).*must be \(3, 3\)'),
    (dict(spatial_weight=torch.ones(3)), ValueError, r'spatial_weight must have shape'),
])
def test_errors_name_the_argument(change, error, text):
    unary, embedding = maps()
    with pytest.raises(error, match=text):
        segaware_mean_field(**{**dict(unary=unary, embedding=embedding), **change})
