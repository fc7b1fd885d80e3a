"""DeconvNet in mmseg's EncoderDecoder: head, inference, training, proposals."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import ConfigDict  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.runner import turn_on_activation_checkpointing  # noqa: E402
from mmengine.structures import PixelData  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

import segaware_mm  # noqa: E402, F401
from segaware_mm.transfernet.deconvnet_head import DeconvNetHead  # noqa: E402
from segaware_mm.transfernet.proposal_aggregation import (  # noqa: E402
    boxes_on_input,
    widened,
)
from segaware_mm.transfernet.proposal_file import ProposalFile  # noqa: E402
from segaware_mm.transfernet.vgg16_switch import VGG16Switch  # noqa: E402

BN = dict(type='BN')
WIDTHS = (4, 4, 6, 8, 8)
VGG = dict(type='VGG16Switch', num_pools=5, frozen=False, channels=WIDTHS, norm_cfg=BN)
HEAD = dict(type='DeconvNetHead', in_channels=8, num_classes=3, fc_channels=10,
            channels=((), (8, ), (8, 6), (6, 4), (4, ), (4, )))
RESNET = dict(type='SwitchedBackbone', backbone=dict(
    type='ResNet', depth=18, base_channels=4, stem_channels=4, num_stages=3,
    strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(0, 1, 2), norm_cfg=BN))
RESNET_HEAD = dict(type='DeconvNetHead', in_channels=16, num_classes=3, fc_channels=8,
                   fc_kernel=3, channels=((), (8, ), (6, )))


def segmentor(backbone=VGG, head=HEAD, seed=0, **kwargs):
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(ConfigDict({**dict(
            type='EncoderDecoder', data_preprocessor=dict(
                type='SegDataPreProcessor', size_divisor=1, pad_val=0, seg_pad_val=255),
            backbone=backbone, decode_head=head, train_cfg=dict(),
            test_cfg=dict(mode='whole')), **kwargs}))
    model.init_weights()
    return model


def images(*size, batch=2, seed=0):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def samples(*size, batch=2, **meta):
    result = []
    for k in range(batch):
        sample = SegDataSample(metainfo={**dict(
            img_shape=size, ori_shape=size, pad_shape=size, img_path=f'/x/im{k}.jpg'),
            **meta})
        labels = torch.arange(size[0] * size[1]).view(1, *size) % 3
        sample.gt_sem_seg = PixelData(data=labels)
        result.append(sample)
    return result


# -------------------------------------------------------------------------- head

def test_published_network_has_252_million_parameters():
    with torch.device('meta'):
        encoder = VGG16Switch(5, frozen=False, norm_cfg=BN)
        head = DeconvNetHead()
    count = sum(p.numel() for part in (encoder, head) for p in part.parameters())
    assert round(count / 1e6) == 252
    assert head.conv_seg.in_channels == 64 and head.conv_seg.out_channels == 21
    assert head.deconv_fc6[0].kernel_size == (7, 7)


@pytest.mark.parametrize('size', [(64, 64), (45, 77), (224, 224)])
def test_scores_have_the_size_of_the_image(size):
    model = segmentor().eval()
    out = model(images(*size, batch=1), mode='tensor')
    assert out.shape == (1, 3, *size) and out.isfinite().all()


def test_a_map_as_large_as_the_kernel_is_read_whole():
    """7x7: fc6 sees it in one place; larger and smaller maps come back too."""
    head = DeconvNetHead(2, 3, fc_channels=4, norm_cfg=None, channels=((), ))
    assert head.fc6(torch.zeros(1, 2, 7, 7)).shape == (1, 4, 1, 1)
    for size in ((7, 7), (9, 12), (3, 8), (1, 1)):
        assert head.bottleneck(torch.zeros(1, 2, *size)).shape == (1, 2, *size)


def test_batch_norm_needs_more_than_one_value():
    head = DeconvNetHead(2, 3, fc_channels=4, norm_cfg=BN, channels=((), ))
    assert head.bottleneck(torch.zeros(2, 2, 7, 7)).shape == (2, 2, 7, 7)
    with pytest.raises(ValueError, match='one pixel between fc6 and fc7.*batch_size of '
                                         'at least 2'):
        head.bottleneck(torch.zeros(1, 2, 7, 7))
    assert head.eval().bottleneck(torch.zeros(1, 2, 7, 7)).shape == (1, 2, 7, 7)
    plain = DeconvNetHead(2, 3, fc_channels=4, norm_cfg=None, channels=((), ))
    assert plain.bottleneck(torch.zeros(1, 2, 7, 7)).shape == (1, 2, 7, 7)


def test_a_small_map_is_a_large_one_with_zeros():
    head = DeconvNetHead(2, 3, fc_channels=4, norm_cfg=None, channels=((), ))
    x = torch.randn(1, 2, 3, 4)
    padded = torch.zeros(1, 2, 7, 7)
    padded[..., :3, :4] = x
    assert torch.equal(head.bottleneck(x), head.bottleneck(padded)[..., :3, :4])


def test_without_fully_connected_layers():
    head = DeconvNetHead(2, 3, fc_channels=None, channels=((), ))
    x = torch.randn(1, 2, 3, 4)
    assert head.bottleneck(x) is x
    with pytest.raises(ValueError, match='pretrained_fc needs fc_channels'):
        DeconvNetHead(2, 3, fc_channels=None, channels=((), ), pretrained_fc='x.pth')


def test_fully_connected_layers_start_from_vgg(tmp_path):
    head = DeconvNetHead(2, 3, fc_channels=4, fc_kernel=3, channels=((), ),
                         pretrained_fc=str(tmp_path / 'vgg.pth'))
    state = {'classifier.0.weight': torch.randn(4, 18),
             'classifier.0.bias': torch.ones(4),
             'classifier.3.weight': torch.randn(4, 4),
             'classifier.3.bias': torch.ones(4)}
    torch.save(state, tmp_path / 'vgg.pth')
    head.init_weights()
    x = torch.randn(1, 2, 3, 3)
    wanted = state['classifier.0.weight'] @ x.flatten() + 1
    torch.testing.assert_close(head.fc6[0](x).flatten(), wanted)
    assert torch.equal(head.fc7[0].weight.flatten(1), state['classifier.3.weight'])
    torch.save({}, tmp_path / 'vgg.pth')
    with pytest.raises(ValueError, match=r'has classifier.0.weight of shape None; wanted '
                       r'is \(4, 18\)'):
        head.init_weights()


def test_a_backbone_without_switches_is_refused():
    model = segmentor(backbone=RESNET['backbone'])
    with pytest.raises(TypeError, match='wanted SwitchedMaps from the backbone'):
        model(images(64, 64), mode='tensor')


# --------------------------------------------------------- in mmseg's segmentor

@pytest.mark.parametrize('backbone, head', [(VGG, HEAD), (RESNET, RESNET_HEAD)])
def test_training_reaches_every_weight(backbone, head):
    model = segmentor(backbone, head).train()
    losses = model(images(64, 96), samples(64, 96), mode='loss')
    losses['decode.loss_ce'].backward()
    assert losses['decode.loss_ce'].isfinite()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('backbone, head', [(VGG, HEAD), (RESNET, RESNET_HEAD)])
def test_prediction_of_odd_sizes(backbone, head):
    model = segmentor(backbone, head).eval()
    (found, ) = model(images(37, 51, batch=1), samples(37, 51, batch=1), mode='predict')
    assert found.pred_sem_seg.shape == found.seg_logits.shape == (37, 51)


def test_sliding_windows():
    """One window that covers all is the whole image; several have each pixel."""
    data = images(40, 56, batch=1)
    whole = segmentor().eval()
    slide = segmentor(test_cfg=dict(mode='slide', crop_size=(40, 56),
                                    stride=(32, 32))).eval()
    wanted = whole(data, samples(40, 56, batch=1), mode='predict')[0].seg_logits.data
    got = slide(data, samples(40, 56, batch=1), mode='predict')[0].seg_logits.data
    torch.testing.assert_close(got, wanted)
    slide.test_cfg.update(crop_size=(32, 32), stride=(24, 24))
    parts = slide(data, samples(40, 56, batch=1), mode='predict')[0].seg_logits.data
    assert parts.shape == wanted.shape and parts.isfinite().all()
    meta = dict(img_shape=torch.Size((32, 32)))
    first = whole.encode_decode(data[..., :32, :32], [meta])
    torch.testing.assert_close(parts[:, :8, :24], first[0, :, :8, :24])


def test_an_auxiliary_head_reads_the_coarsest_map():
    aux = dict(type='FCNHead', in_channels=8, in_index=0, channels=4, num_convs=1,
               num_classes=3, norm_cfg=BN)
    losses = segmentor(auxiliary_head=aux)(images(64, 64), samples(64, 64), mode='loss')
    assert losses['aux.loss_ce'].isfinite()


@pytest.mark.parametrize('modules', ['decode_head.decoder', 'backbone'])
def test_activation_checkpointing_changes_nothing(modules):
    grads = []
    for checkpointed in (False, True):
        model = segmentor().train()
        if checkpointed:
            turn_on_activation_checkpointing(model, modules)
        data = images(64, 64).requires_grad_()
        losses = model(data, samples(64, 64), mode='loss')
        losses['decode.loss_ce'].backward()
        grads.append([p.grad for p in model.parameters()])
    for plain, again in zip(*grads):
        torch.testing.assert_close(plain, again)


def test_distributed_training(tmp_path):
    """One process: DDP wraps the segmentor, whose losses are all that comes out."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel
    distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/rendezvous',
                                   rank=0, world_size=1)
    try:
        model = DistributedDataParallel(segmentor().train())
        losses = model(images(64, 64), samples(64, 64), mode='loss')
        losses['decode.loss_ce'].backward()
    finally:
        distributed.destroy_process_group()
    assert all(p.grad is not None for p in model.parameters())


