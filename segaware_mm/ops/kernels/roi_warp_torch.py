"""RoI warping by ``grid_sample``, a chunk of the RoIs of one image at a time.

The points of a chunk of n RoIs form one grid (1, n*h, w, 2), so that the map of
the image serves all of them as it is. The backward pass keeps features, boxes and
the places of the maxima, and finds the sample points of each chunk again.
"""

from typing import Any, Iterator, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ..bilinear import bilinear_gradients, bilinear_sample
from ..compiling import opaque
from ..roi_warp import box_points

#: Elements of a chunk before pooling.
ELEMENTS = 1 << 22


@opaque
def warp_boxes(features: Tensor, images: Sequence[int], boxes: Tensor,
               size: Tuple[int, int], sampling: str, pool: int,
               chunk: Optional[int]) -> Tensor:
    """Return (R, C, h / pool, w / pool) for boxes (R, 4) in pixels of the map."""
    if chunk is None:
        chunk = max(1, ELEMENTS // (features.shape[1] * size[0] * size[1]))
    return _Warp.apply(features, boxes, images, size, sampling, pool, chunk)


def _jobs(images: Sequence[int], chunk: int,
          device: torch.device) -> Iterator[Tuple[int, Iterator[Tensor]]]:
    """Yield every image that has RoIs, with its RoIs in chunks."""
    for image in sorted(set(images)):
        rows = torch.tensor([r for r, i in enumerate(images) if i == image],
                            device=device)
        yield image, rows.split(chunk)


def _channel_groups(features: Tensor) -> int:
    """Return in how many parts the channels are sampled, as if they were images.

    On the CPU ``grid_sample`` gives each thread an image; there is but one.
    """
    if features.device.type != 'cpu':
        return 1
    threads = torch.get_num_threads()
    return next(n for n in range(min(threads, features.shape[1]), 0, -1)
                if features.shape[1] % n == 0) if features.shape[1] else 1


def _grouped(features: Tensor, groups: int) -> Tensor:
    """Return a map (C, H, W) as (groups, C / groups, H, W)."""
    return features.unflatten(0, (groups, -1))


class _Warp(Function):

    @staticmethod
    def forward(ctx: Any, features: Tensor, boxes: Tensor, images: Sequence[int],
                size: Tuple[int, int], sampling: str, pool: int, chunk: int) -> Tensor:
        groups = _channel_groups(features)
        shape = (len(boxes), features.shape[1], *(n // pool for n in size))
        out = features.new_empty(shape)
        places = None
        if pool > 1 and any(ctx.needs_input_grad):
            small = size[0] * size[1] < 1 << 15
            places = torch.empty(shape, dtype=torch.int16 if small else torch.int32,
                                 device=features.device)
        for image, chunks in _jobs(images, chunk, features.device):
            feature = _grouped(features[image].to(boxes.dtype), groups)
            for rows in chunks:
                points = box_points(boxes[rows], size, sampling).flatten(0, 1)
                cells = bilinear_sample(feature, points.expand(groups, -1, -1, -1))
                cells = cells.flatten(0, 1).unflatten(1, (len(rows), size[0]))
                if places is not None:
                    cells, found = F.max_pool2d(cells, pool, return_indices=True)
                    places[rows] = found.transpose(0, 1).to(places.dtype)
                elif pool > 1:
                    cells = F.max_pool2d(cells, pool)
                out[rows] = cells.transpose(0, 1).to(out.dtype)
        ctx.save_for_backward(features, boxes, places)
        ctx.how = images, size, sampling, pool, chunk
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        features, boxes, places = ctx.saved_tensors
        images, size, sampling, pool, chunk = ctx.how
        wanted = ctx.needs_input_grad[:2]
        groups = _channel_groups(features)
        of_features = torch.zeros_like(features) if wanted[0] else None
        of_boxes = torch.zeros_like(boxes) if wanted[1] else None
        for image, chunks in _jobs(images, chunk, features.device):
            feature = _grouped(features[image].to(boxes.dtype), groups)
            total = torch.zeros_like(feature) if wanted[0] else None
            for rows in chunks:
                box = boxes[rows].detach().requires_grad_(wanted[1])
                with torch.enable_grad():
                    points = box_points(box, size, sampling)
                signal = grad[rows].to(boxes.dtype).transpose(0, 1)
                if places is not None:
                    signal = _unpooled(signal, places[rows].transpose(0, 1), size, pool)
                grid = points.detach().flatten(0, 1).expand(groups, -1, -1, -1)
                of_feature, of_points = bilinear_gradients(
                    feature, grid, _grouped(signal.flatten(1, 2), groups), wanted)
                if wanted[1]:
                    of_boxes[rows], = torch.autograd.grad(
                        points, box, of_points.sum(0).view_as(points))
                if wanted[0]:
                    total += of_feature
            if wanted[0]:
                of_features[image] = total.flatten(0, 1).to(features.dtype)
        return of_features, of_boxes, None, None, None, None, None


def _unpooled(grad: Tensor, places: Tensor, size: Tuple[int, int],
              pool: int) -> Tensor:
    """Return (C, n, h, w): the gradient at the maxima, 0 elsewhere."""
    like = grad.new_empty(*grad.shape[:2], *size)  # only its shape counts
    return torch.ops.aten.max_pool2d_with_indices_backward(
        grad.contiguous(), like, [pool, pool], [pool, pool], [0, 0], [1, 1], False,
        places.long().contiguous())
