"""Region construction against the specification's numbers and the reference."""

import math

import pytest
import torch
from memory_program import PEAK_MEMORY
from torch.autograd import gradcheck

from segaware_mm.ops import region_attention as ops
from segaware_mm.ops.divergence import bernoulli_divergence, jensen_shannon_divergence
from segaware_mm.ops.reference import region_attention as reference

F64 = torch.float64
LINES = ('interpolated', 'tree')
DIVERGENCES = ('bernoulli', 'jensen_shannon')
FAST = ('numba', 'torch')

# (H, W): H != W, one row, one column, one pixel.
SHAPES = [(4, 6), (6, 4), (1, 7), (6, 1), (1, 1), (5, 5)]


def smooth_maps(height, width, classes=4, batch=2, seed=0, sharp=1.5,
                dtype=F64):
    """Random but spatially smooth probabilities, so that regions are mixed."""
    generator = torch.Generator().manual_seed(seed)

    def draw(channels):
        coarse = torch.randn(batch, channels, 3, 3, generator=generator, dtype=F64)
        return torch.nn.functional.interpolate(
            coarse, (height, width), mode='bilinear', align_corners=True)

    probs = (draw(classes) * sharp).softmax(1)
    boundary = (draw(1)[:, 0] * 2 - 2).sigmoid()
    return probs.to(dtype), boundary.to(dtype)


# ------------------------------------------------------------ worked numbers

SLOPED = torch.tensor([[[.05, .10, .70, .20, .15, .10],
                        [.10, .40, .30, .90, .25, .05],
                        [.15, .20, .60, .35, .50, .45],
                        [.95, .85, .05, .75, .65, .55]]], dtype=F64)


def test_boundary_on_a_strip():
    strip = torch.tensor([[[.1, .9, .2, .3, .8, .6]]], dtype=F64)
    between = ops.boundary_between(strip)[0]
    wanted = {(0, 1): 0, (0, 2): .9, (1, 3): .2, (1, 4): .3, (2, 5): .8,
              (3, 5): .8, (0, 5): .9}
    for (i, j), value in wanted.items():
        assert between[i, j] == pytest.approx(value)
        assert between[j, i] == pytest.approx(value)


@pytest.mark.parametrize('function', [ops.boundary_between,
                                      reference.boundary_between])
def test_boundary_on_a_slope(function):
    between = function(SLOPED)[0]
    at = {(0, 17): .79, (17, 0): .79, (0, 19): .20}
    for (i, j), value in at.items():
        assert between[i, j] == pytest.approx(value)
    assert between.sum() == pytest.approx(215.2067, abs=1e-4)
    tree = function(SLOPED, 'tree')[0]
    assert tree[0, 17] == pytest.approx(.90)
    assert tree.sum() == pytest.approx(226.4)


@pytest.mark.parametrize('i, j, value', [(18, 23, .85), (5, 23, .45)])
def test_last_row_and_column_are_read(i, j, value):
    """The released code reads 0 along the last row and the last column."""
    assert ops.boundary_between(SLOPED)[0, i, j] == pytest.approx(value)


def test_divergence_of_one_pair():
    p = torch.tensor([.7, .2, .1], dtype=F64)
    q = torch.tensor([.1, .8, .1], dtype=F64)
    probs = torch.stack([p, q], 1).view(1, 3, 1, 2)
    table = ops.semantic_divergence(probs)[0]
    assert table[0, 1] == pytest.approx(.205038, abs=1e-6)
    assert table[1, 0] == pytest.approx(.192745, abs=1e-6)
    assert jensen_shannon_divergence(p, q) == pytest.approx(.222923, abs=1e-6)
    one, zero = torch.ones((), dtype=F64), torch.zeros((), dtype=F64)
    assert bernoulli_divergence(one, zero) == pytest.approx(.661152, abs=1e-6)
    assert bernoulli_divergence(one * .9, one * .6) == pytest.approx(
        .063288, abs=1e-6)


@pytest.mark.parametrize('p, q, dp, dq', [(.7, .1, .626381, -.895880),
                                          (.9, .9, 0., 0.)])
