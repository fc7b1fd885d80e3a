"""RoIs of a training step and what they are: mmdet's sampling, gradients kept apart.

Assigners, coders and mask targets must not see the gradient of a box: a target
made from a box that learns would pull at it. So the boxes stand here twice: with
their gradient for warping, without for everything else.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, List, Optional, Sequence, Tuple

import torch
from mmdet.models.task_modules.samplers import SamplingResult
from mmengine.structures import InstanceData
from torch import Tensor


@dataclass(frozen=True)
class SampledRoIs:
    """The RoIs of all images, positive ones first in each.

    Attributes:
        results: mmdet's sampling of each image, its boxes without gradient.
        with_gradient: (R_b, 4) of each image, in the order of ``results``.
        truths: ``gt_instances`` of each image.
    """
    results: List[SamplingResult]
    with_gradient: List[Tensor]
    truths: List[InstanceData]

    def boxes(self) -> List[Tensor]:
        """Return (R_b, 4) of each image, without gradient."""
        return [box.detach() for box in self.with_gradient]

    def split(self, values: Tensor) -> Sequence[Tensor]:
        """Cut what is there for all RoIs into images."""
        return values.split([len(box) for box in self.with_gradient])

    def labels(self, background: int) -> List[Tensor]:
        """Return the box-level labels (R_b, ) of each image."""
        found = []
        for result, boxes in zip(self.results, self.with_gradient):
            labels = torch.full((len(boxes), ), background, dtype=torch.long,
                                device=boxes.device)
            labels[:len(result.pos_inds)] = result.pos_gt_labels
            found.append(labels)
        return found

    def positive(self) -> Tensor:
        """Return which of all RoIs are positive, (R, ) bool."""
        return torch.cat([
            torch.arange(len(boxes), device=boxes.device) < len(result.pos_inds)
            for result, boxes in zip(self.results, self.with_gradient)])

    def not_truth(self) -> List[Tensor]:
        """Return which RoIs of each image are no true boxes, (R_b, ) bool."""
        found = []
        for result, boxes in zip(self.results, self.with_gradient):
            keep = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
            keep[:len(result.pos_inds)] = result.pos_is_gt == 0
            found.append(keep)
        return found

    @cached_property
    def objects(self) -> List[Tuple[Tensor, Tensor]]:
        """The objects of the positive RoIs of each image.

        Of each image the masks (G, H, W) uint8 of the objects that have a RoI,
        and which of them each positive RoI has, (P_b, ).
        """
        found = []
        for result, truth, boxes in zip(self.results, self.truths, self.with_gradient):
            chosen, index = result.pos_assigned_gt_inds.unique(return_inverse=True)
            masks = truth.masks[chosen.cpu().numpy()]
            found.append((masks.to_tensor(torch.uint8, boxes.device), index))
        return found


def with_area(truth: InstanceData) -> InstanceData:
    """Leave out objects whose box has no area: no offset leads to them."""
    sides = truth.bboxes[:, 2:] - truth.bboxes[:, :2]
    keep = (sides > 0).all(1)
    if keep.all():
        return truth
    return InstanceData(bboxes=truth.bboxes[keep], labels=truth.labels[keep],
                        masks=truth.masks[keep.cpu().numpy()])


def sample_rois(boxes: Sequence[Tensor], truths: Sequence[InstanceData],
                ignored: Sequence[Optional[InstanceData]], assigner: Any,
                sampler: Any) -> SampledRoIs:
    """Assign and sample proposals as upstream's RoI heads do.

    Args:
        boxes: (P_b, 4) proposals of each image.
        truths: ``gt_instances`` of each image.
        ignored: ``ignored_instances`` of each image.
        assigner, sampler: Of mmdet.
    """
    results, learning = [], []
    for box, truth, ignore in zip(boxes, truths, ignored):
        with torch.no_grad():
            assigned = assigner.assign(InstanceData(priors=box.detach()), truth, ignore)
        result = sampler.sample(assigned, InstanceData(priors=box), truth)
        learning.append(torch.cat([result.pos_priors, result.neg_priors]))
        result.pos_priors = result.pos_priors.detach()
        result.neg_priors = result.neg_priors.detach()
        results.append(result)
    return SampledRoIs(results, learning, list(truths))


class _TakeAll:
    """A sampler that takes true boxes and all proposals that were assigned."""

    @staticmethod
    def sample(assigned: Any, proposals: InstanceData,
               truth: InstanceData) -> SamplingResult:
        boxes, true_boxes = proposals.priors, truth.bboxes
        true_boxes = getattr(true_boxes, 'tensor', true_boxes)
        flags = boxes.new_zeros(len(boxes), dtype=torch.uint8)
        if len(true_boxes):
            assigned.add_gt_(truth.labels)
            boxes = torch.cat([true_boxes, boxes])
            flags = torch.cat([flags.new_ones(len(true_boxes)), flags])
        kinds = assigned.gt_inds
        return SamplingResult(
            (kinds > 0).nonzero()[:, 0], (kinds == 0).nonzero()[:, 0], boxes,
            true_boxes, assigned, flags)


def sample_refined(boxes: Sequence[Tensor], truths: Sequence[InstanceData],
                   ignored: Sequence[Optional[InstanceData]],
                   assigner: Any) -> SampledRoIs:
    """Take all refined RoIs and all true boxes, as the second pass does.

    Args:
        boxes, truths, ignored: As in :func:`sample_rois`.
        assigner: Of mmdet.
    """
    return sample_rois(boxes, truths, ignored, assigner, _TakeAll)
