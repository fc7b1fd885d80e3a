"""Small TransferNets and their batches."""

from typing import Any, Optional, Sequence

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

#: Channels of the stages of a narrow VGG-16; the last one is in_channels.
NARROW = (3, 4, 5, 6, 6)
#: Labels of the small models.
LABELS = 4
ENCODER = dict(type='VGG16Switch', channels=NARROW)
HEAD = dict(
    type='TransferNetHead', num_classes=LABELS + 1, in_channels=6,
    classifier_channels=7,
    attention=dict(type='LabelAttention', att_type='conv', embed_channels=8,
                   feat_scale=1.),
    decoder=dict(type='UnpoolDecoder',
                 channels=((6, ), (6, 5), (5, 4), (4, 3), (3, ))))
CLASSIFIER = dict(type='MultiLabelClassifier', backbone=ENCODER, in_channels=6,
                  num_classes=LABELS + 1)


def build(cfg: dict, seed: int = 0, init: bool = True) -> Any:
    """Return the model of a config, with weights of a seed."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg)
    if init:
        with torch.no_grad():  # weights that let a signal through 20 narrow layers
            for name, parameter in model.named_parameters():
                if parameter.dim() > 1:
                    torch.nn.init.kaiming_normal_(parameter)
                elif name.endswith('bias'):
                    parameter.zero_()
    return model


def head_cfg(**changes: Any) -> dict:
    """Return the head's config; a dict in ``changes`` is merged."""
    out = dict(HEAD)
    for key, value in changes.items():
        out[key] = {**out[key], **value} if isinstance(value, dict) and key in out \
            else value
    return out


def net(seed: int = 0, head: Optional[dict] = None, **changes: Any) -> Any:
    """Return a small TransferNet; labels are given unless told otherwise."""
    cfg = dict(type='TransferNet', backbone=ENCODER, decode_head=head_cfg(**(head or {})),
               label_source='gt')
    return build({**cfg, **changes}, seed)


def images(batch: int = 2, size: Sequence[int] = (32, 32), seed: int = 0) -> Tensor:
    """Return (B, 3, H, W)."""
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def sample(labels: Optional[Sequence[int]] = None, seg: Any = None,
           size: Sequence[int] = (32, 32), **meta: Any) -> SegDataSample:
    """Return a data sample.

    Args:
        labels: Ids; none in the metainfo where None.
        seg: Map (H, W), or 'squares': one of every label, the rest background; None
            for all ignored.
        size: Of the image.
        **meta: Further metainfo.
    """
    meta.setdefault('ori_shape', tuple(size))
    meta.setdefault('img_path', 'photo.jpg')
    if labels is not None:
        meta['image_labels'] = np.array(labels, np.int64)
    if isinstance(seg, str):
        seg = torch.zeros(*size, dtype=torch.int64)
        for k, one in enumerate(labels):
            seg[2:size[0] // 2, 2 + 8 * k:8 + 8 * k] = one
        seg[-2:] = 255
    if seg is None:
        seg = torch.full(tuple(size), 255)
    out = SegDataSample(metainfo=meta)
    out.gt_sem_seg = PixelData(data=torch.as_tensor(seg)[None])
    return out


def batch_of(*labels: Sequence[int], seg: Any = 'squares') -> list:
    """Return a sample with squares for each list of labels."""
    return [sample(one, seg) for one in labels]


def total(losses: dict) -> Tensor:
    """Return the sum of the losses."""
    return sum(value for key, value in losses.items() if 'loss' in key)