def test_divergence_gradient_is_exact(p, q, dp, dq):
    """The released kernel gives (-.577591, -1.001240) and -2.302585."""
    p = torch.tensor(p, dtype=F64, requires_grad=True)
    q = torch.tensor(q, dtype=F64, requires_grad=True)
    grads = torch.autograd.grad(bernoulli_divergence(p, q), (p, q))
    assert [g.item() for g in grads] == pytest.approx([dp, dq], abs=1e-6)


def test_divergence_gradient_stops_outside_the_clamp():
    p = torch.tensor([.9995, .0001], dtype=F64, requires_grad=True)
    q = torch.tensor([.5, .5], dtype=F64)
    bernoulli_divergence(p, q).sum().backward()
    assert p.grad.tolist() == [0., 0.]


def scene_ex4():
    boundary = torch.full((4, 6), .05, dtype=F64)
    boundary[:, 2] = .85
    boundary[1, 4] = .3
    probs = torch.empty(3, 4, 6, dtype=F64)
    probs[:, :, :3] = torch.tensor([.90, .06, .04], dtype=F64)[:, None, None]
    probs[:, :, 3:] = torch.tensor([.05, .90, .05], dtype=F64)[:, None, None]
    probs[:, 3, 5] = torch.tensor([.1, .2, .7], dtype=F64)
    return probs[None], boundary[None]


@pytest.mark.parametrize('impl', FAST + ('reference', ))
@pytest.mark.parametrize('divergence', DIVERGENCES)
def test_regions_of_the_worked_scene(divergence, impl):
    probs, boundary = scene_ex4()
    labels = ops.construct_regions(probs, boundary, .8, divergence, impl=impl)
    assert labels.view(4, 6).tolist() == [[0, 0, 0, 1, 1, 1]] * 3 + [
        [0, 0, 0, 1, 1, 2]]


def test_divergences_of_the_worked_scene():
    probs, boundary = scene_ex4()
    table = ops.semantic_divergence(probs)[0]
    got = [table[i, j].item() for i, j in ((0, 3), (3, 0), (3, 23), (23, 3))]
    assert got == pytest.approx([.430098, .416322, .275396, .256873], abs=1e-6)
    similarity = reference.pair_similarity(probs, boundary, 'bernoulli',
                                           'interpolated')[0]
    got = [similarity[i, j].item() for i, j in ((0, 1), (0, 3), (3, 0), (4, 16))]
    assert got == pytest.approx([1, .085485, .087552, .70], abs=1e-6)
    follow = reference.follow_first((similarity + similarity.t()) / 2, .8)
    assert follow.tolist() == [0, 0, 0, 3, 3, 3, 0, 0, 0, 3, 3, 3, 0, 0, 0, 3,
                               3, 4, 0, 0, 6, 3, 3, 23]


def test_following_is_not_connectivity():
    """Links 0-3, 1-2, 2-3, 3-4: components would merge {0, 1, 2, 3, 4}."""
    table = torch.eye(6, dtype=F64)
    for i, j in ((0, 3), (1, 2), (2, 3), (3, 4)):
        table[i, j] = table[j, i] = .9
    follow = reference.follow_first(table, .8)
    assert follow.tolist() == [0, 1, 1, 0, 3, 5]
    assert reference.label_roots(follow).tolist() == [0, 1, 1, 0, 0, 2]


SIMILARITY_EX6 = torch.tensor(
    [[1, .9, .8, .1, .2, .1], [.85, 1, .95, .2, .1, .3], [.7, .9, 1, .3, .2, .1],
     [.1, .2, .3, 1, .9, .2], [.2, .1, .2, .8, 1, .1], [.1, .3, .1, .2, .1, 1]],
    dtype=F64)
LABELS_EX6 = torch.tensor([[0, 0, 0, 1, 1, 2]])


def test_membership_and_representatives_of_the_worked_table():
    membership = reference.membership_of(SIMILARITY_EX6[None], LABELS_EX6)
    assert membership[0].tolist() == pytest.approx(
        [.9, .933333, .866667, .95, .9, 1], abs=1e-6)
    wanted = {1: [1, 3, 5], 2: [0, 1, 3, 4, 5], 3: [0, 1, 2, 3, 4, 5]}
    for k, indices in wanted.items():
        got = ops.region_representatives(membership, LABELS_EX6, k)
        assert [one.tolist() for one in got] == [indices]


