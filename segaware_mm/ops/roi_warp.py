"""RoI warping and the mask gate of multi-task network cascades (Dai, He, Sun,
CVPR 2016): boxes and masks act on features, and loss flows back into both.

For a box (x1, y1, x2, y2) in image pixels, spatial scale s (X = s x) and output
size h x w, the value of cell (k, l) is the feature map (bilinear, see
:mod:`segaware_mm.ops.bilinear`) at the point with

    x = X1 + (l + .5) / w (X2 - X1) - .5       sampling 'center'
    x = X1 +  l       / w (X2 - X1)            sampling 'corner'  (eq. 8, left edge)

and likewise in y. 'center' takes image pixel i to cover [i, i + 1), as mmdet's
boxes do; 'corner' is the released geometry. The gate is F_mask = F_roi * M with
the mask resized to h x w (section 3.3).

Shapes: B images, C channels, R RoIs, masks of m x m.

``impl`` is ``'auto'`` (= ``'torch'``, any device), ``'reference'`` (slow,
float64-friendly) or ``'prroi'`` (mmcv's precise RoI pooling, CUDA, float32: the
mean over a cell instead of the value at its point, so another function).
"""

from typing import Optional, Sequence, Tuple, Union

import torch
from torch import Tensor
from torch.nn import functional as F

from .bilinear import line_weights
from .checks import check_choice, check_number, check_same, check_size, check_tensor
from .implementation import choose_named
from .local_checks import check_device, check_map
from .precision import no_autocast, wide_dtype

#: Where in a cell of the output the map is read; how a mask is resized.
SAMPLINGS = ('center', 'corner')
#: Values of ``impl``, beside 'auto'.
IMPLEMENTATIONS = ('torch', 'reference', 'prroi')
#: Implementations of other operators, which the environment may name as well.
OF_OTHERS = ('numba', 'tap', 'dcn')


def roi_warp(features: Tensor,
             rois: Tensor,
             output_size: Union[int, Tuple[int, int]],
             spatial_scale: float,
             sampling: str = 'center',
             *,
             round_rois: bool = False,
             pool: int = 1,
             impl: str = 'auto',
             chunk: Optional[int] = None) -> Tensor:
    """Return the features inside boxes, resampled to one size.

    The gradient reaches the boxes: d x / d X1 = 1 - r and d x / d X2 = r, with
    r the fraction above. The feature map is neither expanded nor copied for each
    RoI, and beside the result (in the backward pass: beside the gradients) only
    a chunk of RoIs is in memory. With ``pool`` only the maxima are kept, and their
    places in two bytes each. It can be differentiated once.

    Args:
        features: (B, C, H, W).
        rois: (R, 5): index of the image, x1, y1, x2, y2 in image pixels; any
            order, R may be 0. Half precision is widened, not made exact again.
        output_size: (h, w), or one number for both.
        spatial_scale: Size of the map over that of the image.
        sampling: ``'center'`` or ``'corner'``.
        round_rois: Round scaled boxes to whole map pixels, halves away from 0,
            as the released code does (it goes with 'corner'). The gradient
            passes the rounding unchanged.
        pool: Max pool over pool x pool points without overlap; (h, w) must be
            multiples. Of equal values the first gets the gradient.
        impl: ``'auto'``, ``'torch'``, ``'reference'`` or ``'prroi'``.
        chunk: RoIs at a time; None for about 16 MB of them.

    Returns:
        (R, C, h / pool, w / pool) in the format of ``features``. Points
        beyond the map are 0; a box of no area repeats one point. Boxes that
        hold NaN give 0.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or choice, or an
            image index that ``features`` lacks; the message names the argument.
    """
    check_map('features', features, '(B, C, H, W)')
    check_tensor('rois', rois, '(R, 5)', 2)
    check_same('rois', rois.shape, 'one row (image, x1, y1, x2, y2) for each RoI',
               (len(rois), 5))
    check_device('rois', rois, 'features', features)
    size = check_size('output_size', output_size)
    check_number('spatial_scale', spatial_scale, 0)
    if spatial_scale == 0:
        raise ValueError('spatial_scale must be more than 0, got 0.')
    check_choice('sampling', sampling, SAMPLINGS)
    check_number('pool', pool, 1, integer=True)
    if size[0] % pool or size[1] % pool:
        raise ValueError(f'output_size must be multiples of pool, got {size} and '
                         f'{pool}.')
    if chunk is not None:
        check_number('chunk', chunk, 1, integer=True)
    impl = choose_named(impl, 'torch', IMPLEMENTATIONS, OF_OTHERS)
    images = _images(rois, len(features))
    with no_autocast(features.device):
        boxes = rois[:, 1:].to(wide_dtype(features, rois)) * spatial_scale
        if round_rois:
            boxes = _rounded(boxes)
        if impl == 'torch':
            from .kernels.roi_warp_torch import warp_boxes as kernel
            return kernel(features, images, boxes, size, sampling, pool, chunk)
        if impl == 'prroi':
            from .kernels.roi_warp_prroi import warp_boxes
            out = warp_boxes(features, rois[:, :1], boxes, size, sampling)
        else:
            from .reference.roi_warp import warp_boxes as slow
            wide = features.to(boxes.dtype)
            out = slow(wide, images, boxes, size, sampling).to(features.dtype)
        return max_pool(out, pool)