def test_weights_survive_saving(tmp_path):
    first, second = segmentor().eval(), segmentor(seed=1).eval()
    torch.save(first.state_dict(), tmp_path / 'w.pth')
    second.load_state_dict(torch.load(tmp_path / 'w.pth', weights_only=True))
    data = images(32, 32)
    assert torch.equal(first(data, mode='tensor'), second(data, mode='tensor'))


def test_autocast():
    model = segmentor().train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(images(64, 64), samples(64, 64), mode='loss')
    losses['decode.loss_ce'].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_a_batch_without_labels_has_a_finite_loss():
    model = segmentor().train()
    batch = samples(64, 64)
    for sample in batch:
        sample.gt_sem_seg.data.fill_(255)
    losses = model(images(64, 64), batch, mode='loss')
    losses['decode.loss_ce'].backward()
    assert losses['decode.loss_ce'] == 0
    assert all(p.grad.isfinite().all() for p in model.parameters())


# --------------------------------------------------------------------- proposals

def aggregation(path, seed=0, **kwargs):
    return segmentor(type='ProposalAggregation', proposals=str(path), seed=seed,
                     **{**dict(crop_size=32), **kwargs}).eval()


def write(path, **boxes):
    """Boxes by image, as .json or .npz."""
    if path.suffix == '.json':
        path.write_text(json.dumps(boxes))
    else:
        np.savez(path, **{k: np.array(v, np.float32) for k, v in boxes.items()})
    return path


