"""The base of the released pipeline: summed dilations, scales joined by maximum."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

BACKBONE = dict(type='ResNet', depth=18, num_stages=1, strides=(1, ), dilations=(1, ),
                out_indices=(0, ), base_channels=8, stem_channels=8,
                norm_cfg=dict(type='BN'), norm_eval=True)
HEAD = dict(type='DeepLabV2Head', in_channels=8, in_index=0, dilations=(1, 3),
            num_classes=4, align_corners=True)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(dict(
        type='MultiScaleMaxSegmentor', scales=(1., .5), backbone=BACKBONE,
        decode_head=HEAD, train_cfg=dict(), test_cfg=dict(mode='whole'),
        data_preprocessor=dict(type='SegDataPreProcessor')), **kwargs))


def test_the_head_sums_its_dilations():
    head = MODELS.build(HEAD)
    head.init_weights()
    assert [conv.dilation for conv in head.conv_seg] == [(1, 1), (3, 3)]
    assert all(.005 < conv.weight.std() < .02 for conv in head.conv_seg)
    x = torch.randn(2, 8, 9, 11)
    expected = head.conv_seg[0](x) + head.conv_seg[1](x)
    assert expected.shape == (2, 4, 9, 11)
    torch.testing.assert_close(head([x]), expected)


def test_the_largest_logit_wins():
    model = build().eval()
    image = torch.randn(1, 3, 33, 41)
    large, small = model.logits_of_scales(image)
    assert large.shape[2:] == (9, 11) and small.shape[2:] == (5, 6)
    joined = model.join([large, small])
    assert (joined >= large).all() and (joined > large).any()
    # Where corners align, every second pixel of the large map is one of the small.
    torch.testing.assert_close(joined[..., ::2, ::2],
                               torch.maximum(large[..., ::2, ::2], small))
    assert torch.equal(build(scales=(1., )).eval()(image), large)


def test_every_scale_has_a_loss():
    model = build().train()
    label = torch.zeros(1, 33, 41, dtype=torch.int64)
    label[..., 20:] = 3
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for _ in range(2)]
    losses = model.loss(torch.randn(2, 3, 33, 41), samples)
    assert {'decode.loss_ce', 'scale100.loss_ce', 'scale50.loss_ce'} <= set(losses)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(conv.weight.grad.any() for conv in model.decode_head.conv_seg)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match='auxiliary_head must be None'):
        build(auxiliary_head=HEAD)
    with pytest.raises(ValueError, match='scales must be positive'):
        build(scales=(1., 0.))
