"""TransferNet: pairs, training in chunks, tests, labels, bad input, memory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample
from PIL import Image
from transfernet_models import (
    CLASSIFIER,
    ENCODER,
    LABELS,
    batch_of,
    build,
    images,
    net,
    sample,
    total,
)

import segaware_mm  # noqa: F401  registers the parts
from segaware_mm.transfernet.label_merge import foreground_probability

RESNET = dict(
    type='SwitchedBackbone', backbone=dict(
        type='mmseg.ResNet', depth=18, base_channels=4, stem_channels=4,
        out_indices=(0, 1, 2, 3), norm_cfg=dict(type='BN')))


def gradients(model, losses):
    total(losses).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()
            if p.grad is not None}


# ----------------------------------------------------------------------- training


def test_losses_are_those_of_the_pairs():
    """Two images with one and two labels: three pairs; the encoder runs once."""
    model = net()
    calls = []
    model.backbone.register_forward_hook(lambda *a: calls.append(1))
    samples = batch_of([1], [3, 4])
    losses = model.loss(images(), samples)
    assert set(losses) == {'loss_cls', 'loss_seg', 'acc_label'} and len(calls) == 1
    maps = model.extract_feat(images())
    rows, labels = torch.tensor([0, 1, 1]), torch.tensor([1, 3, 4])
    seg = torch.cat([s.gt_sem_seg.data for s in samples])[rows]
    targets = torch.where(seg == 255, 255, (seg == labels.view(-1, 1, 1)).long())
    wanted = 2 * torch.nn.functional.cross_entropy(
        model.decode_head(maps, rows, labels), targets, ignore_index=255)
    torch.testing.assert_close(losses['loss_seg'], wanted)


def test_the_sampled_label_is_the_only_pair():
    model, samples = net(), batch_of([1], [3, 4])
    samples[1].set_metainfo(dict(condition_label=4))
    one = model.loss(images(), samples)
    both = model.loss(images(), batch_of([1], [4]))
    seg = samples[1].gt_sem_seg.data
    assert (seg == 3).any()  # another object is ground
    torch.testing.assert_close(one['loss_cls'], both['loss_cls'])
    # A figure that was made in the pipeline gives the same.
    ready = torch.where(seg == 255, 255, (seg == 4).long())
    samples[1].gt_sem_seg.data = ready
    samples[1].set_metainfo(dict(binary_label=4))
    torch.testing.assert_close(model.loss(images(), samples), one)


def test_absent_labels_have_no_target():
    """A figure of one label that was made in the pipeline; others are asked for."""
    presence = dict(type='CrossEntropyLoss', use_sigmoid=True)
    model = net(head=dict(loss_presence=presence, num_absent=9))
    samples = batch_of([1], [3, 4])
    wanted = model.loss(images(), samples)
    assert set(wanted) == {'loss_cls', 'loss_seg', 'loss_presence', 'acc_label'}
    plain = net().loss(images(), samples)
    for name in ('loss_cls', 'loss_seg'):
        torch.testing.assert_close(wanted[name], plain[name])
    samples = batch_of([3])
    samples[0].gt_sem_seg.data = torch.where(
        samples[0].gt_sem_seg.data == 255, 255, (samples[0].gt_sem_seg.data == 3).long())
    samples[0].set_metainfo(dict(binary_label=3))
    torch.testing.assert_close(model.loss(images(1), samples)['loss_seg'],
                               net().loss(images(1), samples)['loss_seg'])
    assert model.loss(images(1), [sample([], seg=None)])['loss_presence'] > 0


@pytest.mark.parametrize('mode', ['soft', 'hard'])
@pytest.mark.parametrize('chunk', [1, 2])
def test_chunks_have_the_losses_and_gradients_of_all(chunk, mode):
    """Recomputed in the backward pass, the draws of hard attention too."""
    runs = []
    for size in (9, chunk):
        model = net(train_chunk=size, head=dict(attention=dict(
            mode=mode, hard=dict(soft_prob=0.))))
        model.train()
        if mode == 'hard':  # chunks draw in another order; any fixed place will do
            model.decode_head.attention.select.draw = lambda p: p[:, 0].long()
        losses = model.loss(images(), batch_of([1, 2], [3, 4, 1]))
        runs.append((losses, gradients(model, losses)))
    (losses, grads), (others, found) = runs
    assert losses.keys() == others.keys() and grads.keys() == found.keys()
    for key in losses:
        torch.testing.assert_close(others[key], losses[key])
    for name in grads:
        torch.testing.assert_close(found[name], grads[name], rtol=1e-4, atol=1e-6)


def test_draws_are_the_same_when_computed_again():
    """The backward pass of a chunk needs the position that was drawn."""
    model = net(train_chunk=1, head=dict(attention=dict(mode='hard'))).train()
    drawn = []
    select = model.decode_head.attention.select
    draw = select.draw
    select.draw = lambda p: drawn.append(draw(p)) or drawn[-1]
    torch.manual_seed(1)
    total(model.loss(images(), batch_of([1, 2], [3]))).backward()
    first, again = drawn[:3], drawn[3:]
    assert len(again) == 3
    assert sorted(int(a) for a in first) == sorted(int(a) for a in again)


def test_a_frozen_encoder_does_not_learn():
    model = net().train()
    assert not model.backbone.training and model.decode_head.training
    before = [p.clone() for p in model.backbone.parameters()]
    grads = gradients(model, model.loss(images(), batch_of([1], [3])))
    assert grads and not any(name.startswith('backbone') for name in grads)
    assert all(torch.equal(a, b) for a, b in zip(before, model.backbone.parameters()))


def test_an_encoder_may_learn():
    model = net(backbone=dict(ENCODER, frozen=False), train_chunk=1).train()
    grads = gradients(model, model.loss(images(), batch_of([1], [3])))
    assert grads['backbone.features.0.weight'].abs().sum() > 0


def test_a_target_batch_trains_attention_alone():
    """All-255 maps: exactly 0, no NaN, and a gradient for every weight."""
    model = net().train()
    samples = batch_of([1], [2, 3], seg=None)
    losses = model.loss(images(), samples)
    assert losses['loss_seg'].item() == 0 and losses['loss_cls'].item() > 0
    grads = gradients(model, losses)
    for name, parameter in model.decode_head.named_parameters():
        found = grads[f'decode_head.{name}']
        assert found.shape == parameter.shape and found.isfinite().all()
        assert name.startswith(('attention', 'classifier')) or (found == 0).all()
    for one in samples:
        del one.gt_sem_seg  # no map at all is the same
    torch.testing.assert_close(model.loss(images(), samples), losses)


@pytest.mark.parametrize('frozen', [True, False])
def test_a_batch_without_labels_gives_nothing(frozen):
    model = net(backbone=dict(ENCODER, frozen=frozen)).train()
    losses = model.loss(images(), batch_of([], []))
    assert total(losses).item() == 0
    grads = gradients(model, losses)
    assert len(grads) == sum(p.requires_grad for p in model.parameters())
    assert all((g == 0).all() for g in grads.values())


def test_a_label_without_pixels_is_all_ground():
    model = net()
    seg = torch.zeros(32, 32, dtype=torch.int64)
    losses = model.loss(images(1), [sample([2], seg)])
    assert losses['loss_seg'].item() > 0 and total(losses).isfinite()


@pytest.mark.parametrize('samples, error, text', [
    ([sample(None, torch.zeros(32, 32).long())], KeyError,
     "'image_labels' .* not in the metainfo of photo.jpg"),
    ([SegDataSample(metainfo=dict(img_path='photo.jpg', image_labels=['cat']))],
     TypeError, r"labels of photo.jpg must be ids of classes, got \['cat'\]"),
    ([SegDataSample(metainfo=dict(img_path='photo.jpg', image_labels=[1.5]))],
     TypeError, r'must be ids of classes, got \[1.5\]'),
    ([sample([LABELS + 1])], ValueError, 'label 5 of photo.jpg is not in 1..4'),
    ([sample([1], torch.full((32, 32), 7))], ValueError,
     'the mask of photo.jpg has class 7; the head has the classes 0..4'),
    ([sample([1], torch.full((32, 32), 3), label_set=(1, 2))], ValueError,
     r'class 3, which is not of the label_set of its data set, \(1, 2\)')])
def test_bad_input_is_named(samples, error, text):
    with pytest.raises(error, match=text):
        net().loss(images(1), samples)


@pytest.mark.parametrize('size', [(32, 32), (33, 47), (17, 64), (5, 9)])
def test_sizes_that_nothing_divides(size):
    model = net()
    samples = [sample([1, 2], torch.zeros(size).long(), size)]
    losses = model.loss(images(1, size), samples)
    assert total(losses).isfinite() and losses['loss_seg'].item() > 0
    found = model.eval().predict(images(1, size), samples)[0].pred_sem_seg.data
    assert found.shape == (1, *size)


@pytest.mark.parametrize('channels', [((6, ), (5, ), (4, ), (4, ), (3, ), (3, )),
                                      ((6, ), (5, ), (4, ), (4, ))])
def test_a_resnet_encoder(channels):
    """To the image, or only as far as the encoder has switches."""
    model = net(backbone=RESNET, head=dict(in_channels=32, decoder=dict(
        channels=channels))).train()
    losses = model.loss(images(2, (64, 64)), [
        sample([1, 2], 'squares', (64, 64)), sample([3], 'squares', (64, 64))])
    grads = gradients(model, losses)
    assert all(g.isfinite().all() for g in grads.values())
    assert grads['backbone.backbone.conv1.weight'].abs().sum() > 0
    found = model.eval().predict(images(1, (64, 64)), [sample([1], size=(40, 50))])[0]
    assert found.pred_sem_seg.data.shape == (1, 40, 50)


def test_losses_fall():
    """Some steps of Adam on two images; source masks and a target label."""
    torch.manual_seed(0)
    model = net(backbone=dict(ENCODER, frozen=False)).train()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    samples = batch_of([1], [3, 4])
    samples[1].gt_sem_seg.data.fill_(255)
    seen = []
    for _ in range(30):
        losses = model.loss(images(), samples)
        seen.append({key: value.item() for key, value in losses.items()})
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
    assert seen[-1]['loss_cls'] < .7 * seen[0]['loss_cls']
    assert seen[-1]['loss_seg'] < .7 * seen[0]['loss_seg']


# -------------------------------------------------------------------------- tests


def by_hand(model, inputs, labels):
    """The published merge, with all maps at once."""
    maps = model.extract_feat(inputs)
    scores = model.decode_head(maps, torch.zeros(len(labels)).long(),
                               torch.tensor(labels))
    p = foreground_probability(scores, .5)
    best, place = (p * (p > .5)).max(0)
    return torch.where(best > 0, torch.tensor(labels)[place], 0), p


@pytest.mark.parametrize('chunk', [1, 2, 8])
def test_labels_compete(chunk):
    model = net(seed=3, pair_chunk=chunk, with_scores=True).eval()
    labels = [1, 2, 4]
    found = model.predict(images(1), [sample(labels)])[0]
    wanted, p = by_hand(model, images(1), labels)
    assert torch.equal(found.pred_sem_seg.data[0], wanted)
    assert found.pred_sem_seg.data.dtype == torch.int64
    assert set(wanted.unique().tolist()) - {0}  # something was found
    table = found.seg_logits.data
    assert table.shape == (5, 32, 32) and (table[3] == 0).all()
    assert torch.equal(table.argmax(0), wanted)
    torch.testing.assert_close(table[4], (p * (p > .5))[2])


def test_images_of_a_batch_do_not_mix():
    model = net(seed=3).eval()
    samples = [sample([1, 2]), sample([]), sample([4])]
    both = model.predict(images(3), samples)
    for row, labels in enumerate(([1, 2], [], [4])):
        alone = model.predict(images(3)[row:row + 1], [sample(labels)])[0]
        assert torch.equal(both[row].pred_sem_seg.data, alone.pred_sem_seg.data)
    assert (both[1].pred_sem_seg.data == 0).all()  # no label: background
    assert 'seg_logits' not in both[0]


def test_the_square_is_undone():
    """24 x 32 of an image in a square, seen at 64."""
    model = net(seed=3).eval()
    meta = dict(square_side=32, valid_shape=(24, 32), size=(24, 32))
    found = model.predict(images(1, (64, 64)), [sample([1, 2], **meta)])[0]
    assert found.pred_sem_seg.data.shape == (1, 24, 32)
    _, p = by_hand(model, images(1, (64, 64)), [1, 2])
    small = torch.nn.functional.interpolate(p[None], (32, 32), mode='bilinear')[0, :, :24]
    best, place = (small * (small > .5)).max(0)
    wanted = torch.where(best > 0, place + 1, 0)
    assert torch.equal(found.pred_sem_seg.data[0], wanted)


def test_padding_may_be_left_out_of_attention():
    meta = dict(square_side=64, valid_shape=(32, 64), size=(32, 64))
    model, inputs = net(seed=3, mask_padding=True).eval(), images(1, (64, 64))
    metas = [sample([1], **meta).metainfo]
    valid = model.valid(model.extract_feat(inputs), inputs, metas)
    assert valid.shape == (1, 1, 4, 4) and valid[0, 0, :, 0].tolist() == [
        True, True, False, False]
    changed = inputs.clone()
    changed[:, :, 60:] += 5  # far in the padding: no attention there, some context
    attention = model.decode_head.attention
    for one in (inputs, changed):
        weights = attention(model.extract_feat(one).feature, torch.tensor([0]), valid)
        assert (weights[:, :, 2:] == 0).all()
    assert net().valid(None, inputs, []) is None
    samples = [sample([1], 'squares', (64, 64), padding_size=(0, 0, 0, 32))]
    assert total(model.loss(inputs, samples)).isfinite()


# ------------------------------------------------------------------ label sources


def test_labels_of_the_classifier():
    model = net(classifier=CLASSIFIER, label_source='classifier').eval()
    scores = torch.tensor([[.2, .7, .6, .1], [.2, .5, .1, .1]])
    model.classifier.label_scores = lambda inputs: scores
    maps = model.extract_feat(images())
    labels, found = model.find_labels(images(), maps, [{}, {}])
    assert labels == [[2, 3], [2]] and torch.equal(found, scores)
    model.eval_labels = [1, 4]
    assert model.find_labels(images(), maps, [{}, {}])[0] == [[1], [1]]
    results = model.predict(images(), [SegDataSample(), SegDataSample()])
    assert torch.equal(results[1].pred_label_scores, scores[1])
    assert set(results[0].pred_sem_seg.data.unique().tolist()) <= {0, 1}


def test_labels_of_the_head():
    model = net(label_source='cls_head', label_thr=0., eval_labels=(1, 3)).eval()
    inputs = images()
    results = model.predict(inputs)
    maps = model.extract_feat(inputs)
    for row, result in enumerate(results):
        wanted = model.decode_head.label_scores(maps.feature[row:row + 1], [1, 3])
        torch.testing.assert_close(result.pred_label_scores[[0, 2]], wanted)
        assert (result.pred_label_scores[[1, 3]] == 0).all()
        assert set(result.pred_sem_seg.data.unique().tolist()) <= {0, 1, 3}
    assert model.find_labels(inputs, maps, [{}, {}])[0] == [[1, 3]] * 2


def test_given_labels():
    model = net(eval_labels=(1, 2)).eval()
    maps = model.extract_feat(images(1))
    meta = dict(image_labels=np.array([2, 4]), condition_label=4)
    assert model.find_labels(images(1), maps, [meta]) == ([[2]], None)
    able = net(head=dict(num_absent=1, loss_presence=dict(
        type='CrossEntropyLoss', use_sigmoid=True)), eval_labels=(1, 2)).eval()
    maps = able.extract_feat(images(1))
    labels, scores = able.find_labels(images(1), maps, [meta])
    assert labels == [[2]] and scores[0, 2:].tolist() == [0, 0]
    torch.testing.assert_close(scores[0, :2],
                               able.decode_head.label_scores(maps.feature, [1, 2]))
    result, = able.predict(images(1), batch_of([2]))
    torch.testing.assert_close(result.pred_label_scores, scores[0])
    with pytest.raises(KeyError, match='image_labels'):
        model.predict(images(1))


def test_a_classifier_stays_as_it_is():
    model = net(classifier=dict(CLASSIFIER, backbone=dict(ENCODER, frozen=False)),
                label_source='classifier').train()
    assert not any(m.training for m in model.classifier.modules())
    grads = gradients(model, model.loss(images(), batch_of([1], [2])))
    assert not any(name.startswith('classifier.') for name in grads)


def test_a_classifier_has_a_checkpoint_of_its_own(tmp_path):
    alone = build(CLASSIFIER, seed=5)
    path = tmp_path / 'classifier.pth'
    torch.save(dict(state_dict=alone.state_dict()), path)
    cfg = dict(CLASSIFIER, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    model = net(classifier=cfg, label_source='classifier')
    model.init_weights()
    for name, value in alone.state_dict().items():
        assert torch.equal(model.classifier.state_dict()[name], value), name
    whole = tmp_path / 'transfernet.pth'
    torch.save(dict(state_dict=model.state_dict()), whole)
    again = build(dict(CLASSIFIER, init_cfg=dict(
        type='Pretrained', checkpoint=str(whole), prefix='classifier.')))
    again.init_weights()
    for name, value in alone.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


# ---------------------------------------------------------------- post-processing


def test_a_crf_decides_what_is_figure(tmp_path):
    """It sees the image in grey values, from the input or from the file."""
    size = (24, 32)
    normal = dict(type='SegDataPreProcessor', mean=[100.] * 3, std=[50.] * 3)
    model = net(seed=3, post=dict(type='DenseCRF', num_iters=1),
                data_preprocessor=normal, with_scores=True).eval()
    seen = []

    def post(probability, image):
        seen.append(image)
        figure = torch.zeros_like(probability, dtype=torch.bool)
        figure[0, :5] = True
        return figure

    model.post.forward = post
    meta = dict(square_side=32, valid_shape=size, size=size)
    result = model.predict(images(1, (64, 64)), [sample([2, 4], **meta)])[0]
    found = result.pred_sem_seg.data[0]
    assert (found[:5] == 2).all() and (found[5:] == 0).all()
    assert torch.equal(result.seg_logits.data.argmax(0), found)
    grey = images(1, (64, 64)) * 50 + 100
    wanted = torch.nn.functional.interpolate(grey, (32, 32), mode='bilinear')[0, :, :24]
    torch.testing.assert_close(seen[0], wanted)
    path = tmp_path / 'photo.png'
    Image.fromarray(np.full((*size, 3), (10, 20, 30), np.uint8)).save(path)
    model.post_image = 'file'
    model.predict(images(1, (64, 64)), [sample([2], img_path=str(path), **meta)])
    assert seen[-1].shape == (3, *size) and sorted(seen[-1][:, 0, 0].tolist()) == [
        10, 20, 30]
    with pytest.raises(ValueError, match="post_image='file' needs img_path"):
        model.predict(images(1, (64, 64)), [sample([2], **{**meta, 'img_path': None})])


def test_with_the_crf_itself():
    model = net(seed=3, post=dict(type='DenseCRF', num_iters=2)).eval()
    found = model.predict(images(1), [sample([1, 2, 3])])[0].pred_sem_seg.data
    assert set(found.unique().tolist()) <= {0, 1, 2, 3}


# ------------------------------------------------------------------ mmseg's modes


def test_modes():
    model, samples = net(), batch_of([1], [3, 4])
    assert model(images(), samples, mode='tensor').shape == (3, 2, 32, 32)
    assert model(images(), mode='tensor').shape == (2, 2, 32, 32)
    assert 'loss_cls' in model(images(), samples, mode='loss')
    assert model.eval()(images(), samples, mode='predict')[0].pred_sem_seg is not None
    table = model.encode_decode(images(), [s.metainfo for s in samples])
    assert table.shape == (2, 5, 32, 32)
    assert torch.equal(table[0].argmax(0),
                       model.predict(images(), samples)[0].pred_sem_seg.data[0])
    assert model.with_decode_head and model.decode_head.num_classes == 5


def test_two_runs_are_equal():
    runs = []
    for _ in range(2):
        torch.manual_seed(0)
        model = net(head=dict(attention=dict(mode='hard'))).train()
        losses = model.loss(images(), batch_of([1, 2], [3]))
        runs.append((total(losses), gradients(model, losses)))
    assert torch.equal(runs[0][0], runs[1][0])
    assert all(torch.equal(runs[0][1][k], runs[1][1][k]) for k in runs[0][1])


@pytest.mark.parametrize('change, error, text', [
    (dict(label_source='classifier'), ValueError,
     "label_source='classifier' needs a classifier; give one, or take 'cls_head'"),
    (dict(label_source='oracle'), ValueError, "label_source must be one of 'classifier'"),
    (dict(classifier=dict(CLASSIFIER, num_classes=3)), ValueError,
     'classifier has num_classes=3, decode_head 5'),
    (dict(eval_labels=(0, 1)), ValueError, r'eval_labels must be ids of 1..4 .*\[0, 1\]'),
    (dict(eval_labels=()), ValueError, 'eval_labels must be ids of 1..4'),
    (dict(bg_factor=0), ValueError, 'bg_factor must be more than 0'),
    (dict(pair_chunk=0), ValueError, 'pair_chunk must be at least 1'),
    (dict(train_chunk=0), ValueError, 'train_chunk must be at least 1'),
    (dict(label_thr=2), ValueError, 'label_thr must be in'),
    (dict(post_image='disk'), ValueError, "post_image must be one of 'input', 'file'")])
def test_errors_of_arguments(change, error, text):
    with pytest.raises(error, match=text):
        net(**change)


def test_ids_beyond_the_classes_of_a_metric_are_dropped():
    """Upstream's metric: id 7 of 3 classes is no error. eval_labels keeps it away."""
    from mmseg.evaluation import IoUMetric
    found, truth = torch.tensor([[0, 1, 1], [2, 7, 0]]), torch.tensor([[0, 1, 2],
                                                                      [2, 2, 255]])
    both, union, _, _ = IoUMetric.intersect_and_union(found, truth, 3, 255)
    iou = both / union
    assert iou.tolist() == pytest.approx([1, .5, 1 / 3])
    assert iou.mean().item() == pytest.approx(.611111, abs=1e-6)


