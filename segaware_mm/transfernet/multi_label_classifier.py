"""Which labels has an image? A classifier of several labels, and its activation maps.

TransferNet's test asks a network of its own for the labels of an image (Hong et al.,
CVPR 2016); one sigmoid a label, threshold 0.6. The weights of the label over the last
map say where it was seen: class activation maps (Zhou, Khosla, Lapedriza, Oliva,
Torralba, CVPR 2016), the usual baseline of segmentation from image labels::

    score_l = sigmoid(mean_i <w_l, a_i> + b_l),     M_l(i) = <w_l, a_i>

Shapes: B images, N labels (ids 1..N), C channels, h x w map, H x W image.
"""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..ops.checks import check_choice, check_number
from .image_frame import image_size, to_image
from .label_merge import LabelMerge, check_labels, choose_labels
from .pairs import labels_of
from .switched_maps import SwitchedMaps

SOURCES = ('classifier', 'gt')
POOLINGS = ('avg', 'max')
#: Activation maps that are brought to the image at once.
CHUNK = 8


@MODELS.register_module()
class MultiLabelClassifier(BaseSegmentor):
    """A backbone, one linear layer, global pooling; binary cross entropy.

    Training reads ``image_labels`` of the metainfo. Labels outside ``label_set``, which
    the sample's data set does not annotate, have no say: a photo of which nobody was
    asked whether it shows a fork is no example without a fork.

    Tests fill ``pred_label_scores`` (N,), and with ``cam`` also ``pred_sem_seg``: where
    the largest activation map of a label that was found, divided by its maximum,
    exceeds ``cam_thr``.

    Args:
        backbone (dict): Any that returns maps, or :class:`SwitchedMaps`.
        num_classes (int): N + 1, with the background.
        in_channels (int): C.
        in_index (int): Of a list of maps, the one that is read.
        channels (int | None): Of a 3x3 convolution with ReLU before the linear layer;
            None for none.
        dropout_ratio (float): Before the linear layer.
        pooling (str): 'avg' or 'max' of the map of every label.
        loss_weight (float): Of the loss.
        cam (bool): Segment by activation maps.
        cam_thr (float): Share of a map's maximum above which a pixel is the label's.
        label_source (str): Of ``cam``: 'classifier' or 'gt', as in
            :class:`TransferNet`.
        label_thr, eval_labels: As in :class:`TransferNet`.
        data_preprocessor, init_cfg: As in ``BaseSegmentor``. ``init_cfg=dict(type=
            'Pretrained', checkpoint=...)`` loads a trained classifier, with
            ``prefix='classifier.'`` out of a TransferNet's checkpoint.
        train_cfg, test_cfg (dict | None): Kept; nothing in them is read.

    Raises:
        TypeError, ValueError: A value out of its range.
    """

    def __init__(self,
                 backbone: dict,
                 num_classes: int,
                 in_channels: int,
                 in_index: int = -1,
                 channels: Optional[int] = None,
                 dropout_ratio: float = 0.,
                 pooling: str = 'avg',
                 loss_weight: float = 1.,
                 cam: bool = False,
                 cam_thr: float = 0.2,
                 label_source: str = 'classifier',
                 label_thr: float = 0.6,
                 eval_labels: Optional[Sequence[int]] = None,
                 data_preprocessor: Optional[dict] = None,
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Optional[Any] = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        check_number('num_classes', num_classes, 2, integer=True)
        check_choice('pooling', pooling, POOLINGS)
        check_choice('label_source', label_source, SOURCES)
        check_number('loss_weight', loss_weight, 0)
        check_number('cam_thr', cam_thr, 0, 1)
        check_number('label_thr', label_thr, 0, 1)
        self.backbone = MODELS.build(backbone)
        self.num_classes = num_classes
        self.num_labels = num_classes - 1
        self.in_index = in_index
        self.conv = None
        if channels is not None:
            self.conv = nn.Sequential(nn.Conv2d(in_channels, channels, 3, padding=1),
                                      nn.ReLU(inplace=True))
            in_channels = channels
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.label_layer = nn.Conv2d(in_channels, self.num_labels, 1)
        self.pooling = pooling
        self.loss_weight = loss_weight
        self.cam = cam
        self.cam_thr = cam_thr
        self.label_source = label_source
        self.label_thr = label_thr
        self.eval_labels = check_labels(eval_labels, self.num_labels)
        self.align_corners = False
        self.train_cfg, self.test_cfg = train_cfg, test_cfg

    def init_weights(self) -> None:
        """Initialise; the layer of the labels by N(0, 0.01)."""
        if not self.is_init:
            nn.init.normal_(self.label_layer.weight, std=0.01)
            nn.init.zeros_(self.label_layer.bias)
        super().init_weights()

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Return the map (B, C, h, w) that the linear layer reads."""
        maps = self.backbone(inputs)
        if isinstance(maps, SwitchedMaps):
            maps = maps.feature
        elif isinstance(maps, (list, tuple)):
            maps = maps[self.in_index]
        return maps if self.conv is None else self.conv(maps)

    def label_logits(self, features: Tensor) -> Tensor:
        """Return logits (B, N), float32, of a map (B, C, h, w)."""
        maps = self.label_layer(self.dropout(features)).float()
        return maps.mean((2, 3)) if self.pooling == 'avg' else maps.amax((2, 3))

    def label_scores(self, inputs: Tensor) -> Tensor:
        """Return scores (B, N) in [0, 1] of inputs (B, 3, H', W')."""
        return self.label_logits(self.extract_feat(inputs)).sigmoid()

    def loss(self, inputs: Tensor, data_samples: List[SegDataSample]
             ) -> Dict[str, Tensor]:
        """Return the loss: the mean over the labels that are annotated.

        Raises:
            KeyError, ValueError: A sample without labels, or with unknown ones; names
                the image.
        """
        metas = [sample.metainfo for sample in data_samples]
        targets, known = label_targets(metas, self.num_labels)
        logits = self.label_logits(self.extract_feat(inputs))
        targets, known = targets.to(logits), known.to(logits)
        each = F.binary_cross_entropy_with_logits(logits, targets, reduction='none')
        loss = (each * known).sum() / known.sum().clamp(min=1)
        return dict(loss_label=self.loss_weight * loss)

    @torch.no_grad()
    def predict(self, inputs: Tensor,
                data_samples: Optional[List[SegDataSample]] = None
                ) -> List[SegDataSample]:
        """Return the samples with their scores, and with ``cam`` their ids."""
        if data_samples is None:
            data_samples = [SegDataSample() for _ in inputs]
        features = self.extract_feat(inputs)
        scores = self.label_logits(features).sigmoid()
        for row, sample in enumerate(data_samples):
            sample.set_data(dict(pred_label_scores=scores[row]))
            if self.cam:
                labels = self.find_labels(scores[row], sample.metainfo)
                found = self.segment(features[row:row + 1], labels,
                                     tuple(inputs.shape[2:]), sample.metainfo)
                sample.set_data(dict(pred_sem_seg=PixelData(data=found[None])))
        return data_samples

    def find_labels(self, scores: Tensor, meta: Mapping[str, Any],
                    source: Optional[str] = None) -> List[int]:
        """Return the ids of the labels of an image.

        Args:
            scores: (N,).
            meta: Of the sample.
            source: In place of ``label_source``.
        """
        if (source or self.label_source) == 'gt':
            found = labels_of(meta, self.num_labels, sampled=False)
            return sorted(set(found) & set(self.eval_labels))
        return choose_labels(scores, self.label_thr, self.eval_labels)

    def segment(self, feature: Tensor, labels: Sequence[int],
                input_size: Sequence[int], meta: Mapping[str, Any]) -> Tensor:
        """Return the ids (H, W) of an image by the activation maps of its labels.

        Args:
            feature: (1, C, h, w).
            labels: Its ids.
            input_size: (H', W') of the inputs.
            meta: Of the sample.
        """
        merge = LabelMerge(image_size(input_size, meta), feature.device)
        for start in range(0, len(labels), CHUNK):
            ids = list(labels[start:start + CHUNK])
            share = self.activation_maps(feature, ids, input_size, meta)
            merge.add(share * (share > self.cam_thr), ids)
        return merge.label

    def activation_maps(self, feature: Tensor, labels: Sequence[int],
                        input_size: Sequence[int], meta: Mapping[str, Any]) -> Tensor:
        """Return maps (K, H, W) in [0, 1] of an image's labels, the maximum 1.

        Negative activations are 0; a map without positive ones is 0.
        """
        rows = torch.as_tensor(labels, device=feature.device) - 1
        maps = F.conv2d(feature, self.label_layer.weight[rows]).float()
        maps = to_image(maps.transpose(0, 1), input_size, meta)[:, 0].relu()
        top = maps.amax((1, 2), keepdim=True)
        return maps / top.masked_fill(top == 0, 1)

    # ------------------------------------------------------------ mmseg's interface

    def encode_decode(self, inputs: Tensor, batch_img_metas: List[dict]) -> Tensor:
        """Return activation maps (B, N + 1, H', W'), the background ``cam_thr``."""
        features = self.extract_feat(inputs)
        size = tuple(inputs.shape[2:])
        labels = list(range(1, self.num_classes))
        maps = [self.activation_maps(one[None], labels, size, {}) for one in features]
        return F.pad(torch.stack(maps), (0, 0, 0, 0, 1, 0), value=self.cam_thr)

    def _forward(self, inputs: Tensor,
                 data_samples: Optional[List[SegDataSample]] = None) -> Tensor:
        """Return the logits (B, N) of the labels, for mode 'tensor'."""
        return self.label_logits(self.extract_feat(inputs))


def label_targets(metas: Sequence[Mapping[str, Any]], num_labels: int
                  ) -> Tuple[Tensor, Tensor]:
    """Return which labels are there and which are known, (B, N) of 0 and 1 each.

    A label that is there is known, whatever ``label_set`` says; without
    ``label_set`` all are.

    Raises:
        KeyError, ValueError: As :func:`segaware_mm.transfernet.pairs.labels_of`.
    """
    there = torch.zeros(len(metas), num_labels)
    known = torch.zeros(len(metas), num_labels)
    for row, meta in enumerate(metas):
        for one in labels_of(meta, num_labels, sampled=False):
            there[row, one - 1] = 1
        if meta.get('label_set') is None:
            known[row] = 1
        else:
            for one in meta['label_set']:
                if 1 <= int(one) <= num_labels:
                    known[row, int(one) - 1] = 1
    return there, torch.maximum(there, known)