def max_pool(warped: Tensor, pool: int) -> Tensor:
    """Return the maxima of pool x pool points; R may be 0."""
    if pool == 1 or not len(warped):
        return warped[..., :warped.shape[2] // pool, :warped.shape[3] // pool]
    return F.max_pool2d(warped, pool)


def box_points(boxes: Tensor, size: Tuple[int, int], sampling: str) -> Tensor:
    """Return (R, h, w, 2): where boxes (R, 4) are sampled; all in map pixels."""
    axes = []
    for low, high, cells in ((boxes[:, 0], boxes[:, 2], size[1]),
                             (boxes[:, 1], boxes[:, 3], size[0])):
        cell = torch.arange(cells, dtype=boxes.dtype, device=boxes.device)
        half = .5 if sampling == 'center' else 0.
        r = (cell + half) / cells
        axes.append((1 - r) * low[:, None] + r * high[:, None] - half)
    x, y = axes
    return torch.stack((x[:, None, :].expand(-1, *size), y[:, :, None].expand(-1, *size)),
                       -1)


def mask_gate(roi_features: Tensor, mask_probs: Tensor,
              align: str = 'center') -> Tensor:
    """Return RoI features weighted by the masks of the RoIs.

    Gradients reach both: dF = dOut * M, and dM = sum over channels of dOut * F
    at h x w, handed to the mask through the resizing.

    Args:
        roi_features: (R, C, h, w).
        mask_probs: (R, 1, m, m), soft.
        align: See :func:`resize_mask`.

    Returns:
        (R, C, h, w) in the format of ``roi_features``.

    Raises:
        TypeError, ValueError: A wrong shape, dtype, device or choice; the
            message names the argument.
    """
    check_map('roi_features', roi_features, '(R, C, h, w)')
    check_map('mask_probs', mask_probs, '(R, 1, m, m)')
    check_same('mask_probs', mask_probs.shape,
               f'roi_features {tuple(roi_features.shape)}',
               (len(roi_features), 1, *mask_probs.shape[2:]))
    check_device('mask_probs', mask_probs, 'roi_features', roi_features)
    mask = resize_mask(mask_probs, roi_features.shape[2:], align)
    return roi_features * mask.to(roi_features.dtype)


def resize_mask(mask_probs: Tensor, size: Union[int, Sequence[int]],
                align: str = 'center') -> Tensor:
    """Return masks resized to ``size`` by reading them at points (bilinear).

    Args:
        mask_probs: (R, C, m, m).
        size: (h, w), or one number for both.
        align: ``'center'``: row k reads (k + .5) m / h - .5, as
            ``F.interpolate`` does; ``'corner'``: k m / h, the released code.
            Beyond the outermost centres the mask repeats them.

    Returns:
        (R, C, h, w) in the format of ``mask_probs``.
    """
    check_map('mask_probs', mask_probs, '(R, C, m, m)')
    check_choice('align', align, SAMPLINGS)
    height, width = check_size('size', size)
    half = .5 if align == 'center' else 0.
    weights = []
    for cells, taps in zip((height, width), mask_probs.shape[2:]):
        cell = torch.arange(cells, dtype=torch.float64)
        weights.append(line_weights((cell + half) * taps / cells - half, taps))
    with no_autocast(mask_probs.device):
        wide = mask_probs.to(wide_dtype(mask_probs))
        rows, columns = (w.to(wide) for w in weights)
        return (rows @ wide @ columns.T).to(mask_probs.dtype)


def _rounded(boxes: Tensor) -> Tensor:
    """Halves away from 0; the gradient of the identity."""
    whole = boxes.detach().abs().add(.5).floor().copysign(boxes.detach())
    return whole + (boxes - boxes.detach())


@torch.no_grad()
def _images(rois: Tensor, count: int) -> Sequence[int]:
    """Return the image of each RoI."""
    column = rois[:, 0].tolist()
    for row, index in enumerate(column):
        if index not in range(count):
            raise ValueError(
                f'rois[{row}, 0] is {index:g}, the index of an image; features holds '
                f'{count}, so that it must be a whole number below {count}.')
    return [int(index) for index in column]
