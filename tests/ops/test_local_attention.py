"""Distances, masks and masked convolutions against E1-E3, E6, E7 and the reference."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from memory_program import PEAK_MEMORY
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from segaware_mm.ops import local_attention as ops
from segaware_mm.ops.kernels import local_distance_torch, masked_conv_tap, masked_sum_tap
from segaware_mm.ops.reference import local_attention as reference

F64 = torch.float64
NORMS = ('l1', 'l2', 'sq')
BORDERS = ('zero', 'drop')
NORMALIZATIONS = ('none', 'sum', 'mean')
MASK_OPTIONS = list(itertools.product(BORDERS, NORMALIZATIONS))


@pytest.fixture(params=['tap', 'dcn', 'reference'])
def impl(request):
    """Every implementation that can run here."""
    if request.param == 'dcn':
        pytest.importorskip('mmcv.ops', reason="mmcv's operators are absent",
                            exc_type=ImportError)
    return request.param


@pytest.fixture
def short_bands(monkeypatch):
    """Bands of one row, so that small maps have several."""
    monkeypatch.setattr(masked_conv_tap, 'CPU_ELEMENTS', 1)
    monkeypatch.setattr(masked_sum_tap, 'ELEMENTS', 1)
    monkeypatch.setattr(local_distance_torch, 'ELEMENTS', 1)


def rand(*shape, seed=0, dtype=F64):
    """Normal numbers that are the same in every run."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, dtype=F64).to(dtype)


def masks(*shape, seed=0, dtype=F64):
    """Positive masks."""
    return rand(*shape, seed=seed).sigmoid().to(dtype)