@pytest.mark.parametrize('impl', FAST + ('reference', ))
def test_an_untrained_network_has_one_region(impl):
    """Uniform classes and B = .5: only neighbours are similar (EX9)."""
    probs = torch.full((1, 3, 4, 5), 1 / 3, dtype=F64)
    boundary = torch.full((1, 4, 5), .5, dtype=F64)
    labels = ops.construct_regions(probs, boundary, impl=impl)
    assert labels.tolist() == [[0] * 20]
    membership = ops.region_membership(probs, boundary, labels, impl=impl)
    assert membership[0, 0].item() == pytest.approx(.6)
    assert membership[0, 7].item() == pytest.approx(.725)
    chosen = ops.region_representatives(membership, labels, 8)
    assert len(chosen[0]) == 8


# ------------------------------------------------------------------- parity


@pytest.mark.parametrize('line', LINES)
@pytest.mark.parametrize('shape', SHAPES)
def test_dense_tables_match_the_reference(shape, line):
    probs, boundary = smooth_maps(*shape, seed=sum(shape))
    torch.testing.assert_close(
        ops.boundary_between(boundary, line),
        reference.boundary_between(boundary, line), atol=1e-12, rtol=0)
    for kind in DIVERGENCES:
        torch.testing.assert_close(
            ops.semantic_divergence(probs, kind),
            reference.semantic_divergence(probs, kind), atol=1e-12, rtol=0)


@pytest.mark.parametrize('impl', FAST)
@pytest.mark.parametrize('line', LINES)
@pytest.mark.parametrize('divergence', DIVERGENCES)
def test_regions_match_the_reference(divergence, line, impl):
    counts = set()
    for seed, shape in enumerate(SHAPES):
        probs, boundary = smooth_maps(*shape, classes=3, seed=seed, sharp=1. + seed)
        similarity = reference.pair_similarity(probs, boundary, divergence, line)
        table = (similarity + similarity.transpose(1, 2)) / 2
        for threshold in (.5, .7, .8, .9, .97):
            fast = ops.construct_regions(probs, boundary, threshold, divergence,
                                         line, impl)
            slow = [reference.label_roots(reference.follow_first(g, threshold))
                    for g in table]
            assert torch.equal(fast, torch.stack(slow)), (shape, threshold)
            counts.update((fast.max(1)[0] + 1).tolist())
    assert len(counts) > 3  # the maps do differ in their numbers of regions


@pytest.mark.parametrize('impl', FAST)
@pytest.mark.parametrize('line', LINES)
@pytest.mark.parametrize('divergence', DIVERGENCES)
def test_membership_and_gradients_match_the_reference(divergence, line, impl):
    for seed, shape in enumerate(SHAPES):
        probs, boundary = smooth_maps(*shape, classes=3, seed=seed)
        probs.requires_grad_()
        boundary.requires_grad_()
        generator = torch.Generator().manual_seed(seed)
        n = shape[0] * shape[1]
        labels = torch.randint(0, min(3, n), (2, n), generator=generator)
        weight = torch.rand(2, n, generator=generator, dtype=F64)
        got = []
        for name in (impl, 'reference'):
            membership = ops.region_membership(probs, boundary, labels,
                                               divergence, line, impl=name)
            grads = torch.autograd.grad((membership * weight).sum(),
                                        (probs, boundary), allow_unused=True)
            zeros = [torch.zeros_like(probs), torch.zeros_like(boundary)]
            got.append([membership] + [
                z if g is None else g for g, z in zip(grads, zeros)])
        for fast, slow in zip(*got):
            torch.testing.assert_close(fast, slow, atol=1e-10, rtol=0)


