"""The cascade: losses, gradients between its stages, the bridge, inference."""

import pytest
import torch

pytest.importorskip('mmdet')

from mmengine.structures import InstanceData  # noqa: E402
from mnc_models import (  # noqa: E402
    CODER,
    TWO,
    detector,
    images,
    roi_head,
    sample,
    samples,
    test_cfg,
    total,
    train_cfg,
)

from segaware_mm.mnc.bridge import best_class, offsets_of, refined_boxes  # noqa: E402
from segaware_mm.mnc.instances import voted_instances  # noqa: E402
from segaware_mm.mnc.mnc_roi_head import last_pixels  # noqa: E402


@pytest.fixture(autouse=True)
def scope():
    from mmengine.registry import DefaultScope
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def run(model, data=None, batch=None):
    return model.train().loss(images() if batch is None else batch,
                              samples() if data is None else data)


def test_a_step_has_the_losses_of_all_stages_and_reaches_every_weight():
    model = detector()
    losses = run(model)
    names = {f's{k}.loss_{kind}' for k in (0, 1)
             for kind in ('mask', 'cls', 'seg_cls', 'bbox')}
    assert names | {'loss_rpn_cls', 'loss_rpn_bbox', 's0.acc', 's1.acc'} == set(losses)
    value = total(losses)
    value.backward()
    assert torch.isfinite(value)
    idle = [name for name, p in model.named_parameters()
            if p.requires_grad and p.grad is None]
    assert not idle


def gradient(model, names, weight='rpn_reg.weight'):
    """Gradient of some losses at a weight of the RPN; None where none arrives."""
    losses = run(model)
    parameter = model.rpn_head.get_parameter(weight)
    return torch.autograd.grad(sum(losses[name] for name in names), parameter,
                               allow_unused=True)[0]


def test_the_mask_loss_alone_moves_the_proposals():
    found = gradient(detector(), ['s0.loss_mask'])
    assert found is not None and found.abs().sum() > 0
    blind = detector(roi_head(extractor=dict(coord_grad=False)))
    assert gradient(blind, ['s0.loss_mask']) is None
    upstream = detector(rpn=dict(differentiable_proposals=False))
    assert gradient(upstream, ['s0.loss_mask']) is None


def test_the_scores_of_the_proposals_get_no_gradient_from_later_stages():
    assert gradient(detector(), ['s0.loss_mask', 's0.loss_seg_cls'],
                    'rpn_cls.weight') is None


def second_pass(**kwargs):
    """Gradient of the second pass's mask loss at the regression of the first."""
    model = detector(roi_head(share_pass_weights=False, **kwargs))
    losses = run(model)
    parameter = model.roi_head.bbox_head[0].fc_reg.weight
    return torch.autograd.grad(losses['s1.loss_mask'], parameter, allow_unused=True)[0]


def test_the_second_pass_moves_the_boxes_of_the_first():
    assert second_pass().abs().sum() > 0
    assert second_pass(detach_bridge=True) is None


def test_the_gradient_of_a_box_is_clipped():
    model = detector(roi_head(extractor=dict(coord_grad_clip=1e-14)))
    free = gradient(detector(), ['s0.loss_mask'])
    assert 0 < gradient(model, ['s0.loss_mask']).abs().sum() < 1e-3 * free.abs().sum()


def test_shared_passes_have_one_set_of_weights():
    one, two = detector(), detector(roi_head(share_pass_weights=False))
    count = [sum(p.numel() for p in m.roi_head.parameters()) for m in (one, two)]
    assert count[1] == 2 * count[0]


def test_masks_of_background_pass_no_gradient_to_the_mask_layers():
    """Only rows whose mask-level label is an object; as released."""

    def at_mask(**kwargs):
        model = detector(roi_head(num_passes=1, mask_label_iou=1., **kwargs))
        losses = run(model)
        return torch.autograd.grad(
            losses['s0.loss_seg_cls'], model.roi_head.mask_head[0].fc_mask.weight,
            allow_unused=True)[0].abs().sum()

    # An IoU of 1 makes every mask-level label background.
    assert at_mask() == 0
    assert at_mask(gate_background_grad=True) > 0


def test_pass_loss_weights_scale_the_losses():
    torch.manual_seed(3)
    plain = run(detector())
    torch.manual_seed(3)
    scaled = run(detector(roi_head(pass_loss_weights=(1., .5))))
    torch.testing.assert_close(scaled['s1.loss_cls'], .5 * plain['s1.loss_cls'])
    torch.testing.assert_close(scaled['s0.loss_cls'], plain['s0.loss_cls'])
    torch.testing.assert_close(scaled['s1.acc'], plain['s1.acc'])


