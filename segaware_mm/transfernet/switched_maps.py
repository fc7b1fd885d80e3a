"""What an encoder hands to an unpooling decoder.

Shapes: B batch, C channels; level k leads from a map h_k x w_k to a finer one of
H_k x W_k. Levels are counted from the coarsest to the finest.
"""

from typing import Any, NamedTuple, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor


class SwitchedMaps(NamedTuple):
    """The coarsest map, and for every level on the way back how to unpool.

    A tuple, so that it passes through mmseg's ``EncoderDecoder`` from backbone to
    head as any other list of maps; a plain head with ``in_index=0`` reads the
    coarsest map.

    Attributes:
        feature: (B, C, h, w), the coarsest map.
        switches: From the coarsest level to the finest: int64 (B, C_k, h_k, w_k),
            (B, 1, h_k, w_k) where all channels share them, or None where the
            level has none and a decoder upsamples.
        sizes: (H_k, W_k) to which every level is unpooled; the last one is the
            image's.
    """

    feature: Tensor
    switches: Tuple[Optional[Tensor], ...]
    sizes: Tuple[Tuple[int, int], ...]

    @classmethod
    def of(cls, value: Any) -> 'SwitchedMaps':
        """Return what an encoder gave as SwitchedMaps.

        Activation checkpointing of a whole encoder hands a plain tuple on.

        Raises:
            TypeError: It is neither.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, tuple) and len(value) == 3 and \
                isinstance(value[0], Tensor) and isinstance(value[1], tuple):
            return cls(*value)
        raise TypeError(
            'wanted SwitchedMaps from the backbone (VGG16Switch, SwitchedBackbone '
            f'around another one), got {type(value).__name__}.')

    def select(self, rows: Union[Tensor, Sequence[int]]) -> 'SwitchedMaps':
        """Return the maps of some images, in the given order, repeats allowed.

        Everything is copied for the chosen rows; choose those of one chunk at a
        time, and memory follows the chunk.

        Args:
            rows: (P,) indices of images, 0..B-1.

        Returns:
            The same with P in place of B.

        Raises:
            TypeError, ValueError: Not a list of integers, or one out of range
                (a tensor on the CPU and lists alone are looked at).
        """
        device, batch = self.feature.device, len(self.feature)
        if not isinstance(rows, Tensor):
            rows = torch.tensor(list(rows), dtype=torch.int64)
        if rows.dim() != 1 or rows.is_floating_point() or rows.dtype == torch.bool:
            raise TypeError('rows must be a list of indices of images, got a '
                            f'{rows.dtype} tensor of shape {tuple(rows.shape)}.')
        if rows.device.type == 'cpu' and len(rows):
            low, high = int(rows.min()), int(rows.max())
            if low < 0 or high >= batch:
                raise ValueError(f'rows are in {low}..{high}; there are {batch} images, '
                                 f'0..{batch - 1}.')
        rows = rows.to(device=device, dtype=torch.int64)
        return SwitchedMaps(
            self.feature.index_select(0, rows),
            tuple(None if s is None else s.index_select(0, rows) for s in self.switches),
            self.sizes)

    def repeated(self, count: int) -> 'SwitchedMaps':
        """Return the maps of one image for several rows, without a copy.

        Args:
            count: P, rows wanted.

        Raises:
            ValueError: There is not one image.
        """
        if len(self.feature) != 1:
            raise ValueError(f'repeated is for the maps of one image; these are of '
                             f'{len(self.feature)}. Use select([row]) first.')
        return SwitchedMaps(
            self.feature.expand(count, -1, -1, -1),
            tuple(None if s is None else s.expand(count, -1, -1, -1)
                  for s in self.switches), self.sizes)