@pytest.mark.parametrize('impl', FAST)
def test_gradient_of_equal_maxima_goes_to_the_first(impl):
    """A constant boundary map is all ties, as in an untrained network."""
    probs = torch.full((1, 2, 3, 5), .5, dtype=F64)
    boundary = torch.full((1, 3, 5), .5, dtype=F64)
    labels = torch.zeros(1, 15, dtype=torch.int64)
    weight = torch.arange(15., dtype=F64)
    grads = []
    for name in (impl, 'reference'):
        b = boundary.clone().requires_grad_()
        membership = ops.region_membership(probs, b, labels, impl=name)
        (membership * weight).sum().backward()
        grads.append(b.grad)
    torch.testing.assert_close(*grads, atol=1e-12, rtol=0)


@pytest.mark.parametrize('impl', FAST)
@pytest.mark.parametrize('line', LINES)
@pytest.mark.parametrize('divergence', DIVERGENCES)
def test_gradcheck_of_membership(divergence, line, impl):
    probs, boundary = smooth_maps(3, 4, classes=3, batch=1, seed=5)
    labels = torch.tensor([[0, 0, 1, 1, 0, 0, 1, 1, 0, 2, 1, 1]])
    assert gradcheck(
        lambda p, b: ops.region_membership(p, b, labels, divergence, line, impl),
        (probs.requires_grad_(), boundary.requires_grad_()))


@pytest.mark.parametrize('line', LINES)
def test_gradcheck_of_boundary_between(line):
    boundary = smooth_maps(3, 4, batch=1, seed=2)[1].requires_grad_()
    assert gradcheck(lambda b: ops.boundary_between(b, line), (boundary, ))


@pytest.mark.parametrize('kind', DIVERGENCES)
def test_gradcheck_of_semantic_divergence(kind):
    probs = smooth_maps(2, 3, classes=3, batch=1, seed=2)[0].requires_grad_()
    assert gradcheck(lambda p: ops.semantic_divergence(p, kind), (probs, ))


def test_jensen_shannon_bounds_of_the_prune():
    """ln2 h2 <= JS <= h2, on which the search's early rejections rest."""
    p = torch.rand(200, 5, dtype=F64).softmax(1)
    q = (torch.rand(200, 5, dtype=F64) * 9).softmax(1)
    divergence = jensen_shannon_divergence(p, q, 1)
    hellinger = 1 - (p * q).sqrt().sum(1)
    assert (divergence <= hellinger + 1e-12).all()
    assert (divergence >= math.log(2) * hellinger - 1e-12).all()


# ------------------------------------------------------- ladder: odd inputs


def float32_scene(height, width, classes=6, seed=0):
    probs, boundary = smooth_maps(height, width, classes, 1, seed, sharp=3.)
    return probs.float(), boundary.float()


@pytest.mark.parametrize('impl', FAST)
def test_float32_membership_is_close_to_float64(impl):
    probs, boundary = smooth_maps(20, 24, 6, 1, 3, sharp=3.)
    labels = ops.construct_regions(probs, boundary)
    exact = ops.region_membership(probs, boundary, labels, impl='numba')
    single = ops.region_membership(probs.float(), boundary.float(), labels,
                                   impl=impl)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=2e-6, rtol=0)


@pytest.mark.parametrize('impl', FAST)
def test_non_contiguous_input(impl):
    probs, boundary = float32_scene(8, 6)
    turned = (probs.transpose(2, 3).contiguous().transpose(2, 3),
              boundary.transpose(1, 2).contiguous().transpose(1, 2))
    assert not turned[0].is_contiguous()
    labels = ops.construct_regions(probs, boundary, .9, impl=impl)
    assert torch.equal(labels, ops.construct_regions(*turned, .9, impl=impl))
    torch.testing.assert_close(
        ops.region_membership(*turned, labels, impl=impl),
        ops.region_membership(probs, boundary, labels, impl=impl))


@pytest.mark.parametrize('impl', FAST)
def test_a_batch_of_two_is_two_batches_of_one(impl):
    probs, boundary = smooth_maps(7, 9, dtype=torch.float32)
    labels = ops.construct_regions(probs, boundary, impl=impl)
    singles = [ops.construct_regions(probs[b:b + 1], boundary[b:b + 1],
                                     impl=impl) for b in (0, 1)]
    assert torch.equal(labels, torch.cat(singles))


