"""TransferNetHead: parts, losses, worked numbers, gradients."""

from itertools import product

import pytest
import torch
from torch import nn
from transfernet_models import LABELS, batch_of, build, head_cfg, images, net, total

import segaware_mm  # noqa: F401  registers the parts
from segaware_mm.ops import densify
from segaware_mm.transfernet.targets import binary_target
from segaware_mm.transfernet.transfernet_head import PairTerms, TransferNetHead


def job(**head):
    """A model, the maps of two images, three pairs and their targets."""
    model = net(head=head)
    maps = model.extract_feat(images())
    rows, labels = torch.tensor([0, 1, 1]), torch.tensor([1, 3, 4])
    seg = torch.cat([s.gt_sem_seg.data for s in batch_of([1], [3, 4])])
    return model.decode_head, maps, rows, labels, binary_target(seg[rows], labels)


# ------------------------------------------------------------------ worked numbers


def plain(**kwargs):
    """A head whose losses alone are asked."""
    return build(head_cfg(**kwargs))


def terms_of(head, cls, seg):
    count = len(cls)
    flags = torch.zeros(count, dtype=torch.bool)
    zero = torch.zeros(count)
    return [PairTerms(cls, zero, seg, zero, zero, flags, flags, flags, ~flags)]


def test_losses_of_the_example():
    """Scores of the ground are 0; one pixel of six is ignored."""
    head = plain()
    target = binary_target(torch.tensor([[[0, 3, 255], [5, 3, 0]]]), 3)
    figure = torch.tensor([[0., 2, 9], [1, -1, 0]])
    scores = torch.stack([torch.zeros(2, 3), figure])[None]
    seg = head.seg_sums(scores, target)
    pixels = (target != 255).sum()
    assert (seg / pixels / 2).item() == pytest.approx(.827949, abs=1e-6)
    logits = torch.tensor([[2., 0, -1]])
    cls = head.elements(head.loss_cls, logits, torch.tensor([0]), -100)
    assert cls.item() == pytest.approx(.169846, abs=1e-6)
    losses = head.losses(terms_of(head, cls, seg), pixels)
    assert total(losses).item() == pytest.approx(1.825744, abs=1e-6)
    nothing = head.seg_sums(scores, target * 0 + 255)
    assert nothing.item() == 0
    assert head.losses(terms_of(head, cls, nothing), 0)['loss_seg'].item() == 0


def test_published_number_of_weights():
    with torch.device('meta'):
        head = build(dict(type='TransferNetHead', num_classes=81), init=False)
    counts = {name: sum(p.numel() for p in child.parameters())
              for name, child in head.named_children()}
    assert counts['classifier'] == 262656 + 41040
    assert counts['decoder'] == 7675202
    assert counts['attention'] == 209716224 + 82944 + 1049600 + 410000
    assert (head.loss_cls.loss_weight, head.loss_seg.loss_weight) == (1, 2)


# ------------------------------------------------------------------------ forward


def test_the_decoder_sees_the_dense_map_alone():
    head, maps, rows, labels, _ = job()
    found = head.attend(maps.feature[rows], labels)
    weights = head.attention(maps.feature[rows], labels - 1)
    assert torch.equal(found.attention.weights, weights)
    torch.testing.assert_close(found.dense, densify(maps.feature[rows], weights))
    torch.testing.assert_close(
        found.context, (maps.feature[rows] * weights).sum((2, 3)))
    assert found.label_logits.shape == (3, LABELS)
    scores = head(maps, rows, labels)
    assert scores.shape == (3, 2, 32, 32)
    torch.testing.assert_close(scores, head.decoder(found.dense, maps.select(rows)))


def test_the_dense_map_grows_with_the_square_of_the_scale():
    head, maps, rows, labels, _ = job()
    with torch.no_grad():
        head.attention.attend_layer.weight.zero_()  # the same attention for all scales
    one = head.attend(maps.feature[rows], labels).dense
    head.attention.feat_scale = .1
    torch.testing.assert_close(head.attend(maps.feature[rows], labels).dense, .01 * one)


def test_label_scores_are_those_of_the_pairs():
    head, maps, *_ = job()
    ids = [1, 2, 3, 4]
    found = head.attend(maps.feature[:1].expand(4, -1, -1, -1), torch.tensor(ids))
    wanted = found.label_logits.softmax(1).diagonal()
    for chunk in (1, 3, 16):
        got = head.label_scores(maps.feature[:1], ids, chunk=chunk)
        torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(head.label_scores(maps.feature[:1], [3, 1]),
                               wanted[[2, 0]])
    assert head.label_scores(maps.feature[:1], []).shape == (0, )