def test_the_bridge_decodes_with_the_coders_scale():
    """M7; the released training left the standard deviations out."""
    from mmdet.registry import TASK_UTILS
    coder = TASK_UTILS.build(CODER)
    # The spec's box, 10..29 and 20..59, names its last pixels.
    box = torch.tensor([[10., 20, 30, 60]])
    delta = torch.tensor([[1., -.5, .5, 0]])
    got = refined_boxes(box, torch.tensor([[1., 0]]), delta, coder, (500, 500))
    wanted = torch.tensor([[10.948291, 18., 33.051709, 58.]])
    torch.testing.assert_close(got, wanted, atol=2e-5, rtol=0)


def test_the_bridge_takes_the_best_class_that_is_no_background():
    seg = torch.tensor([[0., 3, 1, 9], [5, 0, 2, 0]])
    assert best_class(seg).tolist() == [1, 0]
    offsets = torch.arange(24.).view(2, 12)
    assert offsets_of(offsets, best_class(seg)).tolist() == [[4, 5, 6, 7],
                                                            [12, 13, 14, 15]]
    assert offsets_of(offsets[:, :4], best_class(seg)).tolist() == \
        offsets[:, :4].tolist()


def test_the_bridge_keeps_background_where_that_is_wanted():
    from mmdet.registry import TASK_UTILS
    coder = TASK_UTILS.build(dict(type='DeltaXYWHBBoxCoder'))
    boxes = torch.tensor([[2., 3, 12, 23], [2, 3, 12, 23]])
    seg = torch.tensor([[0., 1], [1, 0]])
    offsets = torch.full((2, 4), .3)
    got = refined_boxes(boxes, seg, offsets, coder, (50, 50), with_background=True)
    torch.testing.assert_close(got[0], boxes[0])
    assert (got[1] - boxes[1]).abs().min() > .5


def test_refined_boxes_stay_in_the_image():
    from mmdet.registry import TASK_UTILS
    coder = TASK_UTILS.build(dict(type='DeltaXYWHBBoxCoder'))
    boxes = torch.tensor([[30., 3, 52, 23]])
    got = refined_boxes(boxes, torch.tensor([[1., 0]]), torch.tensor([[2., -2, 1, 1]]),
                        coder, (40, 50))
    assert (got >= 0).all() and got[0, 2] <= 50 and got[0, 3] <= 40
    empty = refined_boxes(boxes[:0], torch.zeros(0, 2), torch.zeros(0, 4), coder,
                          (40, 50))
    assert empty.shape == (0, 4)


def test_true_boxes_join_the_second_pass_once():
    """The true boxes of the first pass did go on as proposals."""
    model = detector(roi_head(num_passes=2)).train()
    seen = []
    run_pass = model.roi_head.run_pass

    def spy(k, x, rois, sampled=None):
        seen.append((k, len(rois), [len(r.pos_inds) for r in sampled.results],
                     [int(r.pos_is_gt.sum()) for r in sampled.results]))
        return run_pass(k, x, rois, sampled)

    model.roi_head.run_pass = spy
    model.loss(images(), samples())
    (_, first, _, _), (_, second, _, truths) = seen
    assert truths == [2, 2]
    assert second <= first + 4


def test_targets_carry_no_gradient_of_the_boxes():
    model = detector().train()
    x = model.extract_feat(images())
    boxes = torch.tensor([[4., 6, 36, 40]], requires_grad=True)
    proposals = [InstanceData(bboxes=boxes * 1.) for _ in range(2)]
    from segaware_mm.mnc.sampled_rois import sample_rois
    head = model.roi_head
    truths = [s.gt_instances for s in samples()]
    sampled = sample_rois([p.bboxes for p in proposals], truths, [None, None],
                          head.assigner, head.sampler)
    assert all(b.requires_grad for b in sampled.with_gradient)
    targets = head.bbox_head[0].get_targets(sampled.results, head.train_cfg)
    assert not any(t.requires_grad for t in targets)
    assert len(x) == 3


def predict(model, data=None, batch=None, **kwargs):
    with torch.no_grad():
        return model.eval().predict(images() if batch is None else batch,
                                    samples() if data is None else data, **kwargs)


def test_inference_gives_instances_of_the_original_image():
    model = detector()
    data = [sample(TWO, scale=2.), sample(TWO, scale=2.)]
    for found in predict(model, data):
        one = found.pred_instances
        assert 0 < len(one) <= 10
        assert one.masks.shape == (len(one), 32, 40) and one.masks.dtype == torch.bool
        assert one.bboxes.shape == (len(one), 4) and one.labels.dtype == torch.long
        assert (one.bboxes >= 0).all() and (one.bboxes[:, 2] <= 40).all()
        assert (one.scores.diff() <= 0).all()