@pytest.mark.parametrize('impl', FAST)
def test_all_singletons(impl):
    probs, boundary = float32_scene(5, 6)
    labels = ops.construct_regions(probs, boundary, threshold=1., impl=impl)
    assert labels.tolist() == [list(range(30))]
    membership = ops.region_membership(probs, boundary, labels, impl=impl)
    assert torch.equal(membership, torch.ones_like(membership))
    chosen = ops.region_representatives(membership, labels, 8)
    assert chosen[0].tolist() == list(range(30))


@pytest.mark.parametrize('impl', FAST)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_and_extreme_probabilities(dtype, impl):
    logits = torch.zeros(1, 3, 5, 6)
    logits[:, 0] = 60.
    logits[:, :, :, 3:] = logits[:, :, :, 3:].flip(1)
    probs = logits.softmax(1).to(dtype).requires_grad_()
    boundary = torch.zeros(1, 5, 6, dtype=dtype)
    boundary[:, :, 2] = 1.
    boundary.requires_grad_()
    for divergence in DIVERGENCES:
        labels = ops.construct_regions(probs, boundary, divergence=divergence,
                                       impl=impl)
        assert labels.view(5, 6)[0].tolist() == [0, 0, 0, 1, 1, 1]
        membership = ops.region_membership(probs, boundary, labels, divergence,
                                           impl=impl)
        grads = torch.autograd.grad(membership.sum(), (probs, boundary))
        for value in (membership, ) + grads:
            assert value.isfinite().all()


@pytest.mark.parametrize('impl', FAST)
def test_a_pixel_with_nan_follows_nobody(impl):
    probs, boundary = float32_scene(4, 4)
    probs[..., 2, 2] = float('nan')
    labels = ops.construct_regions(probs, boundary, impl=impl).view(4, 4)
    assert (labels == labels[2, 2]).sum() == 1
    # Nor does it reach the gradients of the others.
    probs.requires_grad_()
    membership = ops.region_membership(probs, boundary, labels.view(1, 16),
                                       impl=impl)
    grad, = torch.autograd.grad(membership.sum(), probs)
    others = torch.ones(4, 4, dtype=torch.bool)
    others[2, 2] = False
    assert membership[:, others.flatten()].isfinite().all()
    assert grad[..., others].isfinite().all()


@pytest.mark.parametrize('impl', FAST + ('reference', ))
def test_an_empty_batch(impl):
    probs = torch.rand(0, 3, 4, 5, requires_grad=True)
    boundary = torch.rand(0, 4, 5)
    labels = ops.construct_regions(probs, boundary, impl=impl)
    assert labels.shape == (0, 20) and labels.dtype == torch.int64
    membership = ops.region_membership(probs, boundary, labels, impl=impl)
    assert membership.shape == (0, 20)
    membership.sum().backward()
    assert probs.grad.shape == probs.shape


@pytest.mark.parametrize('impl', FAST)
def test_jensen_shannon_of_maps_that_do_not_sum_to_one(impl):
    """Half precision rounds; the early rejections must not rely on the sum."""
    probs = torch.full((1, 3, 5, 6), .1, dtype=F64)
    boundary = torch.full((1, 5, 6), .05, dtype=F64)
    labels = ops.construct_regions(probs, boundary, .8, 'jensen_shannon', impl=impl)
    assert labels.max() == 0


@pytest.mark.parametrize('impl', FAST)
def test_a_boundary_of_zero_gets_no_gradient(impl):
    boundary = torch.tensor([[[.5, 0, 0, .5]]], dtype=F64, requires_grad=True)
    probs = torch.full((1, 2, 1, 4), .5, dtype=F64)
    labels = torch.zeros(1, 4, dtype=torch.int64)
    for line in LINES:
        membership = ops.region_membership(probs, boundary, labels, line=line,
                                           impl=impl)
        grad, = torch.autograd.grad(membership.sum(), boundary)
        assert grad.tolist() == [[[0, 0, 0, 0]]]