@pytest.mark.parametrize('suffix', ['json', 'npz'])
def test_a_proposal_of_the_whole_image_is_the_whole_image(tmp_path, suffix):
    path = write(tmp_path / f'boxes.{suffix}', im0=[[0, 0, 32, 32]])
    data = images(32, 32, batch=1)
    got = aggregation(path)(data, samples(32, 32, batch=1), mode='predict')[0]
    wanted = segmentor().eval()(data, samples(32, 32, batch=1), mode='predict')[0]
    torch.testing.assert_close(got.seg_logits.data, wanted.seg_logits.data)


@pytest.mark.parametrize('mode', ['max', 'mean'])
def test_proposals_by_hand(tmp_path, mode):
    """Two boxes: each crop through the plain network, pasted and joined."""
    boxes = [[4, 2, 36, 34], [10, 8, 48, 40]]
    path = write(tmp_path / 'boxes.json', im0=boxes)
    data = images(40, 48, batch=1)
    plain = segmentor().eval()
    frames = []
    for x1, y1, x2, y2 in boxes:
        crop = torch.nn.functional.interpolate(
            data[..., y1:y2, x1:x2], (32, 32), mode='bilinear', align_corners=False)
        scores = torch.nn.functional.interpolate(
            plain(crop, mode='tensor'), (y2 - y1, x2 - x1), mode='bilinear',
            align_corners=False)
        frames.append(torch.nn.functional.pad(scores, (x1, 48 - x2, y1, 40 - y2))[0])
    frames = torch.stack(frames)
    wanted = frames.amax(0) if mode == 'max' else frames.mean(0)
    for chunk in (1, 8):
        model = aggregation(path, mode=mode, chunk=chunk)
        (found, ) = model(data, samples(40, 48, batch=1), mode='predict')
        torch.testing.assert_close(found.seg_logits.data, wanted)


