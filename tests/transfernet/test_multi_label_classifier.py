"""The classifier of several labels: masked loss, scores, activation maps."""

import pytest
import torch
from mmseg.structures import SegDataSample
from torch.nn import functional
from transfernet_models import (
    CLASSIFIER,
    ENCODER,
    LABELS,
    batch_of,
    build,
    images,
    sample,
    total,
)

import segaware_mm  # noqa: F401  registers the parts
from segaware_mm.transfernet.multi_label_classifier import label_targets

RESNET = dict(type='mmseg.ResNet', depth=18, base_channels=4, stem_channels=4,
              out_indices=(2, 3), norm_cfg=dict(type='BN'))


def classifier(seed=0, **changes):
    return build(dict(CLASSIFIER, **changes), seed)


def test_targets_and_what_is_known():
    there, known = label_targets([
        dict(image_labels=[2]), dict(image_labels=[1, 3], label_set=(1, 2)),
        dict(image_labels=[], label_set=()), dict(image_labels=[], label_set=(4, 9, 0))],
        4)
    assert there.tolist() == [[0, 1, 0, 0], [1, 0, 1, 0], [0] * 4, [0] * 4]
    assert known.tolist() == [[1] * 4, [1, 1, 1, 0], [0] * 4, [0, 0, 0, 1]]


def test_the_loss_is_over_what_is_annotated():
    model = classifier()
    samples = batch_of([1], [3, 4])
    samples[0].set_metainfo(dict(label_set=(1, 2)))
    losses = model.loss(images(), samples)
    logits = model(images(), mode='tensor')
    assert set(losses) == {'loss_label'} and logits.shape == (2, LABELS)
    wanted = functional.binary_cross_entropy_with_logits(
        torch.cat([logits[0, :2], logits[1]]), torch.tensor([1., 0, 0, 0, 1, 1]))
    torch.testing.assert_close(losses['loss_label'], wanted)
    # A label that nobody asked about gets no gradient from that image.
    grad, = torch.autograd.grad(losses['loss_label'], model.label_layer.bias)
    share = (logits.sigmoid() - torch.tensor([[1., 0, 0, 0], [0, 0, 1, 1]])) / 6
    share[0, 2:] = 0
    torch.testing.assert_close(grad, share.sum(0))


def test_nothing_annotated_is_no_loss():
    model = classifier()
    samples = batch_of([], [])
    for one in samples:
        one.set_metainfo(dict(label_set=()))
    losses = model.loss(images(), samples)
    assert losses['loss_label'].item() == 0
    total(losses).backward()
    assert (model.label_layer.weight.grad == 0).all()
    assert model.loss(images(), batch_of([], []))['loss_label'].item() > 0


@pytest.mark.parametrize('cfg', [
    dict(backbone=RESNET, in_channels=32), dict(backbone=RESNET, in_channels=16,
                                                in_index=0),
    dict(backbone=RESNET, in_channels=32, channels=5, dropout_ratio=.5, pooling='max'),
    dict(backbone=dict(ENCODER, num_pools=5, frozen=False))])
def test_any_backbone(cfg):
    model = classifier(**cfg).train()
    losses = model.loss(images(2, (64, 64)), batch_of([1], [2]))
    total(losses).backward()
    unread = model.in_index == 0  # the last stage
    assert all(p.grad.isfinite().all() if p.grad is not None else unread
               for p in model.parameters())
    assert model.label_layer.weight.grad.abs().sum() > 0
    scores = model.eval().label_scores(images(2, (64, 64)))
    assert scores.shape == (2, LABELS) and ((scores >= 0) & (scores <= 1)).all()


def test_scores_are_the_mean_of_the_activation_maps():
    model = classifier(seed=1)
    features = model.extract_feat(images())
    maps = model.label_layer(features)
    torch.testing.assert_close(model.label_logits(features), maps.mean((2, 3)))
    model.pooling = 'max'
    torch.testing.assert_close(model.label_logits(features), maps.amax((2, 3)))


def test_predictions():
    model = classifier().eval()
    results = model.predict(images(), batch_of([1], [2]))
    torch.testing.assert_close(results[1].pred_label_scores,
                               model.label_scores(images())[1])
    assert 'pred_sem_seg' not in results[0]
    assert isinstance(model.predict(images())[0], SegDataSample)