@pytest.mark.parametrize('impl', FAST)
def test_a_second_derivative_is_refused(impl):
    probs, boundary = smooth_maps(3, 4, batch=1)
    boundary.requires_grad_()
    membership = ops.region_membership(
        probs, boundary, torch.zeros(1, 12, dtype=torch.int64), impl=impl)
    grad, = torch.autograd.grad(membership.square().sum(), boundary, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize('impl', FAST)
def test_two_runs_are_bit_equal(impl, deterministic):
    """The torch path accumulates by index, whose order torch keeps on request."""
    probs, boundary = float32_scene(12, 16)
    probs.requires_grad_()
    labels = ops.construct_regions(probs, boundary, impl=impl)
    grads = []
    for _ in range(2):
        membership = ops.region_membership(probs, boundary, labels, impl=impl)
        grads.append(torch.autograd.grad(membership.square().sum(), probs)[0])
    assert torch.equal(*grads)


def test_thread_count_does_not_change_the_regions():
    probs, boundary = float32_scene(24, 30)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            labels = ops.construct_regions(probs, boundary, impl='numba')
            results.append((labels, ops.region_membership(
                probs, boundary, labels, impl='numba')))
    finally:
        torch.set_num_threads(threads)
    for labels, membership in results[1:]:
        assert torch.equal(labels, results[0][0])
        torch.testing.assert_close(membership, results[0][1])


def test_flipping_may_change_the_regions():
    """Raster order matters: documented, so it should stay true."""
    table = torch.eye(6, dtype=F64)
    for i, j in ((0, 3), (1, 2), (2, 3), (3, 4)):
        table[i, j] = table[j, i] = .9
    there = reference.label_roots(reference.follow_first(table, .8))
    flipped = reference.label_roots(
        reference.follow_first(table.flip(0, 1), .8)).flip(0)
    same = there[:, None] == there[None]
    assert not torch.equal(same, flipped[:, None] == flipped[None])


# ------------------------------------------------------------------- errors


@pytest.mark.parametrize('change, error, text', [
    (dict(probs=torch.rand(3, 4, 5)), ValueError,
     r'probs must have shape \(B, C, H, W\), got \(3, 4, 5\)'),
    (dict(probs=torch.ones(1, 2, 4, 5, dtype=torch.int64)), TypeError,
     'probs must be floating point, got torch.int64'),
    (dict(boundary=torch.rand(1, 5, 4)), ValueError,
     r'boundary has shape \(1, 5, 4\).*must be \(1, 4, 5\)'),
    (dict(divergence='kl'), ValueError, "divergence must be one of 'bernoulli'"),
    (dict(line='bresenham'), ValueError, "line must be one of 'interpolated'"),
    (dict(impl='fast'), ValueError, "impl is 'fast'; this operator offers"),
    (dict(probs=[[1.]]), TypeError, 'probs must be a tensor'),
])
def test_errors_name_the_argument(change, error, text):
    arguments = dict(probs=torch.rand(1, 2, 4, 5), boundary=torch.rand(1, 4, 5))
    arguments.update(change)
    with pytest.raises(error, match=text):
        ops.construct_regions(**arguments)


def test_errors_of_the_other_functions():
    probs, boundary = torch.rand(1, 2, 4, 5), torch.rand(1, 4, 5)
    with pytest.raises(ValueError, match=r'labels has shape \(1, 19\)'):
        ops.region_membership(probs, boundary, torch.zeros(1, 19).long())
    for wrong in (-1, 20):
        with pytest.raises(ValueError, match=r'labels must lie in 0..19'):
            ops.region_membership(probs, boundary,
                                  torch.full((1, 20), wrong, dtype=torch.int64))
    with pytest.raises(TypeError, match='labels must hold integers'):
        ops.region_membership(probs, boundary, torch.zeros(1, 20))
    with pytest.raises(ValueError, match='num_representatives must be at least 1'):
        ops.region_representatives(torch.rand(1, 20), torch.zeros(1, 20).long(), 0)
    with pytest.raises(TypeError, match='labels is int8'):
        ops.boundary_target(torch.zeros(1, 3, 3, dtype=torch.int8))
    with pytest.raises(ValueError, match='radius must be at least 1'):
        ops.boundary_target(torch.zeros(1, 4, 4).long(), 0)


def test_the_environment_replaces_auto(monkeypatch):
    probs, boundary = torch.rand(1, 2, 4, 5), torch.rand(1, 4, 5)
    monkeypatch.setenv('SEGAWARE_MM_IMPL', 'nonsense')
    with pytest.raises(ValueError, match="SEGAWARE_MM_IMPL is 'nonsense'"):
        ops.construct_regions(probs, boundary)
    assert ops.construct_regions(probs, boundary, impl='torch').shape == (1, 20)


# ------------------------------------------------------------------- memory

MEMORY_PROGRAM = PEAK_MEMORY + """
import torch
from segaware_mm.ops import region_attention as ops
height, width, classes = {height}, {width}, 4
y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
owner = ((y // 16) * 5 + x // 16) % classes
def maps(h, w):
    logits = torch.nn.functional.one_hot(owner[:h, :w], classes).permute(2, 0, 1)
    probs = (logits * 8.)[None].softmax(1).requires_grad_()
    edge = ops.boundary_target(owner[None, :h, :w], 1).float()
    return probs, (edge * .9).requires_grad_()
def run(h, w):
    probs, boundary = maps(h, w)
    labels = ops.construct_regions(probs, boundary, impl='{impl}')
    ops.region_membership(probs, boundary, labels, impl='{impl}').sum().backward()
    return int(labels.max()) + 1, boundary.grad.abs().sum().item()
run(8, 8)  # compile, load
before = start_peak()
count, total = run(height, width)
print(count, total, peak_mb(before))
"""


@pytest.mark.parametrize('height, width, limit, impl', [
    (97, 97, 200, 'numba'), (128, 256, 400, 'numba'), (24, 128, 200, 'torch')])
def test_no_n_by_n_tensor_exists(height, width, limit, impl, last_line):
    """97x97: one N x N float32 is 354 MB. 128x256: 2^30 pairs, 4.3 GB; a
    32-bit pair index would overflow at two images of it."""
    out = last_line(MEMORY_PROGRAM.format(height=height, width=width, impl=impl))
    count, total, used = map(float, out.split())
    assert count > 1 and total > 0
    assert used < limit, f'{used:.0f} MB beyond the inputs'


# ---------------------------------------------------------- boundary target


def test_boundary_target_has_two_pixels_on_each_side():
    labels = torch.zeros(1, 7, 10, dtype=torch.int64)
    labels[..., 5:] = 1
    edge = ops.boundary_target(labels, 2)
    assert edge[0, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert edge.dtype == labels.dtype
    wide = ops.boundary_target(labels, 3)
    assert wide[0, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 0, 0]


def test_boundary_target_is_euclidean():
    labels = torch.zeros(1, 7, 7, dtype=torch.int64)
    labels[0, 3, 3] = 1
    edge = ops.boundary_target(labels, 2)[0]
    y, x = torch.meshgrid(torch.arange(7), torch.arange(7), indexing='ij')
    assert torch.equal(edge == 1, (y - 3)**2 + (x - 3)**2 <= 4)


def test_boundary_target_ignores_void_and_frame():
    labels = torch.full((1, 6, 8), 255)
    labels[..., 3:] = 4
    edge = ops.boundary_target(labels)
    assert (edge[..., :3] == 255).all() and (edge[..., 3:] == 0).all()


def test_released_boundary_rule():
    """Class 0 has no contour against void, others do; the frame counts."""
    labels = torch.zeros(1, 9, 12, dtype=torch.int64)
    labels[..., 6:] = 3
    released = ops.boundary_target(labels, rule='released')[0]
    assert released[4].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1]
    assert released[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    road = torch.zeros(1, 9, 12, dtype=torch.int64)
    road[..., 6:] = 255
    assert ops.boundary_target(road, rule='released').sum() == 0
    clean = ops.boundary_target(road)
    assert set(clean.unique().tolist()) == {0, 255}


def test_boundary_target_of_tiny_maps():
    assert ops.boundary_target(torch.zeros(2, 1, 1).long()).tolist() == [
        [[0]], [[0]]]
    assert ops.boundary_target(torch.tensor([[[0, 1]]])).tolist() == [[[1, 1]]]
