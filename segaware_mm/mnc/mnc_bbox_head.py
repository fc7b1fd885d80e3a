"""Stage 3: class and box of every RoI, from its features with and without mask.

Dai, He, Sun (CVPR 2016), section 3.3. Shapes: R RoIs of S x S pixels and C
channels, N classes; the background is the last one, as in mmdet.
"""

from typing import Any, Dict, Optional, Tuple

import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional

from ..utils.vgg_fc import load_vgg_fc


class FcPath(nn.Module):
    """2x2 max pool and two fully connected layers, (R, C, S, S) -> (R, F).

    Args:
        in_channels: C.
        roi_size: S, even.
        width: F.
        dropout_ratio: Behind both layers.
    """

    def __init__(self, in_channels: int, roi_size: int, width: int,
                 dropout_ratio: float = 0.) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_channels * (roi_size // 2)**2, width)
        self.fc7 = nn.Linear(width, width)
        self.dropout_ratio = dropout_ratio

    def forward(self, x: Tensor) -> Tensor:
        """Return (R, F)."""
        x = functional.max_pool2d(x, 2) if len(x) else x[..., ::2, ::2]
        x = x.flatten(1)
        for layer in (self.fc6, self.fc7):
            x = functional.dropout(functional.relu(layer(x)), self.dropout_ratio,
                                   self.training)
        return x


@MODELS.register_module()
class MNCBBoxHead(BBoxHead):
    """Two paths of fully connected layers, joined; three classifiers on them.

    The box path reads the RoI, the mask path the RoI behind its mask. On both
    stand the mask-level classifier, whose score is the one used in testing, the
    box-level classifier, a help in training alone, and the regression of boxes.

    Args:
        in_channels (int): C.
        roi_feat_size (int): S, even; 14 as published.
        fc_out_channels (int): Width of the paths; 4096 as VGG-16.
        share_paths (bool): Both paths have the same weights; they have their
            own as published.
        use_box_path (bool): False leaves the mask path alone.
        dropout_ratio (float): In the paths; 0 as released.
        loss_seg_cls (dict): Loss of the mask-level classifier.
        pretrained_fc (str | None): A checkpoint with VGG-16's ``classifier.0`` and
            ``classifier.3``, from which both paths start.
        **kwargs: As in mmdet's ``BBoxHead``.
    """

    def __init__(self,
                 in_channels: int = 512,
                 roi_feat_size: int = 14,
                 fc_out_channels: int = 4096,
                 share_paths: bool = False,
                 use_box_path: bool = True,
                 dropout_ratio: float = 0.,
                 loss_seg_cls: dict = dict(  # noqa: B006
                     type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
                 pretrained_fc: Optional[str] = None,
                 **kwargs: Any) -> None:
        if roi_feat_size % 2:
            raise ValueError(f'roi_feat_size must be even, got {roi_feat_size}: a 2x2 '
                             'pool follows.')
        if share_paths and not use_box_path:
            raise ValueError('share_paths=True needs use_box_path=True.')
        width = fc_out_channels * (2 if use_box_path else 1)
        super().__init__(in_channels=width, roi_feat_size=1, **kwargs)
        if not (self.with_cls and self.with_reg):
            raise ValueError('MNCBBoxHead wants with_cls=True and with_reg=True.')
        shape = (in_channels, roi_feat_size, fc_out_channels, dropout_ratio)
        self.mask_path = FcPath(*shape)
        self.box_path = FcPath(*shape) if use_box_path and not share_paths else None
        self.share_paths = share_paths
        self.pretrained_fc = pretrained_fc
        self.loss_seg_cls = MODELS.build(loss_seg_cls)
        self.fc_seg_cls = MODELS.build(dict(
            self.cls_predictor_cfg, in_features=width,
            out_features=self.fc_cls.out_features))
        if kwargs.get('init_cfg') is None:
            self.init_cfg += [
                dict(type='Normal', std=0.01, override=dict(name='fc_seg_cls')),
                dict(type='Xavier', distribution='uniform', override=[
                    dict(name=name) for name, part in self.named_children()
                    if isinstance(part, FcPath)])]

    def init_weights(self) -> None:
        """Initialise, then load VGG-16's layers where a checkpoint is named."""
        super().init_weights()
        if self.pretrained_fc is None:
            return
        for path in self.children():
            if isinstance(path, FcPath):
                load_vgg_fc(self.pretrained_fc, (path.fc6, path.fc7))

    def forward(self, roi_features: Tensor,
                gated: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Classify and regress.

        Args:
            roi_features: (R, C, S, S).
            gated: The same behind the masks.

        Returns:
            Mask-level logits (R, N + 1), box-level logits (R, N + 1), offsets
            (R, 4 N), or (R, 4) with ``reg_class_agnostic``.
        """
        joined = self.mask_path(gated)
        box_path = self.mask_path if self.share_paths else self.box_path
        if box_path is not None:
            joined = torch.cat([joined, box_path(roi_features)], 1)
        return self.fc_seg_cls(joined), self.fc_cls(joined), self.fc_reg(joined)

    def losses(self, outputs: Tuple[Tensor, Tensor, Tensor], rois: Tensor,
               targets: Tuple[Tensor, ...], mask_labels: Tensor) -> Dict[str, Tensor]:
        """Return the three losses and the accuracy.

        Args:
            outputs: Of :meth:`forward`.
            rois: (R, 5).
            targets: Of ``get_targets``: box-level labels, their weights, offsets,
                their weights.
            mask_labels: (R, ) mask-level labels.
        """
        seg_cls, cls, offsets = outputs
        if not len(seg_cls):
            nothing = seg_cls.sum() * 0
            return dict(loss_seg_cls=nothing, loss_cls=cls.sum() * 0,
                        loss_bbox=offsets.sum() * 0)
        found = self.loss(cls.float(), offsets.float(), rois, *targets)
        weights = targets[1]
        found['loss_seg_cls'] = self.loss_seg_cls(
            seg_cls.float(), mask_labels, weights,
            avg_factor=max(float((weights > 0).sum()), 1.))
        return found
