"""The segmentation-aware mean field, one pixel and one tap at a time.

Written from the equations, sharing no code with the fast path. Meant for
float64 and maps of a few dozen pixels.
"""

from typing import List, Optional, Tuple

import torch
from torch import Tensor


def neighbours(place: Tuple[int, int], size: Tuple[int, int], kernel_size: int,
               dilation: int) -> List[Tuple[int, int]]:
    """Return the pixels of a window that are in the map, without its centre."""
    reach = range(-(kernel_size // 2), kernel_size // 2 + 1)
    found = [(place[0] + dy * dilation, place[1] + dx * dilation)
             for dy in reach for dx in reach if (dy, dx) != (0, 0)]
    return [(y, x) for y, x in found if 0 <= y < size[0] and 0 <= x < size[1]]


def message(q: Tensor, features: Tensor, kernel_size: int,
            dilation: int) -> Tensor:
    """Return (B, C, H, W): sum over a window of softmax(-|f_p - f_q|^2 / 2) q."""
    batch, classes, height, width = q.shape
    result = []
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                others = neighbours((y, x), (height, width), kernel_size, dilation)
                if not others:
                    result.append(q.new_zeros(classes))
                    continue
                here = features[b, :, y, x]
                powers = torch.stack([
                    -(here - features[b, :, v, u]).square().sum() / 2
                    for v, u in others])
                weights = powers.softmax(0)
                result.append(sum(w * q[b, :, v, u]
                                  for w, (v, u) in zip(weights, others)))
    return torch.stack(result).view(batch, height, width, classes).permute(0, 3, 1, 2)


def segaware_mean_field(unary: Tensor, embedding: Tensor, num_iters: int = 2,
                        bilateral_kernel: int = 13, bilateral_dilation: int = 9,
                        spatial_kernel: int = 5, spatial_dilation: int = 1,
                        embedding_scale=200., bilateral_xy_scale=0.05,
                        spatial_xy_scale=0.05,
                        spatial_weight: Optional[Tensor] = None,
                        bilateral_weight: Optional[Tensor] = None,
                        compatibility: Optional[Tensor] = None) -> Tensor:
    """Return the logits (B, C, H, W)."""
    batch, classes, height, width = unary.shape
    eye = torch.eye(classes, dtype=unary.dtype)
    spatial_weight = eye if spatial_weight is None else spatial_weight
    bilateral_weight = eye if bilateral_weight is None else bilateral_weight
    compatibility = -eye if compatibility is None else compatibility
    rows, cols = torch.meshgrid(torch.arange(height), torch.arange(width),
                                indexing='ij')
    xy = torch.stack([cols, rows]).to(unary).expand(batch, -1, -1, -1)
    f = torch.cat([embedding_scale * embedding, bilateral_xy_scale * xy], 1)
    g = spatial_xy_scale * xy
    u = unary
    for _ in range(num_iters):
        q = u.softmax(1)
        bilateral = message(q, f, bilateral_kernel, bilateral_dilation)
        spatial = message(q, g, spatial_kernel, spatial_dilation)
        both = torch.einsum('ij,bjhw->bihw', spatial_weight, spatial) + \
            torch.einsum('ij,bjhw->bihw', bilateral_weight, bilateral)
        u = unary - torch.einsum('ij,bjhw->bihw', compatibility, both)
    return u
