"""Targets of a cascade's masks, and classes that its masks deserve (Dai, He, Sun,
"Instance-aware Semantic Segmentation via Multi-task Network Cascades", CVPR 2016,
sections 3.2 and 3.3; the numbers are those of the released code).

The integer box of a RoI has the pixels round(x1)..round(x2), both ends included,
in the rows round(y1)..round(y2), where halves round away from zero. What is
resampled from n to m pixels is read at (k + 1/2) n / m - 1/2 between the two
nearest pixels, the outermost ones beyond the rim::

    t_r = [resample(G_r in the integer box of r, m x m) >= threshold]        mask_target
    P_r = [resample(p_r, the integer box of r) >= threshold]
    l_r = box label of r if |P_r and G_r| >= mask_iou |P_r or G_r|    mask_level_labels
          else background

Nothing outside the image belongs to a mask. RoIs whose right is left of their
left, whose bottom is above their top, or that are not finite hold no pixel.

Shapes: R RoIs (x1, y1, x2, y2) of one image in pixels, G instances, H x W pixels,
m x m mask. No tensor (R, H, W) is made: targets cost R * m * m, labels one box at
a time.
"""

from typing import Optional, Tuple, Union

import torch
from torch import Tensor

from .checks import check_number, check_same, check_tensor
from .compiling import opaque
from .local_checks import check_device
from .precision import widened

#: Coordinates end here, so that integers neither overflow nor lose a bit.
FARTHEST = 2**30


@torch.no_grad()
def mask_target(gt_masks: Tensor,
                rois: Tensor,
                size: int,
                threshold: float = 0.4,
                gt_index: Optional[Tensor] = None) -> Tensor:
    """Return what the mask of every RoI should be.

    Exact: weights are integers, so a value that equals the threshold is inside.

    Args:
        gt_masks: (G, H, W) instances; not 0 is inside. Of any dtype.
        rois: (R, 4), x1, y1, x2, y2 in pixels, the last pixel included: a box
            around the columns 1..4 has x1 = 1, x2 = 4.
        size: m.
        threshold: In [0, 1]; how much of a pixel of the target is inside.
        gt_index: (R,) integers: the instance of every RoI. Without it G must be
            R, and RoI r has instance r.

    Returns:
        (R, m, m) float32 of 0 and 1; no gradient.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or index; the message
            names the argument.
    """
    check_number('size', size, 1, integer=True)
    check_number('threshold', threshold, 0, 1)
    _check_rois(rois)
    index = _check_masks(gt_masks, rois, gt_index)
    _check_index(index, len(gt_masks))
    boxes, filled = integer_boxes(rois)
    steps = torch.arange(size, device=rois.device)
    rows = _read(boxes[:, 1], boxes[:, 3], steps, gt_masks.shape[1])
    cols = _read(boxes[:, 0], boxes[:, 2], steps, gt_masks.shape[2])
    total = torch.zeros(len(rois), size, size, dtype=torch.int64, device=rois.device)
    for y, y_weight in rows:
        for x, x_weight in cols:
            inside = gt_masks[index[:, None, None], y[:, :, None], x[:, None, :]] != 0
            total += inside * y_weight[:, :, None] * x_weight[:, None, :]
    # The weights of a pixel add up to (2m)^2; totals are whole numbers.
    enough = total >= threshold * (2 * size)**2 - 1e-6
    return (enough & filled[:, None, None]).float()


@torch.no_grad()
def mask_level_labels(box_labels: Tensor,
                      rois: Tensor,
                      mask_probs: Tensor,
                      gt_masks: Tensor,
                      background: int,
                      mask_iou: float = 0.5,
                      threshold: float = 0.4,
                      gt_index: Optional[Tensor] = None) -> Tensor:
    """Return the class that the mask of every RoI deserves.

    A RoI keeps the label of its box where its predicted mask overlaps its
    instance enough, see :func:`pasted_mask_iou`.

    Args:
        box_labels: (R,) integers: the class of the instance whose box overlaps
            the RoI enough, else ``background``.
        rois: (R, 4), as for :func:`mask_target`.
        mask_probs: (R, m, m) or (R, 1, m, m), predicted, in [0, 1].
        gt_masks: (G, H, W) instances; not 0 is inside.
        background: Label of background: 0, or the number of classes in mmdet.
        mask_iou: Least intersection over union, in [0, 1].
        threshold: Least probability of a pixel of the mask, in [0, 1].
        gt_index: (R,) integers: the instance of every RoI; anything where the
            box label is background. Without it G must be R.

    Returns:
        (R,) in the dtype of ``box_labels``; no gradient.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or index; the message
            names the argument.
    """
    check_tensor('box_labels', box_labels, '(R,)', 1, floating=False)
    check_number('background', background, -FARTHEST, integer=True)
    check_number('mask_iou', mask_iou, 0, 1)
    _check_rois(rois)
    check_same('box_labels', box_labels.shape, f'rois {tuple(rois.shape)}',
               rois.shape[:1])
    check_device('box_labels', box_labels, 'rois', rois)
    index = _check_masks(gt_masks, rois, gt_index)
    probs = _check_probs(mask_probs, rois)
    at = (box_labels != background).nonzero().flatten()
    overlap = pasted_mask_iou(rois[at], probs[at], gt_masks, threshold, index[at])
    labels = box_labels.clone()
    labels[at[overlap < mask_iou]] = background
    return labels


