"""The guide: sharing, nesting, checkpointing, copies, compilation."""

import copy
import gc
import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from segaware_mm.segaware import guide as guides
from segaware_mm.segaware.guide import Guide, bind_guide
from segaware_mm.segaware.seg_aware_conv import SegAwareConv2d


class Owner(nn.Module):
    """Two aware convolutions; ``checkpointed`` ones run again in backward."""

    def __init__(self, checkpointed=None):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Conv2d(3, 4, 1)
        self.body = nn.Sequential(SegAwareConv2d(3, 5, 3, hardness=.5), nn.Tanh(),
                                  SegAwareConv2d(5, 5, 3, hardness=.3))
        self.checkpointed = checkpointed
        self.guide = Guide()
        bind_guide(self, self.guide)

    def forward(self, x):
        with self.guide.show(self.embed(x)) as shown:
            if self.checkpointed is None:
                out = self.body(x)
            elif self.checkpointed == 'whole':
                out = checkpoint(self.body, x, use_reentrant=False)
            elif self.checkpointed == 'reentrant':
                out = checkpoint(self.body, x, use_reentrant=True)
            else:
                out = x
                for layer in self.body:
                    out = checkpoint(layer, out, use_reentrant=False)
        return shown.follow(out)


def images(count=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 3, 6, 7, generator=generator) for _ in range(count)]


def grads(owner, *batches):
    """Gradients of the sum of the losses; all forwards before the backward."""
    owner.zero_grad()
    loss = sum(owner(x).square().mean() * (k + 1) for k, x in enumerate(batches))
    loss.backward()
    return [p.grad.clone() for p in owner.parameters()]


@pytest.mark.parametrize('checkpointed', ['whole', 'layers'])
@pytest.mark.parametrize('count', [1, 2, 3])
def test_checkpointing_finds_the_embedding_of_its_own_call(checkpointed, count):
    batches = images(count)
    torch.testing.assert_close(grads(Owner(checkpointed), *batches),
                               grads(Owner(), *batches))


def test_a_reentrant_checkpoint_is_refused_where_the_embedding_learns():
    """The embedding's gradient was lost, or autograd ran twice over its graph."""
    owner, x = Owner('reentrant'), images()[0].requires_grad_()
    with pytest.raises(RuntimeError, match='reentrant activation checkpoint'):
        owner(x).square().mean().backward()
    body, guide = Owner().body, Guide()
    for layer in body:
        layer.guide = guide
    found = []
    for reentrant in (True, False):
        body.zero_grad()
        with guide.show(images()[1]) as shown:  # an embedding that does not learn
            out = shown.follow(checkpoint(body, x, use_reentrant=reentrant))
        out.square().mean().backward()
        found.append([p.grad.clone() for p in body.parameters()])
    torch.testing.assert_close(*found)


def test_a_reentrant_checkpoint_is_seen_beside_a_layer_without_one():
    """Distances that the other layer had left there hid it."""
    body, guide = Owner().body, Guide()
    body[2] = SegAwareConv2d(3, 3, 3)
    body[2].guide = body[0].guide = guide
    embedding, x = images()[1].requires_grad_(), images()[0].requires_grad_()
    with guide.show(embedding) as shown:
        out = shown.follow(checkpoint(body[0], body[2](x), use_reentrant=True))
    with pytest.raises(RuntimeError, match='reentrant activation checkpoint'):
        out.square().mean().backward()


def test_the_last_embedding_is_not_seen_after_the_backward_pass():
    owner = Owner('whole')
    loss = owner(images()[0]).square().mean()  # keeps the graph
    loss.backward()
    with pytest.raises(RuntimeError, match='has no embedding'):
        owner.body(images()[0])


def test_layers_of_1x1_read_no_guide():
    net, guide = nn.Sequential(SegAwareConv2d(3, 3, 1), SegAwareConv2d(3, 3, 3)), Guide()
    assert bind_guide(net, guide) == 1
    assert net[0].guide is None and net[1].guide is guide


def test_distances_are_computed_once_for_a_window_and_size(monkeypatch):
    seen = []
    compute = guides.local_distance
    monkeypatch.setattr(guides, 'local_distance',
                        lambda *args: seen.append(args[1:]) or compute(*args))
    owner = Owner()
    owner(images()[0])
    assert seen == [(3, 1, 1, 'l1')]
    owner(images()[1])
    assert len(seen) == 2


def test_the_guide_holds_nothing_once_the_graph_is_gone():
    owner = Owner('whole')
    out = owner(images()[0])
    out.square().mean().backward()
    del out
    gc.collect()
    assert owner.guide.shown is None
    with pytest.raises(RuntimeError, match='has no embedding'):
        owner.body(images()[0])


def test_an_error_inside_leaves_nothing_shown():
    guide = Guide()
    with pytest.raises(KeyError), guide.show(images()[0]):
        raise KeyError
    assert guide.shown is None


def test_an_owner_further_inside_keeps_its_guide():
    inner = Owner()
    outer, guide = nn.Sequential(inner, SegAwareConv2d(5, 5, 3)), Guide()
    assert bind_guide(outer, guide) == 1
    assert inner.body[0].guide is inner.guide and outer[1].guide is guide


@pytest.mark.parametrize('duplicate', [
    copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module)),
    lambda module: pickle.loads(pickle.dumps(module, 0))])
def test_a_copy_has_one_guide_of_its_own(duplicate):
    owner = Owner()
    wanted = owner(images()[0])  # a live graph does not hinder copying
    twin = duplicate(owner)
    assert twin.guide is not owner.guide
    assert twin.body[0].guide is twin.body[2].guide is twin.guide
    torch.testing.assert_close(twin(images()[0]), wanted)


def test_the_embedding_comes_at_the_size_of_the_map():
    guide, embedding = Guide(), torch.randn(1, 2, 9, 13)
    with guide.show(embedding) as shown:
        assert shown.at((9, 13)) is embedding
        torch.testing.assert_close(shown.at((5, 7)), embedding[..., ::2, ::2])


def test_gradients_wanted_later_are_not_lost_to_an_earlier_no_grad():
    guide, layer = Guide(), SegAwareConv2d(3, 3, 3)
    bind_guide(layer, guide)
    embedding = images()[0].requires_grad_()
    with guide.show(embedding):
        with torch.no_grad():
            layer(images()[1])
        layer(images()[1]).square().sum().backward()
    assert embedding.grad.any()


def test_compiled():
    owner = Owner().eval()
    x = images()[0]
    compiled = torch.compile(owner, backend='aot_eager')
    torch.testing.assert_close(compiled(x), owner(x))
    owner.zero_grad()
    compiled(x).square().mean().backward()
    found = [p.grad.clone() for p in owner.parameters()]
    torch.testing.assert_close(found, grads(owner, x))


def test_what_is_shown_must_be_a_map():
    with pytest.raises(ValueError, match=r'embedding must have shape \(B, E, H, W\)'):
        with Guide().show(torch.zeros(3, 4)):
            pass