def test_the_best_boxes_are_used(tmp_path):
    rows = [[0, 0, 8, 8, .1], [0, 0, 32, 32, .9]]
    path = write(tmp_path / 'boxes.npz', im0=rows)
    data = images(32, 32, batch=1)
    got = aggregation(path, topk=1)(data, samples(32, 32, batch=1), mode='predict')[0]
    wanted = segmentor().eval()(data, samples(32, 32, batch=1), mode='predict')[0]
    torch.testing.assert_close(got.seg_logits.data, wanted.seg_logits.data)


def test_no_proposals_means_background(tmp_path):
    path = write(tmp_path / 'boxes.json', im0=[], im1=[[0, 0, 9, 9]])
    found = aggregation(path)(images(32, 32), samples(32, 32), mode='predict')
    assert not found[0].seg_logits.data.any() and not found[0].pred_sem_seg.data.any()
    assert found[1].seg_logits.data.any()


def test_boxes_follow_resizing_and_flipping():
    boxes = torch.tensor([[2., 4, 6, 10]])
    meta = dict(scale_factor=(2., .5))
    assert boxes_on_input(boxes, meta, (20, 40)).tolist() == [[4, 2, 12, 5]]
    meta.update(flip=True, flip_direction='horizontal')
    assert boxes_on_input(boxes, meta, (20, 40)).tolist() == [[28, 2, 36, 5]]
    meta.update(flip_direction='vertical')
    assert boxes_on_input(boxes, meta, (20, 40)).tolist() == [[4, 15, 12, 18]]
    meta.update(flip_direction='diagonal')
    assert boxes_on_input(boxes, meta, (20, 40)).tolist() == [[28, 15, 36, 18]]
    assert widened(boxes, 1.5).tolist() == [[1, 2.5, 7, 11.5]]


def test_an_aggregation_has_the_weights_of_an_encoder_decoder(tmp_path):
    path = write(tmp_path / 'boxes.json', im0=[])
    assert aggregation(path).state_dict().keys() == segmentor().state_dict().keys()


@pytest.mark.parametrize('content, image, text', [
    (dict(im0=[]), '/x/im7.png', r"has no proposals of 'im7' \(it has 1 images\)"),
    (dict(im0=[]), None, "'img_path' must be among the meta_keys"),
    (dict(im0=[[1, 2, 3]]), 'im0.jpg', r"of 'im0' have shape \(1, 3\); wanted is"),
    (dict(im0=[[5, 0, 2, 2]]), 'im0.jpg', 'is not finite, or ends before it begins')])
def test_errors_of_proposal_files(tmp_path, content, image, text):
    path = write(tmp_path / 'boxes.json', **content)
    with pytest.raises(ValueError, match=text):
        ProposalFile(path).boxes(image)


def test_a_missing_or_unknown_file(tmp_path):
    with pytest.raises(ValueError, match='there is no file .*none.npz'):
        ProposalFile(tmp_path / 'none.npz').boxes('a')
    with pytest.raises(ValueError, match="must be a file .npz or .json, got 'x.pkl'"):
        ProposalFile('x.pkl')


@pytest.mark.parametrize('kwargs, text', [
    (dict(mode='sum'), "mode must be one of 'max', 'mean'"),
    (dict(topk=0), 'topk must be at least 1'),
    (dict(context=.5), 'context must be at least 1'),
    (dict(chunk=0), 'chunk must be at least 1')])
def test_errors_of_options(kwargs, text):
    with pytest.raises(ValueError, match=text):
        aggregation('boxes.json', **kwargs)
