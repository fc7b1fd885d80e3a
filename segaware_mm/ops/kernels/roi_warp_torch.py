"""RoI warping by ``grid_sample``, a chunk of the RoIs of one image at a time.

The points of a chunk of n RoIs form one grid (1, n*h, w, 2), so that the map of
the image serves all of them as it is. The backward pass keeps features and boxes
alone and samples each chunk again.
"""

from typing import Any, Iterator, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..bilinear import bilinear_sample
from ..compiling import opaque
from ..precision import no_autocast
from ..roi_warp import box_points

#: Elements of a chunk's result.
ELEMENTS = 1 << 22


@opaque
def warp_boxes(features: Tensor, images: Sequence[int], boxes: Tensor,
               size: Tuple[int, int], sampling: str, chunk: Optional[int]) -> Tensor:
    """Return (R, C, h, w) for boxes (R, 4) in pixels of the map."""
    if chunk is None:
        chunk = max(1, ELEMENTS // (features.shape[1] * size[0] * size[1]))
    return _Warp.apply(features, boxes, images, size, sampling, chunk)


def _jobs(images: Sequence[int], chunk: int,
          device: torch.device) -> Iterator[Tuple[int, Iterator[Tensor]]]:
    """Yield every image that has RoIs, with its RoIs in chunks."""
    for image in sorted(set(images)):
        rows = torch.tensor([r for r, i in enumerate(images) if i == image],
                            device=device)
        yield image, rows.split(chunk)


def _sample(feature: Tensor, boxes: Tensor, size: Tuple[int, int],
            sampling: str) -> Tensor:
    """Return (C, n, h, w) of a map (1, C, H, W) and boxes (n, 4)."""
    points = box_points(boxes, size, sampling).flatten(0, 1)
    cells = bilinear_sample(feature, points[None]).squeeze(0)  # [0] would be copied back
    return cells.unflatten(1, (len(boxes), size[0]))


class _Warp(Function):

    @staticmethod
    def forward(ctx: Any, features: Tensor, boxes: Tensor, images: Sequence[int],
                size: Tuple[int, int], sampling: str, chunk: int) -> Tensor:
        ctx.save_for_backward(features, boxes)
        ctx.how = images, size, sampling, chunk
        out = features.new_empty(len(boxes), features.shape[1], *size)
        for image, chunks in _jobs(images, chunk, features.device):
            feature = features[image:image + 1].to(boxes.dtype)
            for rows in chunks:
                cells = _sample(feature, boxes[rows], size, sampling)
                out[rows] = cells.transpose(0, 1).to(out.dtype)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        features, boxes = ctx.saved_tensors
        images, size, sampling, chunk = ctx.how
        wanted = ctx.needs_input_grad[:2]
        of_features = torch.zeros_like(features) if wanted[0] else None
        of_boxes = torch.zeros_like(boxes) if wanted[1] else None
        for image, chunks in _jobs(images, chunk, features.device):
            feature = features[image:image + 1].detach().to(boxes.dtype)
            feature.requires_grad_(wanted[0])
            total = torch.zeros_like(feature) if wanted[0] else None
            for rows in chunks:
                box = boxes[rows].detach().requires_grad_(wanted[1])
                with torch.enable_grad(), no_autocast(features.device):
                    cells = _sample(feature, box, size, sampling)
                leaves = [t for t, need in zip((feature, box), wanted) if need]
                signal = grad[rows].to(boxes.dtype).transpose(0, 1)
                found = list(torch.autograd.grad(cells, leaves, signal))
                del cells, signal
                if wanted[1]:
                    of_boxes[rows] = found.pop()
                if wanted[0]:
                    total += found.pop()
            if wanted[0]:
                of_features[image] = total[0].to(features.dtype)
        return of_features, of_boxes, None, None, None, None
