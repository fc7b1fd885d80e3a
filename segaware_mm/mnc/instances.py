"""From the candidates of an image to its instances: voting, and its absence.

Dai, He, Sun (CVPR 2016), section 3.5. Shapes: n candidates, N classes, m x m masks.
"""

from typing import Any, Dict

import torch
from mmengine.structures import InstanceData

from ..ops.mask_voting import mask_voting


def voted_instances(found: InstanceData, meta: Dict[str, Any], cfg: Dict[str, Any],
                    rescale: bool) -> InstanceData:
    """Return the instances of one image.

    Args:
        found: ``boxes`` (n, 4) in pixels of the network input, ``mask_probs``
            (n, m, m), ``scores`` (n, N).
        meta: The image's ``img_shape``, ``ori_shape`` and ``scale_factor``.
        cfg: ``test_cfg`` of :class:`MNCRoIHead`.
        rescale: Answer in pixels of the original image.

    Returns:
        ``bboxes``, ``scores``, ``labels`` and ``masks``; see
        :meth:`MNCRoIHead.predict`.
    """
    boxes, size = found.boxes.float(), tuple(meta['img_shape'][:2])
    if rescale:
        size = tuple(meta['ori_shape'][:2])
        boxes = boxes / boxes.new_tensor(meta['scale_factor']).repeat(2)
        limit = boxes.new_tensor([size[1], size[0]] * 2)
        boxes = torch.minimum(boxes.clamp(min=0), limit)
    voted = mask_voting(
        boxes, found.mask_probs, found.scores, size, cfg['nms']['iou_threshold'],
        cfg.get('merge_iou', 0.5), cfg.get('mask_thr_binary', 0.4), cfg['max_per_img'],
        offset=0, vote=cfg.get('vote', True), soft=cfg.get('soft_paste', True))
    # Behind the vote, in which candidates of any score take part.
    kept = voted.scores >= cfg.get('score_thr', 0.)
    return InstanceData(bboxes=voted.boxes[kept], scores=voted.scores[kept],
                        labels=voted.labels[kept], masks=voted.masks[kept])
