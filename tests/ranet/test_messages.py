"""Interaction: worked numbers (EX7), edge cases, the two modes against a slow twin."""

import pytest
import torch

from segaware_mm.ops.reference.region_attention import membership_of
from segaware_mm.ops.region_attention import region_representatives
from segaware_mm.ranet import paper_messages, released_messages
from segaware_mm.ranet.representatives import RepresentativeConv

F64 = torch.float64
SIMILARITY = torch.tensor(
    [[1, .9, .8, .1, .2, .1], [.85, 1, .95, .2, .1, .3], [.7, .9, 1, .3, .2, .1],
     [.1, .2, .3, 1, .9, .2], [.2, .1, .2, .8, 1, .1], [.1, .3, .1, .2, .1, 1]],
    dtype=F64)
LABELS = torch.tensor([[0, 0, 0, 1, 1, 2]])
FEATURE = torch.tensor([(1, 0), (.5, .5), (0, 1), (-1, .5), (.25, -.5), (0, 2)],
                       dtype=F64)[None]
EXPECTED = {
    'per_region': [(1.05895, 2.66969), (.62562, 3.13635), (.15895, 3.53635),
                   (-.78821, 3.19236), (.38679, 2.26736), (.17031, 4.86038)],
    'joint': [(1.64858, 2.49487), (1.21525, 2.96154), (.74858, 3.36154),
              (-1.32475, 2.01896), (-.14975, 1.09396), (.60458, 4.70298)],
    'released': [(1.31281, 5.73407), (.53869, 7.20582), (-.04079, 8.24883),
                 (-1.57668, 6.69029), (.17523, 4.70157), (-.00861, 9.49337)],
}


def identity(values, mask):
    return values


def run(mode, feature, membership, labels, k):
    chosen = region_representatives(membership, labels, k)
    if mode == 'released':
        return released_messages.exchange(feature, feature, membership, chosen,
                                          1., identity, identity)
    return paper_messages.exchange(feature, membership, labels, chosen, 1., mode,
                                   identity, identity)


@pytest.mark.parametrize('mode', EXPECTED)
def test_worked_numbers(mode):
    membership = membership_of(SIMILARITY[None], LABELS)
    out = run(mode, FEATURE, membership, LABELS, 1)
    torch.testing.assert_close(out[0], torch.tensor(EXPECTED[mode], dtype=F64),
                               atol=1.1e-5, rtol=0)


def slow(mode, feature, membership, labels, chosen):
    """The equations, one pixel at a time, for one image."""
    n = len(feature)
    reps = chosen.tolist()
    region = labels.tolist()
    a, j = feature, membership

    def mix(query, keys, values):
        if not keys:
            return torch.zeros_like(query)
        share = torch.stack([query @ k for k in keys]).softmax(0)
        return sum(s * v for s, v in zip(share, values))

    if mode == 'released':
        c = {r: a[r] + mix(a[r], [j[i] * a[i] for i in range(n)],
                           [a[i] for i in range(n)]) for r in reps}
        m = {r: c[r] + mix(c[r], [j[s] * c[s] for s in reps],
                           [c[s] for s in reps]) for r in reps}
        return torch.stack([
            a[i] + mix(a[i], [j[s] * m[s] for s in reps], [m[s] for s in reps])
            for i in range(n)])
    local, whole = {}, {}
    for p in reps:
        said = [j[i] * a[i] for i in range(n)
                if region[i] == region[p] and i not in reps]
        local[p] = j[p] * a[p] + mix(a[p], said, said)
    for p in reps:
        others = sorted({region[r] for r in reps} - {region[p]})
        groups = [[r for r in reps if region[r] == q] for q in others]
        if mode == 'joint':
            groups = [sum(groups, [])]
        whole[p] = j[p] * local[p]
        for group in groups:
            said = [j[r] * local[r] for r in group]
            whole[p] = whole[p] + mix(local[p], said, said)
    out = []
    for i in range(n):
        said = [j[r] * whole[r] for r in reps if region[r] == region[i]]
        out.append(j[i] * a[i] + mix(a[i], said, said))
    return torch.stack(out)


def random_case(n=12, batch=3, channels=3, seed=0, regions=4):
    generator = torch.Generator().manual_seed(seed)
    feature = torch.randn(batch, n, channels, generator=generator, dtype=F64)
    membership = torch.rand(batch, n, generator=generator, dtype=F64) * .9 + .1
    labels = torch.randint(0, regions, (batch, n), generator=generator)
    labels[:, :regions] = torch.arange(regions)  # no region is empty
    labels[0] = 0  # one region only
    labels[-1] = torch.arange(n)  # all singletons: other numbers of regions
    return feature, membership, labels


@pytest.mark.parametrize('k', [1, 2, 8])
@pytest.mark.parametrize('mode', EXPECTED)
def test_equations_pixel_by_pixel(mode, k):
    feature, membership, labels = random_case()
    feature.requires_grad_()
    membership.requires_grad_()
    out = run(mode, feature, membership, labels, k)
    chosen = region_representatives(membership, labels, k)
    wanted = torch.stack([
        slow(mode, *case) for case in zip(feature, membership, labels, chosen)])
    torch.testing.assert_close(out, wanted, atol=1e-10, rtol=0)
    weight = torch.rand_like(out)
    fast_grads = torch.autograd.grad((out * weight).sum(), (feature, membership))
    slow_grads = torch.autograd.grad((wanted * weight).sum(),
                                     (feature, membership))
    for got, want in zip(fast_grads, slow_grads):
        torch.testing.assert_close(got, want, atol=1e-9, rtol=0)


@pytest.mark.parametrize('mode', EXPECTED)
def test_images_of_a_batch_do_not_mix(mode):
    feature, membership, labels = random_case(seed=1)
    together = run(mode, feature, membership, labels, 2)
    apart = [run(mode, feature[b:b + 1], membership[b:b + 1], labels[b:b + 1], 2)
             for b in range(3)]
    torch.testing.assert_close(together, torch.cat(apart))


@pytest.mark.parametrize('kernel', [1, 3])
def test_representative_conv_equals_the_released_map_convolution(kernel):
    """A 3x3 convolution on the list as a one-column map: its middle column."""
    torch.manual_seed(0)
    conv = RepresentativeConv(5, kernel, None, None).double()
    wide = torch.nn.Conv2d(5, 5, 3, padding=1, bias=True).double()
    with torch.no_grad():
        wide.weight.zero_()
        span = slice(None) if kernel == 3 else slice(1, 2)
        wide.weight[:, :, span, 1] = conv.conv.weight
        wide.weight[:, :, :, 0].normal_()  # dead: beside a one-column map
        wide.bias.copy_(conv.conv.bias)
    lists = [torch.randn(n, 5, dtype=F64) for n in (4, 1, 6)]
    padded = torch.nn.utils.rnn.pad_sequence(lists, batch_first=True)
    mask = torch.arange(6)[None] < torch.tensor([4, 1, 6])[:, None]
    got = conv(padded, mask)
    for one, values in zip(got, lists):
        want = wide(values.t()[None, :, :, None])[0, :, :, 0].t()
        torch.testing.assert_close(one[:len(values)], want)
    assert (got[~mask] == 0).all()


def test_one_representative_does_not_stop_a_training_norm():
    conv = RepresentativeConv(4, 3, dict(type='BN'), dict(type='ReLU')).train()
    values = torch.randn(1, 1, 4, requires_grad=True)
    conv(values, torch.ones(1, 1, dtype=torch.bool)).sum().backward()
    assert all(p.grad is not None for p in conv.parameters())
