"""ASPPNeck: HRNet's maps joined, and a pyramid over them."""

import pytest
import torch

pytest.importorskip('mmseg')

from mmseg.registry import MODELS  # noqa: E402

import segaware_mm.ranet.aspp_neck  # noqa: E402, F401


def build(**changes):
    return MODELS.build({**dict(
        type='ASPPNeck', in_channels=(4, 8, 16), channels=6, dilations=(1, 2, 3),
        norm_cfg=dict(type='BN'), join_index=1), **changes})


def maps(batch=2, size=12):
    torch.manual_seed(0)
    return [torch.rand(batch, 4 * 2**k, size >> k, (size + 4) >> k)
            for k in range(3)]


@pytest.mark.parametrize('join_index, size', [(0, (12, 16)), (1, (6, 8)), (2, (3, 4))])
def test_shapes(join_index, size):
    neck = build(join_index=join_index)
    joined, pyramid = neck(maps())
    assert joined.shape == (2, 28, *size)
    assert pyramid.shape == (2, 24, *size)
    assert (joined.shape[1], pyramid.shape[1]) == neck.out_channels


def test_the_joined_map_keeps_the_map_of_its_own_size():
    inputs = maps()
    joined, _ = build()(inputs)
    assert torch.equal(joined[:, 4:12], inputs[1])
    flat = [torch.full_like(x, k) for k, x in enumerate(inputs)]
    joined, _ = build()(flat)
    assert joined.mean((0, 2, 3)).tolist() == [0.] * 4 + [1.] * 8 + [2.] * 16


def test_the_first_branch_is_the_mean_of_the_image():
    neck = build(norm_cfg=None).eval()
    inputs = maps()
    joined, pyramid = neck(inputs)
    conv = neck.image_mean[1].conv
    wanted = (conv(joined.mean((2, 3), keepdim=True))).relu()
    assert torch.allclose(pyramid[:, :6], wanted.expand(-1, -1, 6, 8), atol=1e-6)


def test_every_branch_sees_as_far_as_its_dilation():
    neck = build(norm_cfg=None, in_channels=(4, ), join_index=0,
                 dilations=(1, 3)).eval()
    x = torch.rand(1, 4, 9, 9, requires_grad=True)
    _, pyramid = neck([x])
    seen = [torch.autograd.grad(pyramid[0, k:k + 6, 4, 4].sum(), x,
                                retain_graph=True)[0][0].abs().sum(0) > 0
            for k in (6, 12)]
    assert set(map(tuple, seen[0].nonzero().tolist())) <= {(4, 4)}
    assert seen[1].any()
    assert set(map(tuple, seen[1].nonzero().tolist())) <= {
        (y, x) for y in (1, 4, 7) for x in (1, 4, 7)}


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match='join_index.*0..2.*got 3'):
        build(join_index=3)
    with pytest.raises(ValueError, match=r'neck.in_channels'):
        build()(maps()[:2])


def test_no_activation_where_none_is_asked_for():
    _, plain = build(act_cfg=None)(maps())
    _, rectified = build()(maps())
    assert plain.min() < 0 <= rectified.min()
