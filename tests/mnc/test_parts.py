"""Backbone, extractor, RPN, mask and class layers, each by itself."""

import pytest
import torch

pytest.importorskip('mmdet')

from mmdet.registry import MODELS  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mnc_models import CODER, detector, images, samples  # noqa: E402

from segaware_mm.mnc.mnc_rpn_head import inside  # noqa: E402
from segaware_mm.ops.roi_warp import roi_warp  # noqa: E402


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def test_vgg16_has_one_map_of_stride_16_and_torchvisions_names():
    net = MODELS.build(dict(type='VGG16C5'))
    (out, ) = net(torch.zeros(1, 3, 48, 64))
    assert out.shape == (1, 512, 3, 4)
    names = [name for name, _ in net.named_parameters()]
    assert names[0] == 'features.0.weight' and names[-1] == 'features.28.bias'
    frozen = {name for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {f'features.{k}.{kind}' for k in (0, 2, 5, 7)
                      for kind in ('weight', 'bias')}
    with pytest.raises(ValueError, match=r'frozen_stages must be 0..5, got 6'):
        MODELS.build(dict(type='VGG16C5', frozen_stages=6))


def extractor(**kwargs):
    return MODELS.build(dict(dict(type='RoIWarpExtractor', out_channels=3,
                                  featmap_strides=[4, 8], output_size=6,
                                  finest_scale=16), **kwargs))


def test_every_roi_comes_from_the_level_of_its_size():
    layer = extractor(pool=1)
    feats = [torch.randn(2, 3, 16, 20), torch.randn(2, 3, 8, 10)]
    rois = torch.tensor([[1, 2., 3, 60, 50], [0, 5., 5, 15, 17], [0, 0, 0, 70, 60]])
    out = layer(feats, rois)
    for k, level in enumerate((1, 0, 1)):
        wanted = roi_warp(feats[level], rois[k:k + 1], (6, 6), 1 / (4 * 2**level))
        torch.testing.assert_close(out[k:k + 1], wanted)
    pooled = extractor()(feats, rois)
    torch.testing.assert_close(pooled, torch.nn.functional.max_pool2d(out, 2))
    assert extractor()(feats, rois[:0]).shape == (0, 3, 3, 3)


def test_no_roi_gets_lost_whatever_its_box():
    """Those without a scale were on no level, and the rows behind them moved up."""
    layer = extractor(pool=1)
    feats = [torch.randn(1, 3, 16, 20), torch.randn(1, 3, 8, 10)]
    nan = float('nan')
    rois = torch.tensor([[0, nan, 2., 3, 4], [0, 9, 9, 4, 14], [0, 2, 3, 60, 50]])
    out = layer(feats, rois)
    assert out.shape == (3, 3, 6, 6) and (out[0] == 0).all()
    torch.testing.assert_close(out[2:], layer(feats, rois[2:]))


@pytest.mark.parametrize('wrong, text', [
    (dict(output_size=7), 'output_size must be a multiple of pool, got 7 and 2'),
    (dict(sampling='left'), "sampling must be 'center' or 'corner'"),
    (dict(coord_grad_clip=0.), 'coord_grad_clip must be positive')])
def test_wrong_settings_of_the_extractor(wrong, text):
    with pytest.raises(ValueError, match=text):
        extractor(**wrong)


def test_proposals_are_those_of_upstream():
    model = detector()
    plain = detector(rpn_head=dict(
        type='RPNHead', in_channels=8, feat_channels=8,
        anchor_generator=dict(type='AnchorGenerator', scales=[4], ratios=[1.],
                              strides=[4, 8, 16]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder')))
    plain.load_state_dict(model.state_dict())
    found = []
    for one in (model, plain):
        one.train()
        outs = one.rpn_head(one.extract_feat(images()))
        found.append(one.rpn_head.predict_by_feat(
            *outs, batch_img_metas=[s.metainfo for s in samples()],
            cfg=one.train_cfg.rpn_proposal))
    for a, b in zip(*found):
        assert a.bboxes.requires_grad and not b.bboxes.requires_grad
        torch.testing.assert_close(a.bboxes, b.bboxes)
        torch.testing.assert_close(a.scores, b.scores)
        assert not a.scores.requires_grad and a.labels.dtype == torch.long
    for one in (model, plain):
        one.eval()
    with torch.no_grad():
        a, b = (one.rpn_head.predict(one.extract_feat(images()), samples())
                for one in (model, plain))
    for x, y in zip(a, b):
        torch.testing.assert_close(x.bboxes, y.bboxes)
        assert set(x.keys()) == set(y.keys()) == {'bboxes', 'scores', 'labels'}


@pytest.mark.parametrize('sigmoid', [True, False])
def test_both_kinds_of_scores(sigmoid):
    model = detector(rpn=dict(loss_cls=dict(type='CrossEntropyLoss',
                                            use_sigmoid=sigmoid)))
    losses = model.train().loss(images(), samples())
    assert all(torch.isfinite(v) for v in losses['loss_rpn_cls'])


def test_clipped_proposals_have_no_gradient():
    """Their corners at the border cannot move; the release blocks all four."""
    for block in (True, False):
        model = detector(rpn=dict(block_clipped_grad=block)).train()
        outs = model.rpn_head(model.extract_feat(images(1)))
        (found, ) = model.rpn_head.predict_by_feat(
            *outs, batch_img_metas=[samples(1)[0].metainfo],
            cfg=model.train_cfg.rpn_proposal)
        touches = ~inside(found.bboxes, (64, 80), strictly=True)
        assert touches.any() and not touches.all()
        weight = model.rpn_head.rpn_reg.bias
        got = torch.autograd.grad(found.bboxes[touches].sum(), weight)[0]
        assert bool(got.any()) is not block


def offset_gradients(**kwargs):
    """Gradient of the proposals' right edges at the offsets of all anchors."""
    torch.manual_seed(0)
    model = detector(rpn=kwargs).train()
    scores, offsets = model.rpn_head(model.extract_feat(images(1)))
    offsets = [x.detach().requires_grad_() for x in offsets]
    (found, ) = model.rpn_head.predict_by_feat(
        scores, offsets, batch_img_metas=[samples(1)[0].metainfo],
        cfg=model.train_cfg.rpn_proposal)
    grads = torch.autograd.grad(found.bboxes[:, 2].sum(), offsets, allow_unused=True)
    return torch.cat([g.flatten() for g in grads if g is not None])


def test_the_gradient_of_a_proposal_is_clipped_in_its_offsets():
    """A pixel is an anchor's side in offsets: unclipped, it drowned the RPN's loss."""
    free = offset_gradients(offset_grad_clip=None)
    assert free.abs().max() > 1
    assert torch.equal(offset_gradients(), free.clamp(-1 / 512, 1 / 512))
    with pytest.raises(ValueError, match='offset_grad_clip must be positive or None'):
        detector(rpn=dict(offset_grad_clip=0))


def test_inside():
    boxes = torch.tensor([[0., 1, 5, 6], [1, 1, 8, 5], [-1, 1, 3, 3], [1, 1, 3, 9.]])
    assert inside(boxes, (8, 8)).tolist() == [True, True, False, False]
    assert inside(boxes, (8, 8), strictly=True).tolist() == [False] * 4


def mask_head():
    return MODELS.build(dict(type='MNCMaskHead', in_channels=2, roi_size=4,
                             hidden_channels=3, mask_size=5))


def test_mask_head():
    head = mask_head()
    logits = head(torch.randn(3, 2, 4, 4))
    assert logits.shape == (3, 1, 5, 5)
    target = torch.randint(0, 2, (3, 5, 5)).float()
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], target)
    torch.testing.assert_close(head.loss(logits, target), wanted)
    head.loss(logits[:0], target[:0]).backward()
    assert all(not p.grad.any() for p in head.parameters())
    assert head(torch.zeros(0, 2, 4, 4)).shape == (0, 1, 5, 5)


def bbox_head(**kwargs):
    return MODELS.build(dict(dict(type='MNCBBoxHead', in_channels=2, roi_feat_size=4,
                                  fc_out_channels=6, num_classes=3, bbox_coder=CODER),
                             **kwargs))


def test_bbox_head_has_two_paths():
    head = bbox_head()
    head.init_weights()
    seg, cls, reg = head(torch.randn(5, 2, 4, 4), torch.randn(5, 2, 4, 4))
    assert seg.shape == cls.shape == (5, 4) and reg.shape == (5, 12)
    assert head.fc_cls.in_features == head.fc_seg_cls.in_features == 12
    assert float(head.fc_seg_cls.weight.detach().std()) < .03
    shared, lone = bbox_head(share_paths=True), bbox_head(use_box_path=False)
    assert shared.box_path is None and shared.fc_cls.in_features == 12
    assert lone.box_path is None and lone.fc_cls.in_features == 6
    agnostic = bbox_head(reg_class_agnostic=True)
    assert agnostic(torch.randn(5, 2, 4, 4), torch.randn(5, 2, 4, 4))[2].shape == (5, 4)


def test_the_box_path_does_not_see_the_mask():
    head = bbox_head(use_box_path=False).eval()
    x, gated = torch.randn(2, 2, 4, 4), torch.randn(2, 2, 4, 4)
    assert torch.equal(head(x, gated)[0], head(x * 2, gated)[0])
    head = bbox_head().eval()
    assert not torch.equal(head(x, gated)[0], head(x * 2, gated)[0])


@pytest.mark.parametrize('wrong, text', [
    (dict(roi_feat_size=7), 'roi_feat_size must be even, got 7'),
    (dict(share_paths=True, use_box_path=False), 'share_paths=True needs')])
def test_wrong_settings_of_the_bbox_head(wrong, text):
    with pytest.raises(ValueError, match=text):
        bbox_head(**wrong)


def test_both_paths_start_from_vggs_layers(tmp_path):
    state = {'classifier.0.weight': torch.randn(6, 8), 'classifier.0.bias': torch.ones(6),
             'classifier.3.weight': torch.randn(6, 6), 'classifier.3.bias': torch.ones(6)}
    path = str(tmp_path / 'vgg.pth')
    torch.save(state, path)
    head = bbox_head(pretrained_fc=path)
    head.init_weights()
    for part in (head.mask_path, head.box_path):
        assert torch.equal(part.fc6.weight, state['classifier.0.weight'])
        assert torch.equal(part.fc7.bias, state['classifier.3.bias'])
    state['classifier.0.weight'] = torch.randn(6, 9)
    torch.save(state, path)
    with pytest.raises(ValueError, match=r'classifier.0.weight of shape \(6, 9\); wanted '
                       r'is \(6, 8\)'):
        head.init_weights()