@pytest.mark.parametrize('rcnn', [
    dict(vote=False), dict(num_passes=1), dict(roi_chunk=5), dict(score_thr=.2)])
def test_settings_of_inference(rcnn):
    model = detector(test_cfg=test_cfg(**rcnn))
    plain = detector()
    got, wanted = predict(model), predict(plain)
    for a, b in zip(got, wanted):
        a, b = a.pred_instances, b.pred_instances
        if rcnn == dict(roi_chunk=5):
            torch.testing.assert_close(a.scores, b.scores)
            assert torch.equal(a.masks, b.masks)
        elif 'score_thr' in rcnn:
            assert (a.scores >= .2).all()
        else:
            assert len(a) > 0 and a.masks.shape[1:] == (64, 80)


def test_five_stages_give_twice_the_candidates_of_three():
    counts = []
    for passes in (1, 2):
        model = detector(test_cfg=test_cfg(num_passes=passes)).eval()
        with torch.no_grad():
            x = model.extract_feat(images())
            metas = [s.metainfo for s in samples()]
            proposals = model.rpn_head.predict(x, samples(), rescale=False)
            found = model.roi_head.candidates(x, proposals, metas)
        counts.append([len(one) for one in found])
    assert [2 * n for n in counts[0]] == counts[1] and min(counts[0]) > 0


def test_two_images_are_two_batches_of_one():
    model = detector()
    both = predict(model)
    for k in (0, 1):
        (one, ) = predict(model, samples()[k:k + 1], images()[k:k + 1])
        torch.testing.assert_close(one.pred_instances.scores,
                                   both[k].pred_instances.scores, atol=1e-5, rtol=1e-4)


def test_mode_tensor():
    model = detector().eval()
    with torch.no_grad():
        (out, ) = model(images(), samples(), mode='tensor')
    assert len(out) == 3 and out[0].shape[1:] == (1, 7, 7)