# -------------------------------------------------------------- several processes

PROGRAM = """
import os, sys
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel
import segaware_mm
from transfernet_models import batch_of, images, net, total
def work(rank, path):
    dist.init_process_group('gloo', init_method='file://' + path, rank=rank,
                            world_size=2)
    model = net(head=dict(attention=dict(mode='hard')), train_chunk=1).train()
    wrapped = DistributedDataParallel(model)
    kinds = [batch_of([1], [2, 3]), batch_of([], []), batch_of([4], [], seg=None)]
    for turn in range(3):  # both, one, or none has pairs; with and without masks
        for other in range(3):
            losses = wrapped(images(), kinds[turn if rank == 0 else other], mode='loss')
            model.zero_grad()
            total(losses).backward()
            grads = [p.grad for p in model.parameters() if p.requires_grad]
            assert all(g is not None and g.isfinite().all() for g in grads)
            sums = torch.stack([g.double().sum() for g in grads])
            both = [torch.zeros_like(sums) for _ in range(2)]
            dist.all_gather(both, sums)
            assert torch.equal(*both)
    if rank == 0:
        print('all turns done')
if __name__ == '__main__':
    mp.spawn(work, (sys.argv[1], ), 2)
"""


@pytest.mark.slow
def test_processes_with_different_batches_agree(tmp_path):
    """No process waits for a weight that another one did not use."""
    program = tmp_path / 'program.py'
    program.write_text(PROGRAM)
    helpers = Path(__file__).parents[1] / 'helpers'
    place = os.pathsep.join([str(helpers), str(helpers.parents[1])])
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', str(program), str(tmp_path / 'meet')],
        capture_output=True, text=True, timeout=200,
        env=dict(os.environ, PYTHONPATH=place, OMP_NUM_THREADS='1'))
    assert 'all turns done' in done.stdout, done.stderr