def job(size=(5, 6), channels=4, outputs=8, kernel=3, stride=1, groups=1, planes=1,
        batch=2, dtype=F64):
    """Arguments of masked_conv2d: x, weight, mask, bias."""
    out = [-(-n // stride) for n in size]
    return (rand(batch, channels, *size, dtype=dtype),
            rand(outputs, channels // groups, kernel, kernel, dtype=dtype),
            masks(batch, planes * kernel**2, *out, dtype=dtype),
            rand(outputs, dtype=dtype))


def gradients(function, tensors, seed=9):
    """The result, and its gradients under random weights."""
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    out = function(*leaves)
    weight = rand(*out.shape, seed=seed).to(out.dtype)
    return (out.detach(), *torch.autograd.grad((out * weight).sum(), leaves))


def assert_same(got, wanted, atol=1e-11):
    for a, b in zip(got, wanted):
        torch.testing.assert_close(a, b, atol=atol, rtol=atol)


# ------------------------------------------------------------ worked numbers

TWO_PARTS = torch.tensor([[[[0, 0, 2], [0, 0, 2], [0, 1, 2]], [[0, 0, 1]] * 3]],
                         dtype=F64)
ONE_TO_NINE = torch.arange(1., 10., dtype=F64).view(1, 1, 3, 3)
SOBEL = torch.tensor([[[[1, 0, -1], [2, 0, -2], [1, 0, -1]]]], dtype=F64)


@pytest.mark.parametrize('norm, last', [
    ('l1', [3, 3, 3]), ('l2', [5**.5] * 3), ('sq', [2.5] * 3)])
@pytest.mark.parametrize('distance', [ops.local_distance, reference.local_distance])
def test_e1_distances(distance, norm, last):
    window = distance(TWO_PARTS, 3, norm=norm)[0, :, 1, 1].view(3, 3)
    one = .5 if norm == 'sq' else 1
    assert window[:, :2].tolist() == [[0, 0], [0, 0], [0, one]]
    assert window[:, 2].tolist() == pytest.approx(last)


def test_e1_outside_is_zero():
    corner = ops.local_distance(TWO_PARTS, 3, dilation=2)[0, :, 0, 0]
    assert corner.view(3, 3).tolist() == [[0, 0, 0], [0, 0, 3], [0, 0, 3]]


def test_e2_masks():
    def at(y, x, **options):
        mask = ops.local_attention_mask(TWO_PARTS, 3, hardness=.5, **options)
        return mask[0, :, y, x].view(3, 3)

    wanted = [[1, 1, .223130], [1, 1, .223130], [1, .606531, .223130]]
    torch.testing.assert_close(at(1, 1), torch.tensor(wanted, dtype=F64), atol=1e-6,
                               rtol=0)
    share = at(1, 1, normalize='sum')
    assert share[0, 0].item() == pytest.approx(.159339, abs=1e-6)
    assert share[0, 2].item() == pytest.approx(.035553, abs=1e-6)
    assert share[2, 1].item() == pytest.approx(.096644, abs=1e-6)
    assert at(0, 0, normalize='sum').flatten().tolist() == pytest.approx([1 / 9] * 9)
    dropped = at(0, 0, normalize='sum', border='drop')
    assert dropped.tolist() == [[0, 0, 0], [0, .25, .25], [0, .25, .25]]


@pytest.mark.parametrize('options, wanted', [
    (dict(hardness=0.),
     [-8.75, -5.75, 9.25, -19.75, -7.75, 20.25, -20.75, -5.75, 21.25]),
    (dict(), [-8.75, 3.572438, 2.258171, -16.602245, 10.894876, 5.870597, -14.454491,
              2.338445, 7.251722]),
    (dict(normalize='sum'),
     [-.75, .696189, .519689, -1.708076, 1.946146, 1.074843, -1.458527, .568586,
      1.172370]),
    (dict(normalize='sum', border='drop'),
     [-2, .997243, 1.070915, -2.755824, 1.946146, 1.723621, -3.827184, .837409,
      2.952314])])
def test_e3_convolution(options, wanted, impl):
    mask = ops.local_attention_mask(TWO_PARTS, 3, **{'hardness': .5, **options})
    bias = torch.tensor([.25], dtype=F64)
    out = ops.masked_conv2d(ONE_TO_NINE, SOBEL, mask, bias, impl=impl)
    assert out.flatten().tolist() == pytest.approx(wanted, abs=1e-6)


def test_e6_cascade(impl):
    scores = torch.tensor([[[[3, 0, 3, 0, 1]]]], dtype=F64)
    embedding = torch.tensor([[[[0, 0, 0, 1, 1]]]], dtype=F64)
    mask = ops.local_attention_mask(embedding, 3, hardness=2., border='drop')
    for wanted in ([1.5, 2, 1.404932, .658447, .5],
                   [1.75, 1.634977, 1.636297, .631556, .579224],
                   [1.692489, 1.673758, 1.572, .670728, .605390]):
        scores = ops.masked_mean(scores, mask, impl=impl)
        assert scores.flatten().tolist() == pytest.approx(wanted, abs=1e-6)


def test_e7_limits(impl):
    region = torch.tensor([[[[0, 0, 1], [0, 0, 1], [1, 1, 1]]]], dtype=F64)

    def filtered(hardness):
        mask = ops.local_attention_mask(region, 3, hardness=hardness, border='drop')
        return ops.masked_mean(ONE_TO_NINE, mask, impl=impl).flatten().tolist()

    box = F.avg_pool2d(ONE_TO_NINE, 3, 1, 1, count_include_pad=False)
    assert filtered(0) == pytest.approx(box.flatten().tolist())
    assert filtered(100) == pytest.approx(
        [3, 3, 4.5, 3, 3, 6.5, 7.5, 7.5, 7.666667], abs=1e-6)


# ------------------------------------------------------------------- parity

WINDOWS = list(itertools.product((1, 3, 5), (1, 2), (1, 2, 12)))


@pytest.mark.parametrize('norm', NORMS)
@pytest.mark.parametrize('kernel, stride, dilation', WINDOWS)
def test_distances_match_the_reference(kernel, stride, dilation, norm, short_bands):
    embedding = rand(2, 3, 6, 14).mul(4).round()  # with equal neighbours
    got, wanted = (
        gradients(lambda e, f=f: f(e, kernel, dilation, stride, norm), [embedding])
        for f in (ops.local_distance, reference.local_distance))
    assert got[0].shape == (2, kernel**2, -(-6 // stride), -(-14 // stride))
    assert_same(got, wanted)


@pytest.mark.parametrize('border, normalize', MASK_OPTIONS)
@pytest.mark.parametrize('hardness', [.7, -.7, 0.])
def test_masks_match_the_reference(hardness, border, normalize):
    tensors = [rand(2, 3, 5, 7), torch.tensor([hardness], dtype=F64)]
    for window in ((3, 1, 1), (3, 3, 2)):
        got, wanted = (
            gradients(lambda e, h, f=f, window=window: f(
                e, *window, 'l1', h, border, normalize), tensors)
            for f in (ops.local_attention_mask, reference.local_attention_mask))
        assert_same(got, wanted)


@pytest.mark.parametrize('kernel, stride, dilation', WINDOWS)
def test_convolutions_match_the_reference(kernel, stride, dilation, impl, short_bands):
    for groups, planes in ((1, 1), (2, 4), (4, 2)):
        tensors = job((5, 14), kernel=kernel, stride=stride, groups=groups,
                      planes=planes)
        got, wanted = (
            gradients(lambda *t, groups=groups, name=name: ops.masked_conv2d(
                *t, stride, dilation, groups, name), tensors)
            for name in (impl, 'reference'))
        assert_same(got, wanted)


@pytest.mark.parametrize('kernel', [1, 3, 5])
@pytest.mark.parametrize('dilation', [1, 2, 12])
def test_means_match_the_reference(kernel, dilation, impl, short_bands):
    x, mask = rand(2, 3, 5, 14), masks(2, kernel**2, 5, 14)
    mask[0, :, 2, 3] = 0
    got, wanted = (
        gradients(lambda x, m, name=name: ops.masked_mean(x, m, dilation, name),
                  [x, mask]) for name in (impl, 'reference'))
    assert (got[0][0, :, 2, 3] == 0).all()
    assert_same(got, wanted)


def test_the_reference_without_masks_is_torch():
    x, weight, mask, bias = job(groups=2, stride=2)
    got = reference.masked_conv2d(x, weight, torch.ones_like(mask), bias, 2, 2, 2)
    torch.testing.assert_close(got, F.conv2d(x, weight, bias, 2, 2, 2, 2))


# ---------------------------------------------------------------- gradcheck


@pytest.mark.parametrize('norm', NORMS)
@pytest.mark.parametrize('stride', [1, 2])
def test_gradcheck_of_distances(stride, norm):
    assert gradcheck(lambda e: ops.local_distance(e, 3, 2, stride, norm),
                     (rand(1, 2, 4, 5).requires_grad_(), ))


@pytest.mark.parametrize('border, normalize', MASK_OPTIONS)
def test_gradcheck_of_masks(border, normalize):
    embedding = rand(1, 2, 3, 4).requires_grad_()
    for hardness in (.6, -.6):
        hardness = torch.tensor(hardness, dtype=F64, requires_grad=True)
        assert gradcheck(
            lambda e, h: ops.local_attention_mask(e, 3, 1, 1, 'sq', h, border, normalize),
            (embedding, hardness))


@pytest.mark.parametrize('stride, dilation, groups, planes', [
    (1, 1, 1, 1), (2, 1, 2, 2), (1, 2, 2, 4)])
def test_gradcheck_of_convolutions(stride, dilation, groups, planes, impl):
    tensors = job((3, 4), 4, 4, 3, stride, groups, planes, batch=1)
    tensors[2][0, 1, 1, 1] = 0  # a mask of 0 has a gradient too
    assert gradcheck(lambda *t: ops.masked_conv2d(*t, stride, dilation, groups, impl),
                     [t.requires_grad_() for t in tensors])


def test_gradcheck_of_means(impl):
    assert gradcheck(lambda x, m: ops.masked_mean(x, m, 2, impl),
                     (rand(1, 2, 3, 4).requires_grad_(),
                      masks(1, 9, 3, 4).requires_grad_()))


def test_gradcheck_from_the_embedding_to_the_output():
    x, weight, _, bias = job((3, 4), 2, 2, batch=1)

    def network(e, h):
        mask = ops.local_attention_mask(e, 3, hardness=h, border='drop',
                                        normalize='mean')
        return ops.masked_conv2d(x, weight, mask, bias)

    assert gradcheck(network, (rand(1, 2, 3, 4).requires_grad_(),
                               torch.tensor([.3], dtype=F64, requires_grad=True)))


def test_a_second_derivative_is_refused():
    x, weight, mask, _ = job()
    calls = [
        (x, lambda t: ops.local_distance(t, 3, norm='sq')),
        (x, lambda t: ops.local_attention_mask(t, 3)),
        (x, lambda t: ops.masked_conv2d(t, weight, mask)),
        (mask, lambda t: ops.masked_mean(x, t))]
    for tensor, function in calls:
        leaf = tensor.clone().requires_grad_()
        grad, = torch.autograd.grad(function(leaf).square().sum(), leaf,
                                    create_graph=True)
        with pytest.raises(RuntimeError, match='once_differentiable'):
            grad.sum().backward()


# ------------------------------------------------- masks of ones, of nothing


@pytest.mark.parametrize('dtype', [torch.float32, F64, torch.bfloat16])
@pytest.mark.parametrize('stride, dilation, groups, planes', [
    (1, 1, 1, 1), (2, 2, 2, 2)])
def test_a_mask_of_ones_is_conv2d_bit_for_bit(stride, dilation, groups, planes, dtype):
    x, weight, mask, bias = job((9, 11), stride=stride, groups=groups, planes=planes,
                                dtype=dtype)
    ones = torch.ones_like(mask)
    plain = gradients(
        lambda x, w, b: F.conv2d(x, w, b, stride, dilation, dilation, groups),
        (x, weight, bias))
    out, of_x, of_weight, of_mask, of_bias = gradients(
        lambda *t: ops.masked_conv2d(*t, stride, dilation, groups),
        (x, weight, ones, bias))
    for got, wanted in zip((out, of_x, of_weight, of_bias), plain):
        assert torch.equal(got, wanted)
    almost = ones.clone()
    almost[0, 0, -1, -1] = .5  # no shortcut
    wanted = gradients(lambda *t: ops.masked_conv2d(*t, stride, dilation, groups),
                       (x, weight, almost, bias))
    torch.testing.assert_close(of_mask, wanted[3])
    assert of_mask.abs().sum() > 0


@pytest.mark.parametrize('border, normalize', [
    ('zero', 'none'), ('zero', 'mean'), ('drop', 'none')])
@pytest.mark.parametrize('kernel', [3, 5, 13])
def test_hardness_zero_keeps_the_weights_of_a_trained_network(kernel, border, normalize):
    """'sum' would divide every layer by K^2."""
    x, weight, _, bias = job((9, 11), kernel=kernel, dtype=torch.float32)
    hardness = torch.zeros(1, requires_grad=True)
    mask = ops.local_attention_mask(rand(2, 3, 9, 11), kernel, hardness=hardness,
                                    border=border, normalize=normalize)
    out = ops.masked_conv2d(x, weight, mask.float(), bias)
    wanted = F.conv2d(x, weight, bias, padding=kernel // 2)
    if border == 'zero':
        assert torch.equal(out, wanted)
    else:
        torch.testing.assert_close(out, wanted, atol=1e-4, rtol=1e-4)
    out.sum().backward()
    assert hardness.grad.item() == 0


@pytest.mark.parametrize('bad', [float('inf'), float('-inf'), float('nan')])
@pytest.mark.parametrize('impl', ['tap', 'reference'])
def test_a_feature_beside_a_mask_of_zero_does_not_leak(bad, impl):
    """One pixel is its own region and holds no number."""
    x, weight, _, bias = job((6, 7), dtype=torch.float32)
    region = torch.zeros(2, 1, 6, 7)
    region[:, :, 2, 3] = 1e6
    mask = ops.local_attention_mask(region, 3, border='drop')
    clean = x.clone()
    clean[:, :, 2, 3] = 0
    x[:, :, 2, 3] = bad
    for function, arguments in (
            (lambda x, m, w: ops.masked_conv2d(x, w, m, bias, impl=impl), (mask, weight)),
            (lambda x, m: ops.masked_mean(x, m, impl=impl), (mask, ))):
        leaves = [t.clone().requires_grad_() for t in (x, *arguments)]
        out = function(*leaves)
        wanted = function(clean, *arguments)
        assert not out[:, :, 2, 3].isfinite().any()
        elsewhere = torch.ones(6, 7, dtype=torch.bool)
        elsewhere[2, 3] = False
        torch.testing.assert_close(out[..., elsewhere], wanted[..., elsewhere])
        # A loss that leaves the pixel out trains all the others.
        signal = elsewhere.float().expand_as(out)
        grads = torch.autograd.grad(out, leaves[:2], signal)
        if impl == 'tap':
            assert grads[0].isfinite().all() and grads[1][..., elsewhere].isfinite().all()


# ------------------------------------------------------- ladder: odd inputs


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('norm', NORMS)
def test_masks_of_half_precision_are_exact(norm, dtype):
    """Distances of 1e4 and more; in half precision they would be inf."""
    embedding = torch.zeros(1, 64, 4, 5, dtype=dtype)
    embedding[..., 2:] = 1e4
    embedding.requires_grad_()
    hardness = torch.tensor([50.], dtype=torch.float32, requires_grad=True)
    mask = ops.local_attention_mask(embedding, 3, norm=norm, hardness=hardness,
                                    normalize='sum')
    assert mask.dtype == torch.float32
    assert mask[0, :, 2, 1].view(3, 3)[0].tolist() == pytest.approx([1 / 6, 1 / 6, 0])
    mask.square().sum().backward()
    assert embedding.grad.isfinite().all() and embedding.grad.dtype == dtype
    assert hardness.grad.isfinite().all()
    distance = ops.local_distance(embedding, 3, norm=norm)
    exact = reference.local_distance(embedding.detach().double(), 3, norm=norm)
    torch.testing.assert_close(distance.double(), exact, rtol=1e-5, atol=0)


def test_limits_of_hardness_and_distance():
    """No 0 times infinity, forward or backward."""
    embedding = torch.tensor([[[[0., 0., 1., 3e38, -3e38]]]], requires_grad=True)
    wanted = {float('inf'): [0, 1, 0], 0.: [1, 1, 1], 1e38: [0, 1, 0]}
    for value, row in wanted.items():
        hardness = torch.tensor(value, requires_grad=True)
        mask = ops.local_attention_mask(embedding, 3, hardness=hardness)
        assert mask[0, 3:6, 0, 2].tolist() == row
        assert mask[0, 3:6, 0, 1].tolist() == [1, 1, row[2]]
        grads = torch.autograd.grad(mask.sum(), (embedding, hardness))
        assert all(g.isfinite().all() for g in grads)
        assert torch.equal(mask, ops.local_attention_mask(embedding, 3, hardness=value))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('mask_dtype', [None, torch.float32])
def test_half_precision_convolutions(dtype, mask_dtype):
    x, weight, mask, bias = job((6, 7), dtype=dtype)
    mask = mask.to(mask_dtype or dtype)
    for function in (
            lambda x, w, m, b, impl: ops.masked_conv2d(x, w, m, b, impl=impl),
            lambda x, w, m, b, impl: ops.masked_mean(x, m, impl=impl)
            + w.sum() + b.sum()):
        got = gradients(lambda *t, f=function: f(*t, 'tap'), (x, weight, mask, bias))
        wanted = gradients(lambda *t, f=function: f(*t, 'reference'),
                           [t.double() for t in (x, weight, mask, bias)])
        assert got[0].dtype == dtype and got[1].dtype == dtype
        assert got[3].dtype == mask.dtype
        tolerance = 8e-2 if dtype == torch.bfloat16 else 1e-2
        for a, b in zip(got, wanted):
            torch.testing.assert_close(a.double(), b, rtol=tolerance,
                                       atol=tolerance * b.abs().max().item())


def test_float16_by_deformable_convolution():
    pytest.importorskip('mmcv.ops', exc_type=ImportError)
    x, weight, mask, bias = job((6, 7), dtype=torch.float16)
    got = ops.masked_conv2d(x, weight, mask, bias, impl='dcn')
    assert got.dtype == torch.float16
    torch.testing.assert_close(got, ops.masked_conv2d(x, weight, mask, bias), rtol=1e-2,
                               atol=5e-2)
    with pytest.raises(TypeError, match="impl is 'dcn', which has no bfloat16"):
        ops.masked_conv2d(x.bfloat16(), weight.bfloat16(), mask.bfloat16(), impl='dcn')


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_extreme_features_in_half_precision_stay_finite(dtype):
    """Sums beyond the range of float16 on the way, none in the result."""
    x = torch.full((1, 64, 6, 6), 3e4, dtype=dtype, requires_grad=True)
    mask = torch.full((1, 9, 6, 6), 1., dtype=torch.float32)
    mask[0, 0] = .5
    mask.requires_grad_()
    weight = torch.full((1, 64, 3, 3), 1 / 512, dtype=dtype, requires_grad=True)
    out = ops.masked_conv2d(x, weight, mask)
    mean = ops.masked_mean(x, mask)
    assert out.isfinite().all()
    torch.testing.assert_close(mean[0, 0, 2, 2], x[0, 0, 0, 0].detach())
    # The features' sum is the mask's gradient: 64 * 3e4 / 512 and 3e4 * 64.
    grads = torch.autograd.grad((out.float().sum() + mean.float().sum()) * 1e-3,
                                (x, weight, mask))
    assert all(g.isfinite().all() for g in grads)


def test_under_autocast():
    """Distances in float32, products in bfloat16, masks as they are."""
    embedding = rand(1, 8, 6, 7, dtype=torch.float32)
    x, weight, _, bias = (t.requires_grad_() for t in job((6, 7), batch=1,
                                                           dtype=torch.float32))
    with torch.autocast('cpu', torch.bfloat16):
        mask = ops.local_attention_mask(embedding.bfloat16(), 3, hardness=.3)
        out = ops.masked_conv2d(x, weight, mask, bias)
        mean = ops.masked_mean(x, mask)
        distance = ops.local_distance(embedding, 3)
        wide = ops.masked_conv2d(x.double(), weight.double(), mask.double())
    assert (mask.dtype, out.dtype) == (torch.float32, torch.bfloat16)
    assert (mean.dtype, wide.dtype) == (torch.float32, F64)
    assert torch.equal(distance, ops.local_distance(embedding, 3))
    exact = ops.masked_conv2d(x, weight, mask, bias)
    torch.testing.assert_close(out.float(), exact, rtol=5e-2, atol=1e-1)
    with torch.autocast('cpu', torch.bfloat16):
        grads = torch.autograd.grad(out.sum() + mean.sum(), (x, weight, bias))
    assert [g.dtype for g in grads] == [torch.float32] * 3
    assert all(g.isfinite().all() for g in grads)


def test_non_contiguous_input(impl):
    tensors = job((6, 7), kernel=3)
    turned = [t.transpose(-1, -2).contiguous().transpose(-1, -2) for t in tensors[:3]]
    turned[0] = tensors[0].contiguous(memory_format=torch.channels_last)
    assert not turned[0].is_contiguous() and not turned[2].is_contiguous()
    for function in (lambda x, w, m: ops.masked_conv2d(x, w, m, impl=impl),
                     lambda x, w, m: ops.masked_mean(x, m, impl=impl) + 0 * w.sum(),
                     lambda x, w, m: ops.local_distance(x, 3) + 0 * (w.sum() + m.sum())):
        assert_same(gradients(function, turned), gradients(function, tensors[:3]))


@pytest.mark.parametrize('size', [(1, 1), (1, 5), (4, 1), (2, 3)])
def test_maps_smaller_than_the_window(size, impl):
    """5x5 taps, two pixels apart: a window of 9 pixels."""
    for stride in (1, 2):
        x, weight, mask, bias = job(size, kernel=5, stride=stride)
        got = ops.masked_conv2d(x, weight, mask, bias, stride, 2, impl=impl)
        wanted = reference.masked_conv2d(x, weight, mask, bias, stride, 2)
        torch.testing.assert_close(got, wanted)
    mask = ops.local_attention_mask(x, 5, 2, border='drop', normalize='sum')
    assert mask.sum(1).flatten().tolist() == pytest.approx([1] * mask[:, 0].numel())
    mean = ops.masked_mean(x, mask, 2, impl)
    if size == (1, 1):
        torch.testing.assert_close(mean, x)
    torch.testing.assert_close(mean, reference.masked_mean(x, mask, 2))


def test_an_empty_batch(impl):
    x, weight, mask, bias = job(batch=0)
    x.requires_grad_()
    out = ops.masked_conv2d(x, weight, mask, bias, impl=impl)
    assert out.shape == (0, 8, 5, 6)
    mean = ops.masked_mean(x, mask, impl=impl)
    assert mean.shape == x.shape
    distance = ops.local_distance(x, 3, stride=2)
    assert distance.shape == (0, 9, 3, 3)
    assert ops.local_attention_mask(x, 3).shape == (0, 9, 5, 6)
    (out.sum() + mean.sum() + distance.sum()).backward()
    assert x.grad.shape == x.shape


def test_a_batch_of_two_is_two_batches_of_one():
    x, weight, mask, bias = job((9, 11), dtype=torch.float32)
    functions = (lambda x, m: ops.masked_conv2d(x, weight, m, bias),
                 lambda x, m: ops.masked_mean(x, m),
                 lambda x, m: ops.local_attention_mask(x, 3) + 0 * m.sum())
    for function in functions:
        both = gradients(function, (x, mask))
        leaves = [t.detach().clone().requires_grad_() for t in (x, mask)]
        weights = rand(*both[0].shape, seed=9).float()
        for b in (0, 1):
            one = function(leaves[0][b:b + 1], leaves[1][b:b + 1])
            torch.testing.assert_close(one, both[0][b:b + 1])  # last bits may differ
            (one * weights[b:b + 1]).sum().backward()
        for leaf, wanted in zip(leaves, both[1:]):
            torch.testing.assert_close(leaf.grad, wanted, rtol=1e-5, atol=1e-5)


def test_two_runs_are_bit_equal():
    tensors = job((20, 30), 8, dtype=torch.float32)
    torch.use_deterministic_algorithms(True)
    try:
        runs = [gradients(lambda x, w, m, b: ops.masked_conv2d(x, w, m, b)
                          + ops.masked_mean(x, m)
                          + ops.local_attention_mask(x, 3)[:, :8], tensors)
                for _ in range(2)]
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(a, b) for a, b in zip(*runs))


def test_several_masks_are_several_convolutions():
    """G masks: the first for the first C / G channels, and so on."""
    x, weight, mask, _ = job(planes=2)
    out = ops.masked_conv2d(x, weight, mask)
    parts = [ops.masked_conv2d(x[:, c:c + 2], weight[:, c:c + 2], mask[:, m:m + 9])
             for c, m in ((0, 0), (2, 9))]
    torch.testing.assert_close(out, parts[0] + parts[1])


def test_only_what_is_asked_for_gets_a_gradient():
    x, weight, mask, bias = job()
    for k in range(4):
        tensors = [t.clone() for t in (x, weight, mask, bias)]
        tensors[k].requires_grad_()
        ops.masked_conv2d(*tensors).sum().backward()
        everything = gradients(lambda *t: ops.masked_conv2d(*t), tensors)
        assert tensors[k].grad.shape == everything[k + 1].shape
        assert [t.grad is None for t in tensors] == [j != k for j in range(4)]


def test_compiled_networks_have_equal_results():
    x, weight, _, _ = job(batch=1)

    def network(x, w, h):
        mask = ops.local_attention_mask(x.sin(), 3, hardness=h, border='drop')
        labels = torch.zeros(1, 5, 6, dtype=torch.int64)
        return (ops.masked_conv2d(x, w, mask).relu().mean()
                + ops.masked_mean(x, mask).cos()
                + ops.embedding_loss(x, labels, dilations=1))

    tensors = [x, weight, torch.tensor(.5, dtype=F64)]
    compiled = torch.compile(network, backend='eager')
    assert_same(gradients(compiled, tensors), gradients(network, tensors))


def test_masks_from_shared_distances():
    embedding = rand(1, 3, 5, 6)
    distance = ops.local_distance(embedding, 3, 2, 2)
    for border in BORDERS:
        got = ops.mask_from_distance(distance, (5, 6), 2, 2, .4, border, 'sum')
        wanted = ops.local_attention_mask(embedding, 3, 2, 2, 'l1', .4, border, 'sum')
        assert torch.equal(got, wanted)


# ------------------------------------------------------------------- errors


@pytest.mark.parametrize('change, error, text', [
    (dict(kernel_size=4), ValueError, 'kernel_size must be odd.*got 4'),
    (dict(kernel_size=3.), TypeError, 'kernel_size must be an integer, got 3.0'),
    (dict(dilation=0), ValueError, 'dilation must be at least 1, got 0'),
    (dict(stride=0), ValueError, 'stride must be at least 1, got 0'),
    (dict(norm='l3'), ValueError, "norm must be one of 'l1', 'l2', 'sq'; got 'l3'"),
    (dict(border='reflect'), ValueError, "border must be one of 'zero', 'drop'"),
    (dict(normalize='max'), ValueError, "normalize must be one of 'none', 'sum'"),
    (dict(hardness=torch.ones(2)), ValueError, r'hardness must be.*got shape \(2,\)'),
    (dict(hardness=torch.ones(1).long()), TypeError, 'hardness must be floating'),
    (dict(hardness=float('nan')), ValueError, 'hardness must be'),
    (dict(hardness='hard'), TypeError, "hardness must be a number, got 'hard'"),
    (dict(hardness=torch.ones(1, device='meta')), ValueError, 'hardness is on meta'),
    (dict(embedding=torch.rand(3, 4, 5)), ValueError,
     r'embedding must have shape \(B, E, H, W\), got \(3, 4, 5\)'),
    (dict(embedding=torch.ones(1, 3, 4, 5).long()), TypeError, 'embedding must be float'),
    (dict(embedding=torch.rand(1, 3, 0, 5)), ValueError,
     'embedding must have at least one channel and one pixel'),
])
def test_errors_of_masks_name_the_argument(change, error, text):
    arguments = dict(embedding=torch.rand(1, 3, 4, 5), kernel_size=3)
    with pytest.raises(error, match=text):
        ops.local_attention_mask(**{**arguments, **change})


@pytest.mark.parametrize('change, error, text', [
    (dict(weight=torch.rand(8, 4, 4, 4)), ValueError,
     r'weight must have a square kernel of odd size, got shape \(8, 4, 4, 4\)'),
    (dict(weight=torch.rand(8, 4, 1, 3)), ValueError, 'weight must have a square kernel'),
    (dict(weight=torch.rand(8, 3, 3, 3)), ValueError,
     r'weight has shape \(8, 3, 3, 3\); with x .* it must be \(8, 4, 3, 3\)'),
    (dict(weight=torch.rand(8, 4, 3, 3).double()), TypeError,
     'weight is torch.float64, x is torch.float32; they must be the same'),
    (dict(weight=torch.rand(8, 4, 3, 3, device='meta')), ValueError,
     'weight is on meta, x on cpu; move one of them'),
    (dict(mask=torch.rand(2, 9, 5, 5)), ValueError,
     r'mask has shape \(2, 9, 5, 5\); with x .* it must be \(2, 9, 5, 6\)'),
    (dict(mask=torch.rand(1, 9, 5, 6)), ValueError, r'it must be \(2, 9, 5, 6\)'),
    (dict(mask=torch.rand(2, 25, 5, 6)), ValueError,
     r'mask has shape \(2, 25, 5, 6\).*must be 9 \* G, where G divides the 4'),
    (dict(mask=torch.rand(2, 27, 5, 6)), ValueError, 'G divides the 4 channels'),
    (dict(mask=torch.rand(2, 9, 5, 6, device='meta')), ValueError, 'mask is on meta'),
    (dict(mask=torch.rand(2, 9, 5, 6).double()), TypeError,
     'mask is torch.float64, x is torch.float32'),
    (dict(mask=torch.rand(2, 9, 5, 6).half()), TypeError, 'mask is torch.float16'),
    (dict(bias=torch.rand(4)), ValueError, r'bias has shape \(4,\).*must be \(8,\)'),
    (dict(bias=torch.rand(8).double()), TypeError, 'bias is torch.float64'),
    (dict(groups=3), ValueError, 'groups is 3; it must divide the 4 channels'),
    (dict(groups=0), ValueError, 'groups must be at least 1'),
    (dict(stride=2), ValueError, r'and stride 2 it must be \(2, 9, 3, 3\)'),
    (dict(stride=0), ValueError, 'stride must be at least 1'),
    (dict(dilation=0), ValueError, 'dilation must be at least 1'),
    (dict(x=torch.rand(4, 5, 6)), ValueError, r'x must have shape \(B, C, H, W\)'),
    (dict(x=None), TypeError, 'x must be a tensor'),
    (dict(impl='numba'), ValueError, "impl is 'numba'; this operator offers 'auto', "
     "'tap', 'dcn', 'reference'"),
])
def test_errors_of_convolutions_name_the_argument(change, error, text):
    arguments = dict(x=torch.rand(2, 4, 5, 6), weight=torch.rand(8, 4, 3, 3),
                     mask=torch.rand(2, 9, 5, 6))
    with pytest.raises(error, match=text):
        ops.masked_conv2d(**{**arguments, **change})


@pytest.mark.parametrize('mask, error, text', [
    (torch.rand(2, 16, 5, 6), ValueError, r'mask must have P = K\*K channels with K odd'),
    (torch.rand(2, 18, 5, 6), ValueError, r'mask must have P = K\*K channels with K odd'),
    (torch.rand(2, 9, 6, 5), ValueError, r'it must be \(2, 9, 5, 6\)'),
    (torch.rand(2, 9, 5, 6).double(), TypeError, 'mask is torch.float64'),
    (torch.rand(2, 9, 5, 6, device='meta'), ValueError, 'mask is on meta, x on cpu'),
])
def test_errors_of_means_name_the_argument(mask, error, text):
    with pytest.raises(error, match=text):
        ops.masked_mean(torch.rand(2, 4, 5, 6), mask)
    with pytest.raises(ValueError, match='dilation must be at least 1'):
        ops.masked_mean(torch.rand(2, 4, 5, 6), torch.rand(2, 9, 5, 6), 0)


def test_errors_of_shared_distances():
    with pytest.raises(ValueError, match=r'distance has shape \(3, 3\).*map_size'):
        ops.mask_from_distance(torch.rand(1, 9, 3, 3), (5, 7), stride=2)


def test_the_environment_replaces_auto(monkeypatch):
    x, weight, mask, _ = job()
    monkeypatch.setenv('SEGAWARE_MM_IMPL', 'nonsense')
    with pytest.raises(ValueError, match="SEGAWARE_MM_IMPL is 'nonsense'"):
        ops.masked_conv2d(x, weight, mask)
    wanted = ops.masked_conv2d(x, weight, mask, impl='tap')
    for name in ('numba', 'torch', 'reference'):  # the first two: other operators'
        monkeypatch.setenv('SEGAWARE_MM_IMPL', name)
        torch.testing.assert_close(ops.masked_conv2d(x, weight, mask), wanted)


# ------------------------------------------------------------------- memory


def test_only_inputs_are_saved():
    """Unfold and plain autograd would save K^2 times the features."""
    saved = []
    with saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        x, weight, mask, bias = (
            t.requires_grad_() for t in job((12, 13), 16, 4, dtype=torch.float32))
        ops.masked_conv2d(x, weight, mask, bias)
        assert {id(t) for t in saved} == {id(x), id(weight), id(mask)}
        saved.clear()
        ops.masked_mean(x, mask)
        assert sum(t.numel() for t in saved) <= x.numel() + 5 * mask.numel()
        saved.clear()
        ops.local_attention_mask(x, 3, border='drop', normalize='sum')
        assert sum(t.numel() for t in saved) <= x.numel() + 5 * mask.numel()


MEMORY_PROGRAM = PEAK_MEMORY + """
import torch
from segaware_mm.ops import local_attention as ops
def run(channels, outputs, size, kernel):
    x = torch.rand(1, channels, size, size, requires_grad=True)
    mask = torch.rand(1, kernel**2, size, size, requires_grad=True)
    weight = torch.rand(outputs, channels, kernel, kernel, requires_grad=True)
    before = start_peak()
    {work}.sum().backward()
    return peak_mb(before)
run(4, 2, 8, 3)
print(run({channels}, {outputs}, {size}, {kernel}))
"""


@pytest.mark.parametrize('work, channels, outputs, size, kernel, limit', [
    # Columns: 25 * 25.6 MB. Three such for x and its gradient, two bands of 8 MB,
    # the gradient of the mask (10 MB).
    ('ops.masked_conv2d(x, weight, mask)', 64, 8, 320, 5, 160),
    # 81 * 19.2 MB; gradients of x and of the mask, the mask divided: 3 * 33 MB.
    ('ops.masked_mean(x, mask)', 48, 1, 320, 9, 220),
    # 25 * 25.6 MB; the gradient of x, distances and masks: a few times 10 MB.
    ('ops.local_attention_mask(x, 5)', 64, 1, 320, 5, 130)])
def test_no_tensor_of_all_taps_exists(
        work, channels, outputs, size, kernel, limit, last_line):
    used = float(last_line(MEMORY_PROGRAM.format(
        work=work, channels=channels, outputs=outputs, size=size, kernel=kernel)))
    assert used < limit, f'{used:.0f} MB beyond the inputs'