def test_places_outside_the_image_are_not_attended_to():
    head, maps, rows, labels, _ = job()
    valid = torch.ones(2, 1, 2, 2, dtype=torch.bool)
    valid[0, :, 1] = False
    found = head.attend(maps.feature[rows], labels, valid[rows])
    assert (found.attention.weights[0, :, 1] == 0).all()
    assert (found.attention.weights[1:] > 0).all()
    assert not torch.equal(head(maps, rows, labels, valid), head(maps, rows, labels))


# ------------------------------------------------------------------------- losses


def test_losses_are_means_over_pairs_and_over_pixels():
    head, maps, rows, labels, targets = job()
    losses = head.losses([head.pair_terms(maps, rows, labels, targets)],
                         (targets != 255).sum())
    found = head.attend(maps.feature[rows], labels)
    torch.testing.assert_close(
        losses['loss_cls'], nn.functional.cross_entropy(found.label_logits, labels - 1))
    torch.testing.assert_close(
        losses['loss_seg'], 2 * nn.functional.cross_entropy(
            head(maps, rows, labels), targets, ignore_index=255))
    assert 0 <= losses['acc_label'].item() <= 100


def test_pairs_in_parts_have_the_losses_of_all():
    head, maps, rows, labels, targets = job()
    targets[1] = 255
    pixels = (targets != 255).sum()
    whole = head.losses([head.pair_terms(maps, rows, labels, targets)], pixels)
    parts = head.losses([head.pair_terms(maps, rows[k:k + 1], labels[k:k + 1],
                                         targets[k:k + 1]) for k in range(3)], pixels)
    for key, value in whole.items():
        torch.testing.assert_close(parts[key], value)


def test_a_pair_without_pixels_trains_the_attention_alone():
    head, maps, rows, labels, targets = job()
    calls = []
    head.decoder.register_forward_hook(lambda *a: calls.append(1))
    terms = head.pair_terms(maps, rows, labels, torch.full_like(targets, 255))
    losses = head.losses([terms], 0)
    assert losses['loss_seg'].item() == 0 and not calls
    assert not terms.has_pixels.any()
    total(losses).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert all((p.grad == 0).all() for p in head.decoder.parameters())
    assert head.attention.feature_layer.weight.grad.abs().sum() > 0
    again = head.losses([head.pair_terms(maps, rows, labels)], 0)
    assert again['loss_seg'].item() == 0
    torch.testing.assert_close(again['loss_cls'], losses['loss_cls'])


def test_every_weight_learns():
    head, maps, rows, labels, targets = job()
    losses = head.losses([head.pair_terms(maps, rows, labels, targets)],
                         (targets != 255).sum())
    total(losses).backward()
    for name, parameter in head.named_parameters():
        # What is added to the logits of all positions is not seen by the softmax.
        if name != 'attention.attend_layer.bias':
            assert parameter.grad.abs().sum() > 0, name


def test_scores_smaller_than_the_image_are_resized():
    """A decoder that ends at stride 4."""
    head, maps, rows, labels, targets = job(decoder=dict(
        channels=((6, ), (6, 5), (5, 4))))
    assert head(maps, rows, labels).shape == (3, 2, 8, 8)
    sums = head.pair_terms(maps, rows, labels, targets).seg
    large = nn.functional.interpolate(head(maps, rows, labels), (32, 32),
                                      mode='bilinear')
    wanted = 2 * nn.functional.cross_entropy(large, targets, ignore_index=255,
                                             reduction='none').sum((1, 2))
    torch.testing.assert_close(sums, wanted)


def test_no_pairs_have_losses_with_a_live_graph():
    head, maps, *_ = job(attention=dict(mode='hard'))
    losses = head.no_losses(maps)
    assert set(losses) == {'loss_cls', 'loss_seg', 'loss_attention'}
    assert total(losses).item() == 0
    total(losses).backward()
    assert all(p.grad is not None and (p.grad == 0).all() for p in head.parameters())
    with torch.no_grad():
        next(head.decoder.parameters()).fill_(float('inf'))
    assert total(head.no_losses(maps)).item() == 0


