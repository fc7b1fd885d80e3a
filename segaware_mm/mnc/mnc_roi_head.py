"""Stages 2 to 5 of the cascade: masks, then classes and boxes, and again.

Dai, He, Sun (CVPR 2016). One pass is

    RoI -> warp -> mask -> gate -> mask-level class, box-level class, box offsets

and the bridge turns offsets into the RoIs of the next pass; two passes with
shared weights are the five stages (the RPN is the first). Shapes: B images, R
RoIs of all images, C channels, S x S RoI pixels, m x m masks, N classes, the
background last.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmdet.models.roi_heads.base_roi_head import BaseRoIHead
from mmdet.models.task_modules.samplers import OHEMSampler, ScoreHLRSampler
from mmdet.models.utils import unpack_gt_instances
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures.bbox import bbox2roi
from mmengine.model import ModuleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..ops.instance_targets import mask_level_labels, mask_target
from ..ops.roi_warp import mask_gate
from .bridge import clipped, refined_boxes
from .instances import voted_instances
from .sampled_rois import SampledRoIs, sample_refined, sample_rois, with_area


class PassOutput(NamedTuple):
    """What one pass finds.

    Attributes:
        rois: (R, 5).
        mask_logits: (R, 1, m, m).
        seg_cls: (R, N + 1) mask-level logits.
        cls: (R, N + 1) box-level logits.
        offsets: (R, 4 N) or (R, 4).
    """
    rois: Tensor
    mask_logits: Tensor
    seg_cls: Tensor
    cls: Tensor
    offsets: Tensor


@MODELS.register_module()
class MNCRoIHead(BaseRoIHead):
    """The cascade behind the proposals, in any two-stage detector of mmdet.

    Args:
        bbox_roi_extractor (dict): :class:`RoIWarpExtractor`; another one of mmdet
            has no gradient for the boxes, and then the stages learn apart.
        mask_head (dict): :class:`MNCMaskHead`.
        bbox_head (dict): :class:`MNCBBoxHead`.
        num_passes (int): 1 trains three stages, 2 five, as published.
        share_pass_weights (bool): All passes have the same weights, as published.
        pass_loss_weights (Sequence[float]): Factor of the losses of each pass.
        detach_bridge (bool): No gradient through the boxes of a later pass.
        bridge_with_background (bool): See :func:`bridge.refined_boxes`.
        mask_label_iou (float): A positive RoI keeps its class at mask level if its
            mask has at least this IoU with the object's.
        mask_label_thr (float): From this probability on a pixel is in the mask.
        gate_align (str): See :func:`segaware_mm.ops.roi_warp.mask_gate`.
        gate_background_grad (bool): Let the classifiers' gradient through the masks
            of RoIs whose mask-level label is background; not so as released.
        train_cfg (dict): ``assigner`` and ``sampler`` of the first pass,
            ``pos_weight``; optionally ``refined_assigner`` of the later ones, in
            which all RoIs and all true boxes take part.
        test_cfg (dict): ``max_per_img``, ``nms`` (``iou_threshold``),
            ``mask_thr_binary``, and optionally ``merge_iou`` (0.5), ``vote``
            (True), ``soft_paste`` (True), ``num_passes``, ``score_thr`` (0),
            ``roi_chunk`` (64 RoIs are warped at a time).
    """

    def __init__(self,
                 bbox_roi_extractor: dict,
                 mask_head: dict,
                 bbox_head: dict,
                 num_passes: int = 2,
                 share_pass_weights: bool = True,
                 pass_loss_weights: Sequence[float] = (1., 1.),
                 detach_bridge: bool = False,
                 bridge_with_background: bool = False,
                 mask_label_iou: float = 0.5,
                 mask_label_thr: float = 0.4,
                 gate_align: str = 'center',
                 gate_background_grad: bool = False,
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        if num_passes < 1:
            raise ValueError(f'num_passes must be at least 1, got {num_passes}.')
        if len(pass_loss_weights) < num_passes:
            raise ValueError(f'pass_loss_weights must have {num_passes} numbers, one '
                             f'for each pass, got {list(pass_loss_weights)}.')
        self.num_passes = num_passes
        self.copies = 1 if share_pass_weights else num_passes
        self.pass_loss_weights = tuple(pass_loss_weights)
        super().__init__(
            bbox_roi_extractor=bbox_roi_extractor, bbox_head=bbox_head,
            mask_head=mask_head, train_cfg=train_cfg, test_cfg=test_cfg,
            init_cfg=init_cfg)
        self.detach_bridge = detach_bridge
        self.bridge_with_background = bridge_with_background
        self.mask_label_iou = mask_label_iou
        self.mask_label_thr = mask_label_thr
        self.gate_align = gate_align
        self.gate_background_grad = gate_background_grad

    def init_bbox_head(self, bbox_roi_extractor: dict, bbox_head: dict) -> None:
        """Build extractor and classifiers."""
        self.bbox_roi_extractor = MODELS.build(bbox_roi_extractor)
        self.bbox_head = ModuleList(
            MODELS.build(bbox_head) for _ in range(self.copies))

    def init_mask_head(self, mask_roi_extractor: Optional[dict],
                       mask_head: dict) -> None:
        """Build the mask layers; RoIs are warped once for masks and classes."""
        self.mask_head = ModuleList(
            MODELS.build(mask_head) for _ in range(self.copies))

    def init_assigner_sampler(self) -> None:
        """Build what tells positive RoIs from negative ones in training."""
        if not self.train_cfg:
            return
        self.assigner = TASK_UTILS.build(self.train_cfg.assigner)
        self.refined_assigner = TASK_UTILS.build(
            self.train_cfg.get('refined_assigner', self.train_cfg.assigner))
        self.sampler = TASK_UTILS.build(self.train_cfg.sampler,
                                        default_args=dict(context=self))
        if isinstance(self.sampler, (OHEMSampler, ScoreHLRSampler)):
            raise ValueError(
                f'sampler {type(self.sampler).__name__} chooses RoIs by their losses, '
                'for which it runs the layers of a StandardRoIHead; with MNCRoIHead '
                'take one that does not: RandomSampler, CombinedSampler, '
                'InstanceBalancedPosSampler, IoUBalancedNegSampler or PseudoSampler.')

    def heads(self, k: int) -> Tuple[nn.Module, nn.Module]:
        """Return mask and class layers of pass k."""
        k = min(k, self.copies - 1)
        return self.mask_head[k], self.bbox_head[k]

    def run_pass(self, k: int, x: Sequence[Tensor], rois: Tensor,
                 sampled: Optional[SampledRoIs] = None
                 ) -> Tuple[PassOutput, Optional[Tensor]]:
        """Run pass k on RoIs.

        Args:
            k: 0 for stages 2 and 3, 1 for stages 4 and 5.
            x: Maps (B, C, H_k, W_k).
            rois: (R, 5), with a gradient in training.
            sampled: In training what the RoIs are.

        Returns:
            The outputs, and in training the mask-level labels (R, ).
        """
        mask_head, bbox_head = self.heads(k)
        features = self.bbox_roi_extractor(
            x[:self.bbox_roi_extractor.num_inputs], rois)
        logits = mask_head(features)
        probs = logits.sigmoid()
        labels = None
        if sampled is not None:
            labels = self._mask_labels(sampled, probs.detach(), bbox_head.num_classes)
            if not self.gate_background_grad:
                object_ = (labels < bbox_head.num_classes).view(-1, 1, 1, 1)
                probs = torch.where(object_, probs, probs.detach())
        gated = mask_gate(features, probs, self.gate_align)
        return PassOutput(rois, logits, *bbox_head(features, gated)), labels

    def _mask_labels(self, sampled: SampledRoIs, probs: Tensor,
                     background: int) -> Tensor:
        """Return the mask-level labels (R, )."""
        found = []
        for labels, boxes, masks, (truth, index) in zip(
                sampled.labels(background), sampled.boxes(), sampled.split(probs),
                sampled.objects):
            count = len(index)
            labels[:count] = mask_level_labels(
                labels[:count], last_pixels(boxes[:count]), masks[:count], truth,
                background, self.mask_label_iou, self.mask_label_thr, index)
            found.append(labels)
        return torch.cat(found)

    def _losses(self, k: int, out: PassOutput, sampled: SampledRoIs,
                mask_labels: Tensor) -> Dict[str, Tensor]:
        """Return the losses of pass k, and its accuracy."""
        mask_head, bbox_head = self.heads(k)
        targets = bbox_head.get_targets(sampled.results, self.train_cfg)
        losses = bbox_head.losses(out[2:], out.rois.detach(), targets, mask_labels)
        masks = [mask_target(truth, last_pixels(boxes[:len(index)]),
                             mask_head.mask_size, mask_head.target_thr, index)
                 for boxes, (truth, index) in zip(sampled.boxes(), sampled.objects)]
        losses['loss_mask'] = mask_head.loss(out.mask_logits[sampled.positive()],
                                             torch.cat(masks))
        weight = self.pass_loss_weights[k]
        return {f's{k}.{name}': value * weight if 'loss' in name else value
                for name, value in losses.items()}

    def loss(self, x: Sequence[Tensor], rpn_results_list: List[InstanceData],
             batch_data_samples: List) -> Dict[str, Tensor]:
        """Return the losses of all passes.

        Args:
            x: Maps (B, C, H_k, W_k).
            rpn_results_list: Proposals of each image, with their gradient where
                the RPN is :class:`MNCRPNHead`.
            batch_data_samples: With ``gt_instances``: boxes, labels, masks.
        """
        truths, ignored, metas = unpack_gt_instances(batch_data_samples)
        if not all('masks' in truth for truth in truths):
            raise ValueError(
                'gt_instances have no masks, which MNCRoIHead learns from: put '
                "dict(type='LoadAnnotations', with_bbox=True, with_mask=True) in the "
                'training pipeline.')
        truths = [with_area(truth) for truth in truths]
        boxes = [found.bboxes for found in rpn_results_list]
        losses: Dict[str, Tensor] = {}
        for k in range(self.num_passes):
            if k == 0:
                sampled = sample_rois(boxes, truths, ignored, self.assigner,
                                      self.sampler)
            else:
                sampled = sample_refined(boxes, truths, ignored,
                                         self.refined_assigner)
            rois = bbox2roi(sampled.with_gradient)
            out, mask_labels = self.run_pass(k, x, rois, sampled)
            losses.update(self._losses(k, out, sampled, mask_labels))
            if k + 1 < self.num_passes:
                boxes = self._next_boxes(
                    k, out, [len(box) for box in sampled.with_gradient], metas,
                    sampled.not_truth())
        return losses

    def _next_boxes(self, k: int, out: PassOutput, counts: Sequence[int],
                    metas: Sequence[dict], keep: Optional[List[Tensor]] = None
                    ) -> List[Tensor]:
        """Return the boxes of the next pass, image by image.

        Args:
            k: The pass before.
            out: Its outputs.
            counts: RoIs of each image.
            metas: Of the images.
            keep: Which RoIs of each image go on; all where None.
        """
        coder = self.heads(k)[1].bbox_coder
        boxes = []
        for j, (rois, seg_cls, offsets, meta) in enumerate(zip(
                *(t.split(list(counts)) for t in (out.rois, out.seg_cls, out.offsets)),
                metas)):
            found = refined_boxes(rois[:, 1:], seg_cls, offsets, coder,
                                  meta['img_shape'], self.bridge_with_background)
            found = found if keep is None else found[keep[j]]
            boxes.append(found.detach() if self.detach_bridge else found)
        return boxes

    def forward(self, x: Sequence[Tensor], rpn_results_list: List[InstanceData],
                batch_data_samples: Optional[List] = None) -> Tuple[Tensor, ...]:
        """Return masks, scores and offsets of the proposals, for mode 'tensor'."""
        rois = bbox2roi([found.bboxes for found in rpn_results_list])
        out = self.run_pass(0, x, rois)[0]
        return out.mask_logits, out.seg_cls, out.offsets

    def candidates(self, x: Sequence[Tensor], rpn_results_list: List[InstanceData],
                   metas: Sequence[dict]) -> List[InstanceData]:
        """Return what all passes found in each image, before voting.

        Returns:
            ``boxes`` (n, 4) in pixels of the network input, ``mask_probs``
            (n, m, m) and ``scores`` (n, N), without the background.
        """
        cfg = self.test_cfg
        boxes = [clipped(found.bboxes, meta['img_shape'])
                 for found, meta in zip(rpn_results_list, metas)]
        found: List[List[InstanceData]] = [[] for _ in metas]
        passes = cfg.get('num_passes', self.num_passes)
        for k in range(passes):
            counts = [len(b) for b in boxes]
            out = self._run_in_chunks(k, x, bbox2roi(boxes), cfg.get('roi_chunk', 64))
            scores = out.seg_cls.float().softmax(1)[:, :-1]
            probs = out.mask_logits.float().sigmoid()[:, 0]
            for one, *parts in zip(found, boxes, probs.split(counts),
                                   scores.split(counts)):
                one.append(InstanceData(**dict(zip(
                    ('boxes', 'mask_probs', 'scores'), parts))))
            if k + 1 < passes:
                boxes = self._next_boxes(k, out, counts, metas)
        return [InstanceData.cat(one) for one in found]

    def _run_in_chunks(self, k: int, x: Sequence[Tensor], rois: Tensor,
                       size: int) -> PassOutput:
        """Run a pass on so many RoIs at a time: warped RoIs are large."""
        parts = [self.run_pass(k, x, part)[0] for part in rois.split(size)]
        return PassOutput(*(torch.cat(group) for group in zip(*parts)))

    def predict(self, x: Sequence[Tensor], rpn_results_list: List[InstanceData],
                batch_data_samples: List, rescale: bool = False) -> List[InstanceData]:
        """Return the instances of each image.

        Returns:
            ``bboxes`` (K, 4), ``scores`` (K, ), ``labels`` (K, ), ``masks``
            (K, H, W) bool; in pixels of the original image with ``rescale``,
            else of the network input.
        """
        metas = [sample.metainfo for sample in batch_data_samples]
        found = self.candidates(x, rpn_results_list, metas)
        return [voted_instances(one, meta, self.test_cfg, rescale)
                for one, meta in zip(found, metas)]


def last_pixels(boxes: Tensor) -> Tensor:
    """Return boxes (n, 4) whose x2, y2 name the last pixel inside.

    In mmdet a box ends at the right edge of its last pixel, in the operators of
    targets at that pixel itself.
    """
    return boxes - boxes.new_tensor([0., 0., 1., 1.])