@torch.no_grad()
def pasted_mask_iou(rois: Tensor,
                    mask_probs: Tensor,
                    gt_masks: Tensor,
                    threshold: float = 0.4,
                    gt_index: Optional[Tensor] = None) -> Tensor:
    """Return how well predicted masks, pasted into the image, overlap instances.

    Args:
        rois: (R, 4), as for :func:`mask_target`.
        mask_probs: (R, m, m) or (R, 1, m, m), in [0, 1].
        gt_masks: (G, H, W) instances; not 0 is inside.
        threshold: Least probability of a pixel of the mask, in [0, 1].
        gt_index: (R,) integers: the instance of every RoI. Without it G must be R.

    Returns:
        (R,) float64, intersection over union with the whole instance; 0 where
        both are empty. No gradient. On a GPU the host waits for the boxes.

    Raises:
        TypeError, ValueError: As :func:`mask_level_labels`.
    """
    check_number('threshold', threshold, 0, 1)
    _check_rois(rois)
    index = _check_masks(gt_masks, rois, gt_index)
    probs = _check_probs(mask_probs, rois)
    _check_index(index, len(gt_masks))
    if len(rois) == 0:
        return rois.new_zeros(0, dtype=torch.float64)
    boxes, filled = integer_boxes(rois)
    counts = _overlaps(boxes, filled, widened(probs), gt_masks, threshold, index)
    inside, union = counts.double().unbind(1)
    return inside / union.clamp(min=1)


def integer_boxes(rois: Tensor) -> Tuple[Tensor, Tensor]:
    """Round RoIs to whole pixels, halves away from zero.

    Args:
        rois: (R, 4), x1, y1, x2, y2.

    Returns:
        (R, 4) int64, first and last pixels; (R,) bool, whether there is a pixel
        between them (and the RoI finite).
    """
    rois = widened(rois)
    whole = rois.trunc()
    # Not floor(x + 0.5): the sum rounds up just below a half.
    boxes = whole + ((rois - whole).abs() >= 0.5) * rois.sign()
    boxes = boxes.nan_to_num(0, FARTHEST, -FARTHEST).clamp(-FARTHEST, FARTHEST).long()
    filled = (boxes[:, 2:] >= boxes[:, :2]).all(1) & rois.isfinite().all(1)
    return boxes, filled


def _taps(step: Tensor, count: int,
          length: Union[int, Tensor]) -> Tuple[Tensor, Tensor, Tensor]:
    """Return between which pixels a sample lies, and how near to the second.

    Args:
        step: Numbers of samples, int64.
        count: Samples in all.
        length: Pixels that they are read from; broadcast with ``step``.

    Returns:
        Pixels below and above, in [0, length); the weight of the upper one, in
        parts of 2 * count. The lower one has the rest.
    """
    place = (2 * step + 1) * length - count
    below = torch.div(place, 2 * count, rounding_mode='floor')
    weight = place - below * 2 * count
    last = length - 1
    return below.clamp(min=0).clamp(max=last), (below + 1).clamp(max=last), weight


def _read(first: Tensor, last: Tensor, steps: Tensor,
          limit: int) -> Tuple[Tuple[Tensor, Tensor], ...]:
    """Return the two pixels (R, m) of every sample of a side, with weights.

    Pixels outside [0, limit) have weight 0.
    """
    length = (last - first + 1).clamp(min=1)[:, None]
    below, above, weight = _taps(steps[None], len(steps), length)
    sides = []
    for pixel, share in ((below, 2 * len(steps) - weight), (above, weight)):
        pixel = pixel + first[:, None]
        inside = (pixel >= 0) & (pixel < limit)
        sides.append((pixel.clamp(0, limit - 1), share * inside))
    return tuple(sides)


