"""RoI warping and the mask gate: M1 to M4, the reference, boxes that are odd."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

from segaware_mm.ops import mask_gate, resize_mask, roi_warp
from segaware_mm.ops.implementation import ENVIRONMENT_VARIABLE
from segaware_mm.ops.reference import roi_warp as reference

F64 = torch.float64
SAMPLINGS = ('center', 'corner')
SQUARES = (torch.arange(16., dtype=F64)**2 / 10).view(1, 1, 4, 4)  # (4 v + u)^2 / 10


@pytest.fixture(params=['torch', 'reference'])
def impl(request):
    return request.param


def rand(*shape, seed=0, dtype=F64):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.rand(*shape, generator=generator, dtype=F64).to(dtype)


def some_rois(count, images, height, width, seed=0):
    """Boxes of several images in any order, some partly or wholly outside."""
    low = (rand(count, 2, seed=seed) * 1.4 - .3) * torch.tensor([width, height])
    high = low + rand(count, 2, seed=seed + 1) * torch.tensor([width, height])
    image = torch.arange(count, dtype=F64).mul(7).add(1) % images
    return torch.cat((image[:, None], low, high), 1)


def gradients(function, tensors, seed=9):
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    out = function(*leaves)
    weight = rand(*out.shape, seed=seed).to(out.dtype)
    return (out.detach(), *torch.autograd.grad((out * weight).sum(), leaves))


# ------------------------------------------------------------ worked numbers


@pytest.mark.parametrize('sampling, values, gradient', [
    ('corner', [.55, 1.05, 4.91, 6.658], [2.66, 10.64, 1.02, 5.68]),  # M1
    ('center', [.892, 1.556, 5.836, 7.748], [1.98, 6.72, 2.18, 9.92])])  # M2
@pytest.mark.parametrize('scale', [1, 1 / 16])
def test_m1_m2_values_and_gradients_of_the_box(sampling, values, gradient, scale, impl):
    box = torch.tensor([[.5, .25, 2.9, 2.85]], dtype=F64) / scale
    rois = torch.cat((torch.zeros(1, 1, dtype=F64), box), 1).requires_grad_()
    out = roi_warp(SQUARES, rois, 2, scale, sampling, impl=impl)
    assert out.shape == (1, 1, 2, 2)
    assert out.flatten().tolist() == pytest.approx(values, abs=1e-12)
    out.sum().backward()
    assert rois.grad[0, 0] == 0
    assert rois.grad[0, 1:].tolist() == pytest.approx([g * scale for g in gradient],
                                                      abs=1e-12)


def test_m3_the_released_rounding(impl):
    """(8, 4, 46.4, 45.6) / 16 is (.5, .25, 2.9, 2.85) of M1 but for the last; .5
    rounds to 1, away from 0, and not to the even 0."""
    rois = torch.tensor([[0, 8, 4, 46.4, 45.6]], dtype=F64, requires_grad=True)
    out = roi_warp(SQUARES, rois, 2, 1 / 16, 'corner', round_rois=True, impl=impl)
    assert out.flatten().tolist() == pytest.approx([.1, .4, 5.3, 6.8], abs=1e-12)
    whole = torch.tensor([[0, 1, 0, 3, 3]], dtype=F64)
    assert torch.equal(out, roi_warp(SQUARES, whole, 2, 1., 'corner', impl=impl))
    out.sum().backward()
    assert rois.grad[0, 1:].abs().sum() > 0  # the rounding is passed unchanged
    left = torch.tensor([[0, -.5, -.4, 2.5, 2.5]], dtype=F64)
    assert torch.equal(
        roi_warp(SQUARES, left, 2, 1., round_rois=True, impl=impl),
        roi_warp(SQUARES, torch.tensor([[0., -1, 0, 3, 3]]).double(), 2, 1., impl=impl))


@pytest.mark.parametrize('gate', [mask_gate, reference.mask_gate])
def test_m4_the_gate(gate):
    mask = torch.tensor([[0, .5, 1], [.2, .8, .6], [1, .4, .1]], dtype=F64)
    features = torch.tensor([[[[1, 2], [3, 4]], [[-1, 0], [2, 5]]]], dtype=F64)
    out = gate(features, mask[None, None], 'corner')
    torch.testing.assert_close(out[0], torch.tensor(
        [[[0, 1.5], [1.8, 1.9]], [[0, 0], [1.2, 2.375]]], dtype=F64))
    ones = torch.ones(1, 1, 2, 2, dtype=F64, requires_grad=True)  # already 2 x 2
    gate(features, ones, 'corner').sum().backward()
    assert ones.grad[0, 0].tolist() == [[0, 2], [5, 9]]


def test_m4_the_resized_mask():
    mask = torch.tensor([[[[0, .5, 1], [.2, .8, .6], [1, .4, .1]]]], dtype=F64)
    assert resize_mask(mask, 2, 'corner').flatten().tolist() == pytest.approx(
        [0, .75, .6, .475])


# ------------------------------------------------------------------- parity


@pytest.mark.parametrize('sampling', SAMPLINGS)
@pytest.mark.parametrize('size', [(3, 4), (1, 1), (2, 5)])
@pytest.mark.parametrize('chunk', [None, 1, 3])
def test_warping_matches_the_reference(sampling, size, chunk):
    features, rois = rand(3, 2, 5, 7), some_rois(8, 3, 40, 56)
    got, wanted = (
        gradients(lambda f, r, impl=impl: roi_warp(
            f, r, size, 1 / 8, sampling, impl=impl, chunk=chunk), (features, rois))
        for impl in ('torch', 'reference'))
    assert got[0].shape == (8, 2, *size)
    assert got[0].eq(0).any() and got[0].ne(0).any()
    for a, b in zip(got, wanted):
        torch.testing.assert_close(a, b, atol=1e-11, rtol=1e-11)
    assert (got[2][:, 0] == 0).all()


@pytest.mark.parametrize('align', SAMPLINGS)
@pytest.mark.parametrize('mask, size', [((3, 3), (2, 2)), ((2, 2), (7, 5)),
                                        ((1, 1), (3, 2)), ((28, 28), (14, 14)),
                                        ((4, 3), (4, 3))])
def test_the_gate_matches_the_reference(align, mask, size):
    tensors = rand(2, 3, *size), rand(2, 1, *mask)
    got, wanted = (gradients(lambda f, m, gate=gate: gate(f, m, align), tensors)
                   for gate in (mask_gate, reference.mask_gate))
    for a, b in zip(got, wanted):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize('size', [(14, 14), (5, 9), (40, 3)])
def test_resizing_by_centres_is_interpolate(size):
    mask = rand(3, 2, 21, 21)
    wanted = F.interpolate(mask, size, mode='bilinear', align_corners=False)
    torch.testing.assert_close(resize_mask(mask, size), wanted)


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize('sampling', SAMPLINGS)
def test_gradients_of_boxes_are_the_finite_differences(sampling):
    """Central differences; the boxes keep all points off the kinks."""
    features = rand(2, 3, 6, 8)
    rois = torch.tensor([[1, 5.3, 4.1, 41.7, 29.9], [0, 9.7, 2.3, 21.1, 38.7],
                         [1, 30.3, 20.9, 90.1, 44.3]], dtype=F64)
    weight, step = rand(3, 3, 4, 4, seed=3), 1e-6

    def loss(rois):
        return (roi_warp(features, rois, 4, 1 / 8, sampling) * weight).sum()

    leaf = rois.clone().requires_grad_()
    loss(leaf).backward()
    assert leaf.grad[:, 1:].abs().min() > 1e-6
    for row in range(3):
        for column in range(1, 5):
            moved = [rois.clone(), rois.clone()]
            for one, sign in zip(moved, (1, -1)):
                one[row, column] += sign * step
            slope = (loss(moved[0]) - loss(moved[1])) / (2 * step)
            assert leaf.grad[row, column].item() == pytest.approx(slope.item(), abs=1e-7)


@pytest.mark.parametrize('sampling', SAMPLINGS)
def test_gradcheck_of_warping(sampling, impl):
    features = rand(2, 2, 4, 5).requires_grad_()
    rois = torch.tensor([[1, 1.3, 2.1, 21.7, 25.9], [0, 3.7, 2.3, 21.1, 19.7]],
                        dtype=F64)
    assert gradcheck(
        lambda f, b: roi_warp(f, torch.cat((rois[:, :1], b), 1), 3, 1 / 8, sampling,
                              impl=impl, chunk=1),
        (features, rois[:, 1:].clone().requires_grad_()))


@pytest.mark.parametrize('align', SAMPLINGS)
def test_gradcheck_of_the_gate(align):
    assert gradcheck(lambda f, m: mask_gate(f, m, align),
                     (rand(2, 2, 3, 4).requires_grad_(),
                      rand(2, 1, 5, 5).requires_grad_()))


@pytest.mark.parametrize('of_features, of_rois', [(True, False), (False, True)])
def test_gradients_of_one_input_alone(of_features, of_rois):
    features, rois = rand(2, 2, 5, 6), some_rois(5, 2, 40, 48)
    both = gradients(lambda f, r: roi_warp(f, r, 3, 1 / 8), (features, rois))
    f, r = features.requires_grad_(of_features), rois.requires_grad_(of_rois)
    out = roi_warp(f, r, 3, 1 / 8)
    (out * rand(*out.shape, seed=9)).sum().backward()
    got, wanted = (f.grad, both[1]) if of_features else (r.grad, both[2])
    assert torch.equal(got, wanted)
    assert (r if of_features else f).grad is None


def test_a_second_derivative_is_refused():
    rois = some_rois(2, 1, 40, 48).requires_grad_()
    out = roi_warp(rand(1, 2, 5, 6), rois, 3, 1 / 8)
    grad, = torch.autograd.grad(out.square().sum(), rois, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()


# --------------------------------------------------------------- odd inputs


def test_images_in_any_order():
    """Every image is a constant of its own."""
    features = torch.arange(4.).view(4, 1, 1, 1).expand(4, 2, 5, 5)
    image = torch.tensor([3., 0, 3, 1, 0])
    rois = torch.cat((image[:, None], torch.tensor([[4., 4, 30, 30]]).expand(5, 4)), 1)
    for chunk in (None, 1):
        out = roi_warp(features, rois, 2, 1 / 8, chunk=chunk)
        assert torch.equal(out, image.view(5, 1, 1, 1).expand(5, 2, 2, 2))


def test_no_rois(impl):
    features = rand(2, 3, 4, 5).requires_grad_()
    rois = torch.zeros(0, 5, dtype=F64, requires_grad=True)
    out = roi_warp(features, rois, (7, 6), 1 / 16, impl=impl)
    assert out.shape == (0, 3, 7, 6)
    out.sum().backward()  # parameters behind an image without RoIs still take part
    assert features.grad.abs().sum() == 0 and rois.grad.shape == (0, 5)
    nothing = mask_gate(out, torch.zeros(0, 1, 21, 21, dtype=F64))
    assert nothing.shape == (0, 3, 7, 6)


def test_a_box_without_area_repeats_its_point(impl):
    """The two edges of an axis share the gradient of the point."""
    rois = torch.tensor([[0, 1.75, 2.25, 1.75, 2.25]], dtype=F64, requires_grad=True)
    for sampling, at in (('corner', (1.75, 2.25)), ('center', (1.25, 1.75))):
        out = roi_warp(SQUARES, rois, 3, 1., sampling, impl=impl)
        u, v = int(at[0]), int(at[1])
        a, b = at[0] - u, at[1] - v
        wanted = sum(weight * (4 * (v + j) + u + i)**2 / 10 for i, j, weight in (
            (0, 0, (1 - a) * (1 - b)), (1, 0, a * (1 - b)), (0, 1, (1 - a) * b),
            (1, 1, a * b)))
        assert out.flatten().tolist() == pytest.approx([wanted] * 9)
        grad, = torch.autograd.grad(out.sum(), rois)
        assert grad.isfinite().all() and grad[0, 1] + grad[0, 3] > 0


@pytest.mark.parametrize('box', [
    (-90, -90, -20, -20), (100, 0, 140, 40), (0, 1e9, 30, 2e9),
    (float('nan'), 0, 30, 30), (-float('inf'), 0, float('inf'), 30)])
def test_boxes_outside_the_image_are_zero_without_nan(box, impl):
    features = rand(1, 2, 5, 5).requires_grad_()
    rois = torch.tensor([[0, *box]], dtype=F64, requires_grad=True)
    out = roi_warp(features, rois, 3, 1 / 8, impl=impl)
    assert (out == 0).all()
    out.sum().backward()
    assert (features.grad == 0).all()
    if impl == 'torch':  # the reference has no graph to a box that reads nothing
        assert (rois.grad == 0).all()


def test_a_map_of_one_pixel(impl):
    rois = torch.tensor([[0, 0, 0, 16, 16.], [0, 8, 8, 40, 40]], dtype=F64)
    rois.requires_grad_()
    out = roi_warp(torch.full((1, 1, 1, 1), 3., dtype=F64), rois, 2, 1 / 16, impl=impl)
    assert out[0].flatten().tolist() == [3] * 4
    assert out[1].flatten().tolist() == [3, 0, 0, 0]  # the pixel ends at 16
    out.sum().backward()
    assert (rois.grad == 0).all()


def test_strided_input_gives_the_same_bits_every_time():
    features, rois = rand(2, 3, 5, 7), some_rois(6, 2, 40, 56)
    first = gradients(lambda f, r: roi_warp(f, r, 3, 1 / 8), (features, rois))
    turned = (features.contiguous(memory_format=torch.channels_last),
              rois.T.contiguous().T)
    for a, b, c in zip(
            first, gradients(lambda f, r: roi_warp(f, r, 3, 1 / 8), turned),
            gradients(lambda f, r: roi_warp(f, r, 3, 1 / 8), (features, rois))):
        torch.testing.assert_close(a, b, atol=1e-15, rtol=1e-15)
        assert torch.equal(a, c)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_under_autocast(dtype):
    """Coordinates stay float32: in bfloat16 600 and 603 are the same number."""
    features = (rand(1, 2, 5, 80) * 6e4).to(dtype)
    rois = torch.tensor([[0, 601.3, 3, 631.7, 33], [0, 604.3, 3, 634.7, 33]])
    with torch.autocast('cpu', torch.bfloat16):
        out, of_features, of_rois = gradients(
            lambda f, r: roi_warp(f, r, 4, 1 / 8), (features, rois))
    assert out.dtype == of_features.dtype == dtype and of_rois.dtype == torch.float32
    exact = roi_warp(features.float(), rois, 4, 1 / 8)
    assert torch.equal(out, exact.to(dtype))
    assert not torch.equal(out[0], out[1])
    for t in (out, of_features, of_rois):
        assert t.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_the_gate_in_half_precision(dtype):
    features, mask = (rand(2, 3, 14, 14) * 6e4).to(dtype), rand(2, 1, 28, 28)
    with torch.autocast('cpu', torch.bfloat16):
        out, of_features, of_mask = gradients(
            lambda f, m: mask_gate(f, m).float().mean().expand(1),
            (features, mask.to(dtype)))
        gated = mask_gate(features, mask.float())
    assert gated.dtype == of_features.dtype == of_mask.dtype == dtype
    wanted = reference.mask_gate(features.double(), mask)
    torch.testing.assert_close(gated.double(), wanted, rtol=2e-2, atol=1)
    assert out.isfinite().all() and of_mask.isfinite().all()


def test_a_mask_of_zeros_and_ones_is_exact():
    features = rand(1, 3, 14, 14, dtype=torch.float32)
    for align in SAMPLINGS:
        for value in (0, 1):
            mask = torch.full((1, 1, 21, 21), float(value))
            torch.testing.assert_close(mask_gate(features, mask, align),
                                       features * value, atol=0, rtol=1e-6)


# ------------------------------------------------------------------- choices


def test_the_environment_chooses(monkeypatch):
    rois = some_rois(3, 1, 40, 48)
    for name in ('reference', 'torch', 'numba', 'tap', 'dcn', 'auto', ''):
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, name)
        assert roi_warp(rand(1, 2, 5, 6), rois, 3, 1 / 8).shape == (3, 2, 3, 3)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, 'fast')
    with pytest.raises(ValueError, match=f"{ENVIRONMENT_VARIABLE} is 'fast'; this "
                       "operator offers 'auto', 'torch', 'reference', 'prroi'"):
        roi_warp(rand(1, 2, 5, 6), rois, 3, 1 / 8)


def test_prroi_says_that_it_needs_cuda():
    with pytest.raises(ValueError, match="impl is 'prroi', which runs on CUDA; the "
                       "tensors are on cpu. Use 'torch' or 'auto'"):
        roi_warp(rand(1, 2, 5, 6), some_rois(3, 1, 40, 48), 3, 1 / 8, impl='prroi')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('sampling', SAMPLINGS)
def test_prroi_agrees_where_the_map_is_linear(sampling):
    """The mean over a cell is the value in its middle."""
    pytest.importorskip('mmcv.ops', exc_type=ImportError)
    y, x = torch.meshgrid(torch.arange(9.), torch.arange(11.), indexing='ij')
    features = (3 * x + 2 * y)[None, None].cuda()
    rois = torch.tensor([[0, 20., 17, 55, 45]], device='cuda', requires_grad=True)
    out = roi_warp(features, rois, 3, 1 / 8, sampling, impl='prroi')
    shift = torch.zeros_like(rois)
    if sampling == 'corner':  # the middle of a cell lies half a cell further
        shift[:, 1:] = (rois[:, 3:] - rois[:, 1:3]).repeat(1, 2) / 6
    wanted = roi_warp(features, rois + shift, 3, 1 / 8, sampling)
    torch.testing.assert_close(out, wanted, atol=1e-3, rtol=1e-4)
    grad, = torch.autograd.grad(out.sum(), rois)
    slope, = torch.autograd.grad(wanted.sum(), rois)
    torch.testing.assert_close(grad, slope, atol=1e-3, rtol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('sampling', SAMPLINGS)
def test_cuda_matches_the_cpu(sampling):
    features, rois = rand(3, 2, 5, 7), some_rois(8, 3, 40, 56)
    got, wanted = (
        gradients(lambda f, r, device=device: roi_warp(
            f.to(device), r.to(device), 3, 1 / 8, sampling).cpu(), (features, rois))
        for device in ('cuda', 'cpu'))
    for a, b in zip(got, wanted):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)


# -------------------------------------------------------------------- memory


def test_only_features_and_boxes_are_saved():
    saved = []
    features, rois = rand(1, 4, 9, 9).requires_grad_(), some_rois(30, 1, 72, 72)
    with saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        roi_warp(features, rois.requires_grad_(), 7, 1 / 8)
    assert sum(t.numel() for t in saved) <= features.numel() + rois.numel()


def test_no_map_for_each_roi_and_no_second_result(peak_memory):
    """The result is 58 MB, and so is its gradient. A chunk is 17 MB, of which the
    backward pass holds four; the map and its gradients are 3 MB each. 140 copies of
    the map would be 440 MB; all RoIs of an image in one chunk need 254 MB.
    """
    setup = """
        from segaware_mm.ops import roi_warp
        features = torch.rand(2, 132, 70, 85, requires_grad=True)
        rois = torch.rand(140, 5) * 500
        rois[:, 0] = torch.arange(140) % 2
        rois[:, 3:] += rois[:, 1:3]
        rois.requires_grad_()
        roi_warp(features, rois[:2], 2, 1 / 16).sum().backward()
    """
    used = peak_memory(setup, """
        out = roi_warp(features, rois, 28, 1 / 16)
        out.backward(torch.ones_like(out))
    """)
    assert 2 * 58 < used < 2 * 58 + 5 * 17 + 20, f'{used:.0f} MB'

# ------------------------------------------------------------------- pooling


@pytest.mark.parametrize('channels', [1, 2, 3, 5])
@pytest.mark.parametrize('pool', [1, 2, 3])
@pytest.mark.parametrize('chunk', [None, 2])
def test_pooling_is_max_pool_behind_the_warp(channels, pool, chunk, impl):
    """The maxima and both gradients; channels that threads share evenly or not."""
    features, rois = rand(2, channels, 9, 11), some_rois(5, 2, 9, 11)
    found = gradients(lambda f, r: roi_warp(f, r, 6, 1, pool=pool, chunk=chunk,
                                            impl=impl), (features, rois))
    wanted = gradients(
        lambda f, r: F.max_pool2d(roi_warp(f, r, 6, 1, impl='reference'), pool)
        if pool > 1 else roi_warp(f, r, 6, 1, impl='reference'), (features, rois))
    assert found[0].shape == (5, channels, 6 // pool, 6 // pool)
    for a, b in zip(found, wanted):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_gradcheck_of_pooled_warping():
    features, rois = rand(1, 2, 5, 6).requires_grad_(), some_rois(2, 1, 5, 6)
    boxes = rois[:, 1:].clone().requires_grad_()

    def function(features, boxes):
        return roi_warp(features, torch.cat((rois[:, :1], boxes), 1), 4, 1, pool=2)

    assert gradcheck(function, (features, boxes))


def test_one_thread_and_two_give_the_same(monkeypatch):
    features, rois = rand(2, 4, 9, 11), some_rois(5, 2, 9, 11)
    results = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(torch, 'get_num_threads', lambda n=threads: n)
        results.append(gradients(lambda f, r: roi_warp(f, r, 6, 1, pool=2),
                                 (features, rois)))
    for other in results[1:]:
        for a, b in zip(results[0], other):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_gradient_of_large_maps_of_points():
    """Places of maxima beyond two bytes."""
    features, rois = rand(1, 1, 8, 8), torch.tensor([[0., 1, 1, 7, 7]], dtype=F64)
    found = gradients(lambda f, r: roi_warp(f, r, (200, 200), 1, pool=2),
                      (features, rois))
    wanted = gradients(lambda f, r: F.max_pool2d(roi_warp(f, r, (200, 200), 1), 2),
                       (features, rois))
    for a, b in zip(found, wanted):
        torch.testing.assert_close(a, b)


def test_pooling_keeps_no_unpooled_result(peak_memory):
    """Of 560 RoIs the result is 58 MB, its gradient too, the places 29; unpooled, the
    result alone would be 232 MB. A chunk is 17 MB.
    """
    setup = """
        from segaware_mm.ops import roi_warp
        features = torch.rand(1, 132, 70, 85, requires_grad=True)
        rois = torch.rand(140, 5) * 500
        rois[:, 0] = 0
        rois[:, 3:] += rois[:, 1:3]
        rois.requires_grad_()
        roi_warp(features, rois[:2], 2, 1 / 16, pool=2).sum().backward()
    """
    used = peak_memory(setup, """
        out = roi_warp(features, rois.repeat(4, 1), 28, 1 / 16, pool=2)
        out.backward(torch.ones_like(out))
    """)
    assert 2 * 58 < used < 2 * 58 + 29 + 6 * 17 + 20, f'{used:.0f} MB'


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize('change, error, text', [
    (dict(features=torch.rand(4, 5)), ValueError,
     r'features must have shape \(B, C, H, W\)'),
    (dict(features=torch.ones(2, 3, 4, 5).int()), TypeError,
     'features must be floating point'),
    (dict(rois=torch.rand(3, 4)), ValueError,
     r'rois has shape \(3, 4\).*must be \(3, 5\)'),
    (dict(rois=torch.ones(3, 5).long()), TypeError, 'rois must be floating point'),
    (dict(rois=torch.zeros(3, 5, device='meta')), ValueError,
     'rois is on meta, features on cpu'),
    (dict(rois=torch.tensor([[0., 1, 1, 2, 2], [2, 1, 1, 2, 2]])), ValueError,
     r'rois\[1, 0\] is 2, the index of an image; features holds 2'),
    (dict(rois=torch.tensor([[-1., 1, 1, 2, 2]])), ValueError, r'rois\[0, 0\] is -1'),
    (dict(rois=torch.tensor([[.5, 1, 1, 2, 2]])), ValueError,
     r'rois\[0, 0\] is 0.5.*must be a whole number below 2'),
    (dict(output_size=0), ValueError, 'output_size must be at least 1, got 0'),
    (dict(output_size=(3, )), TypeError,
     r'output_size must be an integer or \(height, width\), got \(3,\)'),
    (dict(output_size=2.5), TypeError, 'output_size must be an integer or'),
    (dict(output_size=(2, 2.5)), TypeError, 'output_size must be an integer, got 2.5'),
    (dict(spatial_scale=0), ValueError, 'spatial_scale must be more than 0, got 0'),
    (dict(spatial_scale=-1.), ValueError, 'spatial_scale must be at least 0'),
    (dict(pool=3), ValueError,
     r'output_size must be multiples of pool, got \(2, 2\) and 3'),
    (dict(sampling='middle'), ValueError,
     "sampling must be one of 'center', 'corner'; got 'middle'"),
    (dict(chunk=0), ValueError, 'chunk must be at least 1'),
    (dict(impl='cuda'), ValueError, "impl is 'cuda'; this operator offers 'auto'")])
def test_warp_errors_name_the_argument(change, error, text):
    arguments = dict(features=torch.rand(2, 3, 4, 5), rois=torch.zeros(3, 5),
                     output_size=2, spatial_scale=1 / 16)
    with pytest.raises(error, match=text):
        roi_warp(**{**arguments, **change})


@pytest.mark.parametrize('change, error, text', [
    (dict(roi_features=torch.rand(3, 4)), ValueError,
     r'roi_features must have shape \(R, C, h, w\)'),
    (dict(mask_probs=torch.rand(3, 8, 8)), ValueError,
     r'mask_probs must have shape \(R, 1, m, m\)'),
    (dict(mask_probs=torch.rand(2, 1, 8, 8)), ValueError,
     r'mask_probs has shape \(2, 1, 8, 8\).*must be \(3, 1, 8, 8\)'),
    (dict(mask_probs=torch.rand(3, 2, 8, 8)), ValueError, r'must be \(3, 1, 8, 8\)'),
    (dict(mask_probs=torch.ones(3, 1, 8, 8, dtype=torch.bool)), TypeError,
     'mask_probs must be floating point'),
    (dict(align='left'), ValueError, "align must be one of 'center', 'corner'")])
def test_gate_errors_name_the_argument(change, error, text):
    arguments = dict(roi_features=torch.rand(3, 2, 4, 4),
                     mask_probs=torch.rand(3, 1, 8, 8))
    with pytest.raises(error, match=text):
        mask_gate(**{**arguments, **change})