@pytest.mark.parametrize('mode', ['soft', 'hard'])
def test_autocast_is_finite(mode):
    head, maps, rows, labels, targets = job(attention=dict(mode=mode))
    with torch.autocast('cpu', torch.bfloat16):
        losses = head.losses([head.pair_terms(maps, rows, labels, targets)],
                             (targets != 255).sum())
    assert losses['loss_seg'].dtype == losses['loss_cls'].dtype == torch.float32
    total(losses).backward()
    assert all(p.grad.isfinite().all() for p in head.parameters() if p.grad is not None)


def test_extreme_features_are_finite():
    head, maps, rows, labels, targets = job()
    maps = maps._replace(feature=maps.feature * 0 + 6e4)
    terms = head.pair_terms(maps, rows, labels, targets)
    assert terms.cls.isfinite().all() and terms.seg.isfinite().all()


# ----------------------------------------------------------------- hard attention


def test_the_reward_of_a_pair_is_its_share_of_the_losses():
    """All outcomes of one pair, weighted: the gradient of the expected loss."""
    head, maps, *_ = job(attention=dict(mode='hard', hard=dict(
        soft_prob=0., entropy_weight=0.)))
    head.train()
    rows, labels = torch.tensor([0]), torch.tensor([2])
    target = torch.zeros(1, 32, 32, dtype=torch.int64)
    target[:, 8:20, 5:] = 1
    weight = head.attention.attend_layer.weight
    alpha = head.attention.select(head.attention.logits(
        head.attention.project(maps.feature[:1]), labels - 1))
    probabilities = nn.functional.softmax(head.attention.logits(
        head.attention.project(maps.feature[:1]), labels - 1).flatten(), 0)
    assert alpha.drawn.all()
    expected_loss, estimate = 0, torch.zeros_like(weight)
    for k in range(4):
        head.attention.select.draw = lambda p, k=k: torch.tensor([k])
        head.attention.select.baseline.fill_(.3)
        losses = head.losses([head.pair_terms(maps, rows, labels, target)],
                             target.numel())
        grad, = torch.autograd.grad(losses['loss_attention'], weight)
        estimate += probabilities[k].detach() * grad
        plain_loss = (losses['loss_cls'] + losses['loss_seg']).detach()
        expected_loss = expected_loss + probabilities[k] * plain_loss
    exact, = torch.autograd.grad(expected_loss, weight)
    torch.testing.assert_close(estimate, exact, rtol=1e-3, atol=1e-6)
    assert exact.abs().max() > 1e-4


def test_the_reward_with_absent_labels_is_the_share_too():
    """The label's loss is a mean of one pair, that of presence of both."""
    head, maps, *_ = job(loss_presence=PRESENCE['loss_presence'], num_absent=1,
                         attention=dict(mode='hard', hard=dict(
                             soft_prob=0., entropy_weight=0.)))
    head.train()
    rows, labels = torch.tensor([0, 0]), torch.tensor([2, 3])
    present = torch.tensor([True, False])
    target = torch.zeros(1, 32, 32, dtype=torch.int64)
    target[:, 8:20, 5:] = 1
    weight = head.attention.attend_layer.weight
    probabilities = head.attention.logits(
        head.attention.project(maps.feature[rows]), labels - 1).flatten(1).softmax(1)
    expected_loss, estimate = 0, torch.zeros_like(weight)
    for i, j in product(range(4), range(4)):
        head.attention.select.draw = lambda p, k=(i, j): torch.tensor(k)
        head.attention.select.baseline.fill_(.3)
        losses = head.losses([head.pair_terms(maps, rows, labels, target,
                                              present=present)], target.numel())
        grad, = torch.autograd.grad(losses['loss_attention'], weight)
        both = probabilities[0, i] * probabilities[1, j]
        estimate += both.detach() * grad
        plain_loss = sum(losses[f'loss_{name}'] for name in ('cls', 'seg', 'presence'))
        expected_loss = expected_loss + both * plain_loss.detach()
    exact, = torch.autograd.grad(expected_loss, weight)
    torch.testing.assert_close(estimate, exact, rtol=1e-3, atol=1e-6)
    assert exact.abs().max() > 1e-4


def test_pairs_without_masks_have_a_baseline_of_their_own():
    head, maps, rows, labels, targets = job(attention=dict(mode='hard'))
    head.train()
    targets[0] = 255
    head.losses([head.pair_terms(maps, rows, labels, targets)], (targets != 255).sum())
    without, with_masks = head.attention.select.baseline.tolist()
    assert without < 0 and with_masks < without