@opaque
def _overlaps(boxes: Tensor, filled: Tensor, probs: Tensor, gt_masks: Tensor,
              threshold: float, index: Tensor) -> Tensor:
    """Return (R, 2) int64: pixels of intersections and unions."""
    height, width = gt_masks.shape[1:]
    owners = index.tolist()
    areas = {g: torch.count_nonzero(gt_masks[g]) for g in set(owners)}
    counts = []
    for prob, g, box, full in zip(probs, owners, boxes.tolist(), filled.tolist()):
        left, top = max(box[0], 0), max(box[1], 0)
        right, bottom = min(box[2] + 1, width), min(box[3] + 1, height)
        if not full or left >= right or top >= bottom:
            counts.append(torch.stack([areas[g] * 0, areas[g]]))
            continue
        rows = _between(prob, top - box[1], bottom - box[1], box[3] - box[1] + 1)
        pasted = _between(rows.t(), left - box[0], right - box[0],
                          box[2] - box[0] + 1).t() >= threshold
        truth = gt_masks[g, top:bottom, left:right] != 0
        both = torch.count_nonzero(pasted & truth)
        counts.append(torch.stack([both, torch.count_nonzero(pasted) + areas[g] - both]))
    return torch.stack(counts)


def _between(values: Tensor, start: int, stop: int, count: int) -> Tensor:
    """Return the samples start..stop-1 of ``count`` along the first axis."""
    steps = torch.arange(start, stop, device=values.device)
    below, above, weight = _taps(steps, count, len(values))
    share = (weight.to(values.dtype) / (2 * count))[:, None]
    return torch.lerp(values[below], values[above], share)


def _check_rois(rois: Tensor) -> None:
    check_tensor('rois', rois, '(R, 4)', 2)
    if rois.shape[1] == 5:
        raise ValueError(f'rois must have shape (R, 4), got {tuple(rois.shape)}; pass '
                         'the RoIs of one image without their batch index, rois[:, 1:].')
    check_same('rois', rois.shape, 'x1, y1, x2, y2', (len(rois), 4))


def _check_masks(gt_masks: Tensor, rois: Tensor, gt_index: Optional[Tensor]) -> Tensor:
    """Raise unless masks and index fit the RoIs; return the index."""
    if not isinstance(gt_masks, Tensor):
        raise TypeError(
            f'gt_masks must be a tensor of shape (G, H, W), got '
            f"{type(gt_masks).__name__}; mmdet's masks have to_tensor(dtype, device).")
    if gt_masks.dim() != 3 or 0 in gt_masks.shape[1:]:
        raise ValueError('gt_masks must have shape (G, H, W) with at least one pixel, '
                         f'got {tuple(gt_masks.shape)}.')
    check_device('gt_masks', gt_masks, 'rois', rois)
    if gt_index is None:
        if len(gt_masks) != len(rois):
            raise ValueError(
                f'gt_masks has {len(gt_masks)} instances for {len(rois)} RoIs; without '
                'gt_index every RoI needs its own. Pass the instance of every RoI as '
                'gt_index.')
        return torch.arange(len(rois), device=rois.device)
    check_tensor('gt_index', gt_index, '(R,)', 1, floating=False)
    check_same('gt_index', gt_index.shape, f'rois {tuple(rois.shape)}', rois.shape[:1])
    check_device('gt_index', gt_index, 'rois', rois)
    return gt_index.long()


def _check_index(index: Tensor, instances: int) -> None:
    """Raise where an index is outside; a GPU would stop with an assertion."""
    if len(index) == 0:
        return
    low, high = torch.stack(index.aminmax()).tolist()
    if low < 0 or high >= instances:
        raise ValueError(f'gt_index must be in [0, {instances - 1}] for {instances} '
                         f'instances, got {low}..{high}. RoIs without an instance have '
                         'no target; leave them out.')


def _check_probs(mask_probs: Tensor, rois: Tensor) -> Tensor:
    """Raise unless these are masks of the RoIs; return them as (R, m, m)."""
    if isinstance(mask_probs, Tensor) and mask_probs.dim() == 4 \
            and mask_probs.shape[1] == 1:
        mask_probs = mask_probs[:, 0]
    check_tensor('mask_probs', mask_probs, '(R, m, m) or (R, 1, m, m)', 3)
    if 0 in mask_probs.shape[1:]:
        raise ValueError('mask_probs must have at least one pixel, got shape '
                         f'{tuple(mask_probs.shape)}.')
    check_same('mask_probs', mask_probs.shape[:1], f'rois {tuple(rois.shape)}',
               rois.shape[:1])
    check_device('mask_probs', mask_probs, 'rois', rois)
    return mask_probs