def test_activation_maps_of_a_map():
    """Two labels whose weights are two channels of the map."""
    model = classifier(cam=True, cam_thr=.2).eval()
    with torch.no_grad():
        model.label_layer.weight.zero_()
        model.label_layer.bias.fill_(100)  # no part of the maps
        model.label_layer.weight[0, 0] = 1
        model.label_layer.weight[2, 1] = 2
        model.label_layer.weight[3, 2] = 1
    feature = torch.zeros(1, 6, 2, 2)
    feature[0, 0] = torch.tensor([[8., 4], [0, -1]])
    feature[0, 1] = torch.tensor([[1., 4], [1.1, 0]])
    meta = dict(ori_shape=(2, 2))
    maps = model.activation_maps(feature, [1, 3, 4], (2, 2), meta)
    assert maps.tolist() == [
        [[1, .5], [0, 0]], [[.25, 1], [pytest.approx(.275), 0]], [[0, 0], [0, 0]]]
    found = model.segment(feature, [1, 3, 4], (2, 2), meta)
    assert found.tolist() == [[1, 3], [3, 0]]
    assert model.segment(feature, [], (2, 2), meta).tolist() == [[0, 0], [0, 0]]
    assert model.segment(feature, [4], (2, 2), meta).sum() == 0
    model.cam_thr = .3
    assert model.segment(feature, [1, 3], (2, 2), meta).tolist() == [[1, 3], [0, 0]]


def test_segmentation_of_an_image_in_a_square():
    model = classifier(seed=2, cam=True, label_source='gt', eval_labels=(1, 2, 3)).eval()
    meta = dict(square_side=40, valid_shape=(30, 40))
    samples = [sample([1, 4], size=(30, 40), **meta), sample([], size=(30, 40), **meta)]
    first, second = model.predict(images(2, (64, 64)), samples)
    found = first.pred_sem_seg.data
    assert found.shape == (1, 30, 40) and found.dtype == torch.int64
    assert set(found.unique().tolist()) <= {0, 1}
    assert second.pred_sem_seg.data.sum() == 0
    model.label_source, model.label_thr = 'classifier', 0.
    again = model.predict(images(2, (64, 64)), samples)[1].pred_sem_seg.data
    assert set(again.unique().tolist()) <= {0, 1, 2, 3}


def test_modes_of_mmseg():
    model = classifier(cam=True, cam_thr=.4)
    table = model.encode_decode(images(2, (48, 64)), [{}, {}])
    assert table.shape == (2, LABELS + 1, 48, 64) and (table[:, 0] == .4).all()
    assert model(images(), batch_of([1], [2]), mode='loss')['loss_label'].isfinite()


def test_it_learns_labels():
    """Bright images have label 2, dark ones label 1."""
    torch.manual_seed(0)
    model = classifier(backbone=RESNET, in_channels=32).train()
    inputs = images(4, (64, 64), seed=3) * .1
    inputs[:2] += 1
    samples = batch_of([2], [2], [1], [1])
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(40):
        losses = model.loss(inputs, samples)
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
    scores = model.label_scores(inputs)
    assert scores[:2, 1].min() > .9 and scores[2:, 1].max() < .1
    assert losses['loss_label'].item() < .1


@pytest.mark.parametrize('change, text', [
    (dict(num_classes=1), 'num_classes must be at least 2'),
    (dict(pooling='sum'), "pooling must be one of 'avg', 'max'; got 'sum'"),
    (dict(label_source='cls_head'), "label_source must be one of 'classifier', 'gt'"),
    (dict(cam_thr=2), 'cam_thr must be in'),
    (dict(eval_labels=(7, )), r'eval_labels must be ids of 1..4')])
def test_errors_of_arguments(change, text):
    with pytest.raises(ValueError, match=text):
        classifier(**change)


def test_errors_of_samples():
    with pytest.raises(KeyError, match='image_labels.* not in the metainfo'):
        classifier().loss(images(1), [SegDataSample()])
    with pytest.raises(ValueError, match='label 9 of photo.jpg is not in 1..4'):
        classifier().loss(images(1), [sample([9])])