# ------------------------------------------------------------------------- errors


@pytest.mark.parametrize('change, text', [
    (dict(num_classes=1), 'num_classes must be at least 2'),
    (dict(attention=dict(num_labels=9)), 'attention has num_labels=9; with '
     'num_classes=5 it must be 4'),
    (dict(decoder=dict(in_channels=6)), 'decoder has in_channels=6; it must be 1'),
    (dict(decoder=dict(out_channels=21)), 'decoder has out_channels=21; it must be 2'),
    (dict(decoder=dict(norm_cfg=dict(type='SyncBN'))), "of the decoder is SyncBN.*'BN'")])
def test_errors_of_arguments(change, text):
    with pytest.raises(ValueError, match=text):
        build(head_cfg(**change), init=False)


def test_a_loss_that_has_no_elements_is_named():
    head = plain()
    head.loss_seg = type('Mean', (nn.Module, ), dict(
        forward=lambda self, x, y, **kwargs: x.mean()))()
    with pytest.raises(ValueError, match=r'Mean gave a loss of shape \(\) for labels '
                       r'\(1, 4, 4\); one for every label is wanted'):
        head.seg_sums(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4).long())


# ------------------------------------------------------------------ absent labels

PRESENCE = dict(loss_cls=None, num_absent=2, loss_presence=dict(
    type='CrossEntropyLoss', use_sigmoid=True, loss_weight=.5))


def test_absent_labels_are_asked_for_and_not_decoded():
    head, maps, rows, labels, targets = job(**PRESENCE)
    present = torch.tensor([True, False, True])
    terms = head.pair_terms(maps, rows, labels, targets[present], present=present)
    logits = head.attend(maps.feature[rows], labels).label_logits
    own = logits[torch.arange(3), labels - 1]
    wanted = .5 * nn.functional.binary_cross_entropy_with_logits(
        own, present.float(), reduction='none')
    torch.testing.assert_close(terms.presence, wanted)
    assert terms.right.tolist() == ((own > 0) == present).tolist()
    assert terms.seg[1] == 0 and (terms.seg[[0, 2]] > 0).all()
    assert (terms.cls == 0).all()
    losses = head.losses([terms], (targets[present] != 255).sum())
    assert set(losses) == {'loss_seg', 'loss_presence', 'acc_label'}
    torch.testing.assert_close(losses['loss_presence'], wanted.mean())


def test_the_label_loss_is_the_mean_of_those_that_are_there():
    loss = dict(type='CrossEntropyLoss')
    head, maps, rows, labels, targets = job(**{**PRESENCE, 'loss_cls': loss})
    present = torch.tensor([True, False, True])
    terms = head.pair_terms(maps, rows, labels, targets[present], present=present)
    alone = head.pair_terms(maps, rows[present], labels[present], targets[present])
    assert terms.cls[1] == 0
    torch.testing.assert_close(head.losses([terms], 1)['loss_cls'], alone.cls.mean())
    torch.testing.assert_close(head.losses([terms], 1)['loss_seg'],
                               head.losses([alone], 1)['loss_seg'])


def test_scores_with_absent_labels_are_sigmoids():
    head, maps, *_ = job(**PRESENCE)
    logits = head.attend(maps.feature[:1].expand(4, -1, -1, -1),
                         torch.tensor([1, 2, 3, 4])).label_logits
    torch.testing.assert_close(head.label_scores(maps.feature[:1], [1, 2, 3, 4]),
                               logits.sigmoid().diagonal())


def test_a_batch_of_absent_labels_alone():
    head, maps, rows, labels, targets = job(**PRESENCE)
    absent = torch.zeros(3, dtype=torch.bool)
    terms = head.pair_terms(maps, rows, labels, targets[absent], present=absent)
    losses = head.losses([terms], 0)
    assert losses['loss_seg'] == 0 and losses['loss_presence'] > 0
    total(losses).backward()


@pytest.mark.parametrize('change, text', [
    (dict(loss_cls=None), 'loss_cls and loss_presence are None'),
    (dict(num_absent=2), 'loss_presence is None and num_absent 2'),
    (dict(loss_presence=PRESENCE['loss_presence']), 'num_absent 0'),
    (dict(num_absent=-1), 'num_absent must be'),
])
def test_losses_that_do_not_go_together(change, text):
    with pytest.raises(ValueError, match=text):
        build(head_cfg(**change))


def test_the_head_is_registered():
    assert isinstance(plain(), TransferNetHead)