def test_the_cascade_sits_in_a_faster_rcnn_of_mmdet():
    model = detector(type='FasterRCNN', rpn_head=dict(
        type='RPNHead', in_channels=8, feat_channels=8,
        anchor_generator=dict(type='AnchorGenerator', scales=[4], ratios=[1.],
                              strides=[4, 8, 16]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss')))
    total(run(model)).backward()
    assert predict(model)[0].pred_instances.masks.shape[1:] == (64, 80)


def test_an_mnc_without_its_roi_head_is_refused():
    with pytest.raises(ValueError, match='MNC wants roi_head=dict'):
        detector(dict(type='StandardRoIHead'))
    with pytest.raises(ValueError, match='pass_loss_weights must have 3 numbers'):
        detector(roi_head(num_passes=3))


def test_last_pixels():
    assert last_pixels(torch.tensor([[1., 2, 5, 6]])).tolist() == [[1, 2, 4, 5]]


@pytest.mark.parametrize('data', [
    [sample([])], [sample([[0, 0, 1, 1]])], [sample([[0, 0, 80, 64]])],
    [sample([[10, 10, 10, 30]])], [sample(TWO, ignored=[[0, 0, 30, 30]])],
    [sample([[k % 70, k % 50, k % 70 + 6, k % 50 + 6] for k in range(400)],
            [k % 3 for k in range(400)])]],
    ids=['no object', 'one pixel', 'the whole image', 'no area', 'a crowd',
         '400 objects'])
def test_odd_images_train(data):
    model = detector()
    losses = run(model, data, images(1))
    value = total(losses)
    value.backward()
    assert torch.isfinite(value)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    idle = [name for name, p in model.named_parameters()
            if p.requires_grad and p.grad is None]
    assert not idle
    assert predict(model, data, images(1))[0].pred_instances.masks.shape[1:] == (64, 80)


def test_an_image_without_proposals():
    model = detector().eval()
    x = model.extract_feat(images())
    none = [InstanceData(bboxes=torch.zeros(0, 4)) for _ in range(2)]
    with torch.no_grad():
        found = model.roi_head.predict(x, none, samples(), rescale=True)
    assert [len(one) for one in found] == [0, 0]
    assert found[0].masks.shape == (0, 64, 80) and found[0].bboxes.shape == (0, 4)
    losses = model.train().roi_head.loss(x, none, samples())
    assert torch.isfinite(total(losses))
    nothing = [InstanceData(bboxes=torch.zeros(0, 4))]
    losses = model.roi_head.loss([m[:1] for m in x], nothing, [sample([])])
    assert total(losses) == 0
    total(losses).backward()
    assert all(p.grad is not None for p in model.roi_head.parameters())


def test_a_tiny_image():
    model = detector()
    data = [sample([[0, 0, 1, 1]], size=(1, 1))]
    assert torch.isfinite(total(run(model, data, images(1, (1, 1)))))
    assert predict(model, data, images(1, (1, 1)))[0].pred_instances.masks.shape[1:] \
        == (1, 1)


def test_half_precision():
    model = detector()
    with torch.autocast('cpu', torch.bfloat16):
        value = total(run(model))
    value.backward()
    assert torch.isfinite(value)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_score_threshold_leaves_votes_alone():
    """It chooses among the results; a candidate of any score votes (M8's boxes)."""
    candidates = InstanceData(
        boxes=torch.tensor([[1., 1, 5, 5], [2, 1, 6, 5], [5, 5, 8, 8]]),
        mask_probs=torch.tensor([[[1., 1], [1, 0]], [[1, 1], [1, 1]], [[.9, .9]] * 2]),
        scores=torch.tensor([[.6, .1], [.3, .2], [.05, .8]]))
    found = [voted_instances(candidates, dict(img_shape=(8, 8)), test_cfg(**options).rcnn,
                             rescale=False) for options in ({}, dict(score_thr=.4))]
    assert found[0].scores[:3].tolist() == pytest.approx([.8, .6, .2])
    assert found[1].scores.tolist() == pytest.approx([.8, .6])
    assert found[0].masks[1].sum() == 15  # (1, 1, 4, 4) without [4, 4], V = .333 there
    assert torch.equal(found[1].masks, found[0].masks[:2])
    assert torch.equal(found[1].bboxes, found[0].bboxes[:2])


def test_a_background_box_without_area_stays_as_it_is():
    """Offsets of a box to itself, log(0 / 0), were NaN."""
    from mmdet.registry import TASK_UTILS
    coder = TASK_UTILS.build(CODER)
    boxes = torch.tensor([[80., 3, 80, 20], [70, 3, 90, 20]], requires_grad=True)
    got = refined_boxes(boxes, torch.tensor([[0., 1], [0, 1]]), torch.ones(2, 4), coder,
                        (64, 80), with_background=True)
    assert got.tolist() == [[80, 3, 80, 20], [70, 3, 80, 20]]
    got.sum().backward()
    assert boxes.grad.isfinite().all()


def test_a_truth_without_masks_says_what_is_missing():
    data = samples()
    for one in data:
        del one.gt_instances.masks
    with pytest.raises(ValueError, match='gt_instances have no masks, .* with_mask=True'):
        run(detector(), data)


@pytest.mark.parametrize('sampler', ['OHEMSampler', 'ScoreHLRSampler'])
def test_samplers_that_ask_for_losses_are_refused(sampler):
    with pytest.raises(ValueError, match=f'sampler {sampler} chooses RoIs by their '
                       'losses, .* RandomSampler'):
        detector(train_cfg=train_cfg(sampler=dict(
            type=sampler, num=16, pos_fraction=.5, add_gt_as_proposals=True)))


def test_gradients_of_proposals_are_the_finite_differences(monkeypatch):
    """Through both passes: warp, gate, classes, bridge, warp again.

    In float64, at boxes whose points lie off the kinks. Targets have no gradient, and
    those of masks and classes do not change with so small a step.
    """
    as_float = torch.Tensor.float
    monkeypatch.setattr(torch.Tensor, 'float', lambda t: t if t.dtype == torch.float64
                        else as_float(t))
    model = detector(roi_head(gate_background_grad=True)).double().train()
    torch.manual_seed(1)
    for name, p in model.roi_head.named_parameters():
        if name.endswith('weight'):
            p.data.normal_(0, .15)
    maps = [torch.randn(1, 8, 16, 20).double(), torch.randn(1, 8, 8, 10).double()]
    data = samples(1)
    data[0].gt_instances.bboxes = data[0].gt_instances.bboxes.double()
    boxes = torch.tensor([[9.3, 7.4, 24.6, 24.1], [40.7, 20.2, 71.3, 54.6],
                          [3.3, 31.1, 22.7, 50.9], [50.2, 2.3, 70.9, 17.7]]).double()

    def losses(boxes):
        torch.manual_seed(2)
        found = model.roi_head.loss(maps, [InstanceData(bboxes=boxes)], data)
        return sum(found[f's{k}.loss_{name}'] for k in (0, 1)
                   for name in ('cls', 'seg_cls'))

    leaf = boxes.clone().requires_grad_()
    grad, = torch.autograd.grad(losses(leaf), leaf)
    assert (grad.abs() > 1e-5).all()
    for seed in range(3):
        step = 1e-6 * torch.randn(4, 4, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            change = (losses(boxes + step) - losses(boxes - step)) / 2
        assert change.item() == pytest.approx((grad * step).sum().item(), rel=1e-4)
