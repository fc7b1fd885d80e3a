"""Stage 1: proposals through which gradients flow (Dai, He, Sun, CVPR 2016)."""

from typing import List, Optional, Sequence

import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.registry import MODELS
from mmengine.structures import InstanceData
from torch import Tensor


@MODELS.register_module()
class MNCRPNHead(RPNHead):
    """mmdet's RPN whose proposals, in training, keep the gradient to its weights.

    Which anchors become proposals is decided without gradients as upstream does;
    the chosen ones are then decoded from the predicted offsets. The losses of
    later stages so reach ``rpn_reg``, where the RoIs are warped by
    :class:`RoIWarpExtractor`.

    Args:
        differentiable_proposals (bool): False gives upstream's proposals.
        block_clipped_grad (bool): No gradient for a proposal that was clipped to
            the image, or whose anchor crosses its border, as released.
        offset_grad_clip (float | None): What comes back from the boxes is kept within
            this in each entry of the offsets; 1 / 512 as released. A pixel of a box
            is its anchor's side in offsets, so that unclipped it outweighs the RPN's
            own loss, 1 / 256 a sampled anchor: positives are then moved away from
            their objects, where they cost less. None does nothing.
        **kwargs: As in ``RPNHead``.
    """

    def __init__(self, *args, differentiable_proposals: bool = True,
                 block_clipped_grad: bool = True,
                 offset_grad_clip: Optional[float] = 1 / 512, **kwargs) -> None:
        if offset_grad_clip is not None and offset_grad_clip <= 0:
            raise ValueError('offset_grad_clip must be positive or None, got '
                             f'{offset_grad_clip}.')
        super().__init__(*args, **kwargs)
        self.differentiable_proposals = differentiable_proposals
        self.block_clipped_grad = block_clipped_grad
        self.offset_grad_clip = offset_grad_clip

    def predict_by_feat(self, cls_scores: List[Tensor], bbox_preds: List[Tensor],
                        score_factors: Optional[List[Tensor]] = None,
                        batch_img_metas: Optional[List[dict]] = None,
                        cfg: Optional[dict] = None, rescale: bool = False,
                        with_nms: bool = True) -> List[InstanceData]:
        """Return the proposals of every image.

        Returns:
            ``bboxes`` (n, 4) in image pixels, ``scores`` and ``labels`` of each.
        """
        learning = self.training and self.differentiable_proposals
        if learning and rescale:
            raise ValueError('rescale must be False where proposals keep their '
                             'gradient: losses are in pixels of the network input.')
        cfg = self.test_cfg if cfg is None else cfg
        priors = self.prior_generator.grid_priors(
            [x.shape[-2:] for x in cls_scores], dtype=torch.float32,
            device=cls_scores[0].device)
        with torch.set_grad_enabled(learning and torch.is_grad_enabled()):
            return [self._proposals([x[k] for x in cls_scores],
                                    [x[k] for x in bbox_preds], priors, meta, cfg,
                                    rescale)
                    for k, meta in enumerate(batch_img_metas)]

    def _proposals(self, scores: Sequence[Tensor], deltas: Sequence[Tensor],
                   priors: Sequence[Tensor], meta: dict, cfg: dict,
                   rescale: bool) -> InstanceData:
        """Return the proposals of one image."""
        chosen_scores, chosen_deltas, chosen_priors, levels = [], [], [], []
        for level, (score, delta, prior) in enumerate(zip(scores, deltas, priors)):
            score = self._foreground(score.detach())
            delta = delta.permute(1, 2, 0).reshape(-1, self.bbox_coder.encode_size)
            most = cfg.get('nms_pre', -1)
            if 0 < most < len(score):
                score, place = score.sort(descending=True)
                score, place = score[:most], place[:most]
                delta, prior = delta[place], prior[place]
            chosen_scores.append(score)
            chosen_deltas.append(delta.float())
            chosen_priors.append(prior)
            levels.append(torch.full_like(score, level, dtype=torch.long))
        prior = torch.cat(chosen_priors)
        offsets = self._clipped_grad(torch.cat(chosen_deltas))
        boxes = self.bbox_coder.decode(prior, offsets, max_shape=meta['img_shape'])
        found = InstanceData(
            bboxes=boxes.detach(), scores=torch.cat(chosen_scores),
            level_ids=torch.cat(levels),
            place=torch.arange(len(boxes), device=boxes.device))
        found = self._bbox_post_process(found, cfg, rescale, img_meta=meta)
        if 'place' not in found:  # upstream's answer where nothing is left
            return found
        if not boxes.requires_grad:
            del found.place
            return found
        place = found.pop('place')
        boxes, prior = boxes[place], prior[place]
        if self.block_clipped_grad:
            free = inside(boxes, meta['img_shape'], strictly=True) & inside(
                prior, meta['img_shape'])
            boxes = torch.where(free[:, None], boxes, boxes.detach())
        found.bboxes = boxes
        return found

    def _clipped_grad(self, offsets: Tensor) -> Tensor:
        """Keep each entry of the gradient of offsets (n, 4) within the limit."""
        if self.offset_grad_clip is not None and offsets.requires_grad:
            limit = self.offset_grad_clip
            offsets.register_hook(lambda grad: grad.clamp(-limit, limit))
        return offsets

    def _foreground(self, score: Tensor) -> Tensor:
        """Return the scores (n, ) of maps (A or 2 A, h, w)."""
        score = score.permute(1, 2, 0).reshape(-1, self.cls_out_channels).float()
        return (score.sigmoid() if self.use_sigmoid_cls else
                score.softmax(1)[:, :-1])[:, 0]


def inside(boxes: Tensor, image: Sequence[int], strictly: bool = False) -> Tensor:
    """Return which boxes (n, 4) lie in an image (height, width, ...).

    Args:
        boxes: x1, y1, x2, y2.
        image: Height and width.
        strictly: A box that touches the border does not.
    """
    boxes = boxes.detach()
    limit = boxes.new_tensor([image[1], image[0]])
    if strictly:
        return (boxes[:, :2] > 0).all(1) & (boxes[:, 2:] < limit).all(1)
    return (boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] <= limit).all(1)
