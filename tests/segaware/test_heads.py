"""Embedding, hypercolumn, aware and refining heads, in upstream segmentors."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from segaware_mm.segaware.convert import convert_to_segaware
from segaware_mm.segaware.label_maps import shrink_labels
from segaware_mm.segaware.seg_aware_conv import SegAwareConv2d

BN = dict(type='BN', requires_grad=True)
RESNET = dict(type='ResNet', depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1),
              out_indices=(0, 1), base_channels=8, stem_channels=8, norm_cfg=BN)
COLORS = dict(type='ColorEmbedding', color_scale=1.)
SMALL = dict(mean_field=dict(bilateral_kernel=3, bilateral_dilation=2,
                             embedding_scale=1.),
             filters=dict(kernel_size=3, hardness=1.))


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def fcn(**kwargs):
    return dict(dict(type='FCNHead', in_channels=16, in_index=1, channels=6,
                     num_convs=1, concat_input=False, dropout_ratio=0, num_classes=4,
                     norm_cfg=BN, align_corners=True), **kwargs)


def embedding_head(**kwargs):
    return dict(dict(type='EmbeddingHead', in_channels=(8, 16), in_index=(0, 1),
                     channels=5), **kwargs)


def segmentor(head, backbone=RESNET, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(
        type='EncoderDecoder', backbone=backbone, decode_head=head,
        train_cfg=dict(), test_cfg=ConfigDict(mode='whole'),
        data_preprocessor=dict(type='SegDataPreProcessor'), **kwargs))


def samples(batch=2, size=(32, 40)):
    out = []
    for k in range(batch):
        label = torch.zeros(1, *size, dtype=torch.int64)
        label[..., 12 + k:] = 2
        label[:, :4] = 255
        out.append(SegDataSample(
            gt_sem_seg=PixelData(data=label),
            metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size)))
    return out


def image(batch=2, size=(32, 40), seed=0):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def train_step(model):
    """Losses and the parameters that got no gradient."""
    losses = model.train().loss(image(), samples())
    sum(v.sum() for k, v in losses.items() if 'loss' in k).backward()
    idle = [name for name, p in model.named_parameters()
            if p.requires_grad and p.grad is None]
    return losses, idle


def test_embedding_head_as_auxiliary_head():
    model = segmentor(fcn(), auxiliary_head=embedding_head())
    losses, idle = train_step(model)
    assert losses['aux.loss_embed'] > 0 and not idle
    assert model.auxiliary_head(model.extract_feat(image())).shape == (2, 5, 8, 10)


def test_embedding_head_trains_at_the_labels_size_if_wanted():
    small, full = (segmentor(embedding_head(full_size=f)) for f in (False, True))
    for model in (small, full):
        losses, idle = train_step(model)
        assert set(losses) == {'decode.loss_embed'} and not idle
    assert small.loss(image(), samples()) != full.loss(image(), samples())


def test_pretraining_an_embedding_keeps_its_name_in_the_nets_that_use_it():
    net = dict(type='EmbeddingNet', backbone=RESNET, in_channels=(8, 16), channels=5)
    alone = segmentor(dict(type='EmbeddingHead', in_channels=5, in_index=0, channels=5,
                           project=False),
                      dict(type='SegAwareBackbone', embedding=net))
    losses, idle = train_step(alone)
    assert losses['decode.loss_embed'] > 0 and not idle
    user = segmentor(fcn(), dict(type='SegAwareBackbone', embedding=net,
                                 backbone=RESNET))
    trained = {k for k in alone.state_dict() if 'embedding' in k}
    assert trained and trained <= set(user.state_dict())


def test_hypercolumn_head():
    model = segmentor(dict(type='HypercolumnHead', in_channels=(8, 16), in_index=(0, 1),
                           channels=6, num_classes=4, norm_cfg=BN,
                           align_corners=True))
    losses, idle = train_step(model)
    assert losses['decode.loss_ce'] > 0 and not idle
    assert model.eval()(image()).shape == (2, 4, 8, 10)


AWARE = dict(conv_cfg=dict(type='SegAwareConv2d', hardness=.2))


def aware_head(**kwargs):
    return dict(dict(type='SegAwareHead', head=fcn(**AWARE), embedding=embedding_head(),
                     loss_embed=dict(type='EmbeddingLoss', loss_weight=.1)), **kwargs)


def test_an_upstream_head_turns_aware_by_conv_cfg():
    model = segmentor(aware_head())
    losses, idle = train_step(model)
    assert set(losses) == {'decode.loss_ce', 'decode.acc_seg', 'decode.loss_embed'}
    assert not idle
    hardness = model.decode_head.head.convs[0].conv.hardness
    assert hardness.grad.any()
    result = model.eval().predict(image(), samples())
    assert result[0].pred_sem_seg.data.shape == (1, 32, 40)


def test_hardness_zero_is_the_plain_head():
    plain = segmentor(fcn()).eval()
    aware = segmentor(aware_head(
        head=fcn(conv_cfg=dict(type='SegAwareConv2d', hardness=0.)))).eval()
    state = {k.replace('decode_head.', 'decode_head.head.'): v
             for k, v in plain.state_dict().items()}
    missing, unexpected = aware.load_state_dict(state, strict=False)
    assert not unexpected and all('source' in k for k in missing)
    assert torch.equal(aware(image()), plain(image()))


def test_two_images_are_two_batches_of_one():
    model = segmentor(aware_head()).eval()
    both = model(image())
    torch.testing.assert_close(
        both, torch.cat([model(image()[:1]), model(image()[1:])]))


def test_a_head_without_aware_convolutions_is_refused():
    with pytest.raises(ValueError, match='has no segmentation-aware convolution'):
        segmentor(aware_head(head=fcn()))
    model = segmentor(aware_head(head=fcn(), convert='all'))
    assert isinstance(model.decode_head.head.convs[0].conv, SegAwareConv2d)


def backbone(**kwargs):
    return dict(dict(type='SegAwareBackbone', embedding=COLORS, backbone=RESNET),
                **kwargs)


def test_a_converted_backbone_feeds_plain_and_aware_heads():
    model = segmentor(dict(type='SegAwareHead', head=fcn(**AWARE)),
                      backbone(convert='all', conv_options=dict(hardness=.1)))
    aware = [m for m in model.modules() if isinstance(m, SegAwareConv2d)]
    assert len(aware) == 10  # 9 of the backbone's 3x3, and the head's
    losses, idle = train_step(model)
    assert not idle and all(m.hardness.grad.any() for m in aware)
    plain = segmentor(fcn(), backbone(convert='all'))
    assert plain.eval()(image()).shape == (2, 4, 4, 5)


def test_a_frozen_backbone_stays_as_it_is():
    model = segmentor(fcn(), backbone(frozen_backbone=True))
    before = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    train_step(model)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize('build', [
    lambda: MODELS.build(backbone(conv_options=dict(hardness=.1))),
    lambda: segmentor(aware_head(conv_options=dict(hardness=.1)))])
def test_options_without_a_conversion_are_refused(build):
    with pytest.raises(ValueError, match='conv_options are for converted layers'):
        build()


def test_the_offsets_of_deformable_layers_stay_plain():
    net = torch.nn.ModuleDict(dict(
        conv_offset=torch.nn.Conv2d(3, 18, 3, padding=1),
        conv=torch.nn.Conv2d(3, 3, 3, padding=1)))
    assert convert_to_segaware(net) == ['conv']


def test_the_backbone_checks_what_it_converts():
    with pytest.raises(ValueError, match="convert must be None, 'all'"):
        segmentor(fcn(), backbone(convert='some'))
    with pytest.raises(ValueError, match='convert needs a backbone'):
        segmentor(fcn(), backbone(convert='all', backbone=None))


@pytest.mark.parametrize('frozen', [True, False])
def test_a_refined_head(frozen):
    model = segmentor(dict(type='SegAwareRefiner', head=fcn(), frozen=frozen, **SMALL),
                      backbone())
    losses, idle = train_step(model)
    assert not idle and 'decode.loss_refined' in losses
    assert ('decode.loss_ce' in losses) is not frozen
    assert any(p.requires_grad for p in model.decode_head.head.parameters()) \
        is not frozen
    assert model.eval()(image()).shape == (2, 4, 32, 40)
    assert model.predict(image(), samples())[1].seg_logits.data.shape == (4, 32, 40)


def refined(**kwargs):
    torch.manual_seed(0)
    inner = dict(type='EncoderDecoder', backbone=RESNET, decode_head=fcn(),
                 train_cfg=dict(), test_cfg=ConfigDict(mode='whole'),
                 data_preprocessor=dict(type='SegDataPreProcessor'))
    return MODELS.build(dict(dict(
        type='SegAwareRefinedSegmentor', segmentor=inner, embedding=COLORS, **SMALL),
        **kwargs))


@pytest.mark.filterwarnings('ignore:a frozen segmentor')
@pytest.mark.parametrize('frozen', [True, False])
def test_a_refined_segmentor(frozen):
    model = refined(frozen=frozen)
    losses, idle = train_step(model)
    assert not idle and ('decode.loss_ce' in losses) is not frozen
    model.eval()
    assert model(image()).shape == (2, 4, 32, 40)
    assert model.predict(image(), samples())[0].pred_sem_seg.data.shape == (1, 32, 40)
    model.test_cfg = ConfigDict(mode='slide', crop_size=(24, 24), stride=(16, 16))
    assert model.predict(image(), samples())[0].pred_sem_seg.data.shape == (1, 32, 40)


def test_a_refined_segmentor_loads_its_weights(tmp_path):
    trained = segmentor(fcn())
    path = str(tmp_path / 'trained.pth')
    torch.save(dict(state_dict=trained.state_dict()), path)
    model = refined(checkpoint=path)
    model.init_weights()
    for name, value in trained.state_dict().items():
        assert torch.equal(model.segmentor.state_dict()[name], value), name


HEADS = {
    'a tuple (DAHead)': dict(type='DAHead', in_channels=16, in_index=1, channels=6,
                             pam_channels=4, num_classes=4, norm_cfg=BN),
    'forward_all (RANetHead)': dict(
        type='RANetHead', in_channels=(8, 16), in_index=(0, 1), channels=8,
        num_classes=4, norm_cfg=BN)}


@pytest.mark.parametrize('head', HEADS.values(), ids=HEADS)
def test_heads_whose_outputs_are_more_than_logits_are_refined(head):
    model = segmentor(dict(type='SegAwareRefiner', head=head, **SMALL), backbone())
    plain = segmentor(head, backbone())
    losses, _ = train_step(model)
    assert set(train_step(plain)[0]) < set(losses)
    assert model.predict(image(), samples())[0].pred_sem_seg.data.shape == (1, 32, 40)


@pytest.mark.filterwarnings('ignore:a frozen segmentor')
@pytest.mark.parametrize('head', HEADS.values(), ids=HEADS)
def test_refining_an_unfrozen_segmentor_runs_it_once(head, monkeypatch):
    """Its batch norms saw every batch twice."""
    model = refined(frozen=False, segmentor=dict(
        type='EncoderDecoder', backbone=RESNET, decode_head=head, train_cfg=dict(),
        test_cfg=ConfigDict(mode='whole')))
    losses, _ = train_step(model)
    seen = {name: int(value) for name, value in model.state_dict().items()
            if name.endswith('num_batches_tracked')}
    assert seen and set(seen.values()) == {1}
    plain = segmentor(head)
    wanted = train_step(plain)[0]
    assert set(wanted) <= set(losses)


def test_a_later_head_of_a_cascade_is_refined_or_aware():
    ocr = dict(type='OCRHead', in_channels=16, in_index=1, channels=6, ocr_channels=4,
               num_classes=4, norm_cfg=BN, align_corners=True)
    for last in (dict(type='SegAwareRefiner', head=ocr, **SMALL),
                 dict(type='SegAwareHead', head=dict(ocr, **AWARE))):
        torch.manual_seed(0)
        model = MODELS.build(dict(
            type='CascadeEncoderDecoder', num_stages=2, backbone=backbone(),
            decode_head=[fcn(), last], train_cfg=dict(),
            test_cfg=ConfigDict(mode='whole'),
            data_preprocessor=dict(type='SegDataPreProcessor')))
        losses, idle = train_step(model)
        assert not idle and {'decode_0.loss_ce', 'decode_1.loss_ce'} <= set(losses)
        assert model.predict(image(), samples())[0].pred_sem_seg.data.shape == \
            (1, 32, 40)


def test_an_aware_head_is_refined():
    model = segmentor(dict(type='SegAwareRefiner', head=aware_head(), **SMALL),
                      backbone())
    losses, idle = train_step(model)
    assert not idle
    assert {'decode.loss_ce', 'decode.loss_embed', 'decode.loss_refined'} <= set(losses)
    assert model.predict(image(), samples())[0].pred_sem_seg.data.shape == (1, 32, 40)
    both = segmentor(dict(type='SegAwareRefiner', **SMALL, head=dict(
        type='SegAwareHead', head=fcn(**AWARE))), backbone())
    assert not train_step(both)[1]


def test_a_head_inside_does_not_see_the_embedding():
    """Its default, the last input, was the embedding."""
    head = fcn(**AWARE)
    head.pop('in_index')
    model = segmentor(dict(type='SegAwareHead', head=head), backbone())
    assert not train_step(model)[1]


def test_an_aware_head_of_1x1_layers_alone_is_refused():
    with pytest.raises(ValueError, match='has no segmentation-aware convolution'):
        segmentor(aware_head(head=fcn(kernel_size=1, **AWARE)))


def test_the_embedding_may_stay_inside_the_backbone():
    plain = backbone(convert='all', output_embedding=False)
    model = MODELS.build(plain)
    assert len(model(image())) == 2 and len(MODELS.build(backbone())(image())) == 3
    neck = dict(type='FPN', in_channels=[8, 16], out_channels=8, num_outs=2)
    assert segmentor(fcn(in_channels=8), plain, neck=neck)(image()).shape[1] == 4
    with pytest.raises(ValueError, match='output_embedding=False needs a backbone'):
        MODELS.build(backbone(backbone=None, output_embedding=False))


def test_a_backbone_with_one_map_that_is_no_tuple():
    """The batch was taken apart."""
    model = MODELS.build(backbone())
    inner = model.backbone.forward
    model.backbone.forward = lambda x: inner(x)[-1]
    maps = model(image())
    assert len(maps) == 2 and len(maps[0]) == 2
    model.backbone.forward = lambda x: dict(x=x)
    with pytest.raises(TypeError, match='ResNet must return a map or a tuple of maps'):
        model(image())


def test_one_channel_is_refined_as_two_classes():
    """A softmax over the one channel made every message the same."""
    one = fcn(num_classes=2, out_channels=1, loss_decode=dict(
        type='CrossEntropyLoss', use_sigmoid=True))
    model = segmentor(dict(type='SegAwareRefiner', head=one, **SMALL), backbone())
    for sample in (marked := samples()):
        sample.gt_sem_seg.data[sample.gt_sem_seg.data == 2] = 1
    losses = model.train().loss(image(), marked)
    assert losses['decode.loss_refined'] > 0 and losses['decode.acc_refined'] <= 100.001
    head = model.eval().decode_head
    maps = model.extract_feat(image())
    logits = head.head(maps)
    both = torch.cat([torch.zeros_like(logits), logits], 1)
    pair = head.refinement(both, maps[-1])
    got = head(maps)
    assert got.shape[1] == 1
    torch.testing.assert_close(got.sigmoid(), pair.softmax(1)[:, 1:])
    assert model.predict(image(), marked)[0].pred_sem_seg.data.shape == (1, 32, 40)


def test_labels_meet_the_embedding_at_its_corners():
    """Labels were taken at the upper left of where the embedding is read."""
    labels = torch.arange(9).expand(1, 9, 9)
    assert shrink_labels(labels, (5, 5))[0, 0].tolist() == [0, 2, 4, 6, 8]
    assert shrink_labels(labels, (9, 4))[0, 0].tolist() == [0, 3, 5, 8]
    assert shrink_labels(labels, (1, 1)).tolist() == [[[0]]]
    assert shrink_labels(labels, (9, 9)) is labels
    assert shrink_labels(labels[..., :2], (3, 3))[0, 0].tolist() == [0, 1, 1]


def test_nothing_to_refine_is_an_error():
    with pytest.raises(ValueError, match='mean_field and filters are both None'):
        segmentor(dict(type='SegAwareRefiner', head=fcn(), mean_field=None,
                       filters=None), backbone())


def test_an_embedding_that_is_not_there_is_named():
    model = segmentor(dict(type='SegAwareHead', head=fcn(**AWARE), embedding=5))
    with pytest.raises(ValueError, match='embedding=5 names none of the 2 inputs'):
        model(image())
    with pytest.raises(ValueError, match='frozen embedding cannot have a loss'):
        segmentor(aware_head(frozen_embedding=True))


def test_converted_upstream_heads_keep_working():
    head = MODELS.build(dict(type='ASPPHead', in_channels=16, in_index=1, channels=6,
                             dilations=(1, 2), num_classes=3, norm_cfg=BN,
                             align_corners=True))
    assert len(convert_to_segaware(head)) == 2