# ------------------------------------------------------------------------- memory

SETUP = """
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
import segaware_mm
def sample_of(size, count):
    sample = SegDataSample(metainfo=dict(
        ori_shape=(size, size), image_labels=list(range(1, count + 1))))
    sample.gt_sem_seg = PixelData(data=torch.ones(1, size, size, dtype=torch.int64))
    return sample
def model_of(backbone, **changes):
    train = dict(train_chunk=changes.pop('train_chunk', None))
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(dict(
            type='TransferNet', label_source='gt', backbone=backbone, **train,
            decode_head=dict(type='TransferNetHead', num_classes=81, **changes)))
def narrow(**changes):
    return model_of(
        dict(type='VGG16Switch', channels=(16, ) * 5), in_channels=16,
        attention=dict(type='LabelAttention', att_type='conv', embed_channels=16),
        decoder=dict(type='UnpoolDecoder', channels=((16, ), ) * 4 + ((16, 16), )),
        **changes)
def test(model, size, count):
    return model.eval().predict(torch.rand(1, 3, size, size), [sample_of(size, count)])
def train(chunk):
    losses = narrow(train_chunk=chunk).loss(torch.rand(1, 3, 192, 192),
                                            [sample_of(192, 12)])
    (losses['loss_cls'] + losses['loss_seg']).backward()
test(narrow(), 32, 2)  # what is loaded on the first call
"""


@pytest.mark.slow
def test_ten_labels_of_an_image_in_less_than_1500_mb(peak_memory):
    """VGG-16, the published decoder and attention; the 0.9 GB of weights count."""
    used = peak_memory(SETUP, "test(model_of(dict(type='VGG16Switch')), 320, 10)")
    assert 900 < used < 1500, f'{used:.0f} MB'


def test_training_in_chunks_takes_less_memory(peak_memory):
    """Twelve pairs, each with six maps of 2.4 MB: all at once, two at a time."""
    whole, parts = (peak_memory(SETUP, f'train({chunk})') for chunk in (12, 2))
    assert parts < .6 * whole, f'{whole:.0f} MB, {parts:.0f} MB'


def test_memory_is_that_of_a_chunk(peak_memory):
    """Twenty labels need what four do; at once they would need 150 MB more."""
    four, twenty = (peak_memory(SETUP, f'test(narrow(), 192, {n})') for n in (4, 20))
    assert twenty < four + 40, f'{four:.0f} MB, {twenty:.0f} MB'
