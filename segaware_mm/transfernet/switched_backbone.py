"""Any backbone as an encoder with switches, for networks that have no max pools.

Where a backbone halves its maps by strided convolutions there is no maximum to
remember. What a switch says is where in a 2x2 window the signal was; here that is read
off the finer map f, in one of two ways:

    'energy'    e_p = sum_c f_{c,p}^2,  switch[j] = arg max of e over window j
    'channel'   switch[c, j] = arg max of f_c over window j

the first one plane for all channels, the second a plane for each, as pools have;
a decoder must then arrive with as many channels as f has.

Shapes: B batch; maps f_1 (finest) to f_n (coarsest),
each (B, C_k, h_k, w_k) with half the pixels of the one before along both axes.
"""

from typing import List, Optional, Sequence, Tuple

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor

from ..ops.checks import check_choice, check_number
from ..ops.precision import no_autocast, wide_dtype
from ..ops.switch_pooling import pool_with_switches
from .frozen import FrozenByOption
from .switched_maps import SwitchedMaps

Size = Tuple[int, int]
#: How switches are read off a map.
SWITCHES = ('energy', 'channel', 'none')


@MODELS.register_module()
class SwitchedBackbone(FrozenByOption, BaseModule):
    """Wraps a backbone whose maps halve from one to the next.

    The coarsest map is the feature; from each finer map come the switches of one
    level. Below the finest map, down to the image, levels have no switches: a
    decoder upsamples there, or ends before. A ResNet with ``out_indices=(0, 1, 2,
    3)`` gives three levels with switches (to strides 16, 8 and 4) and two without
    (to stride 2 and to the image).

    Args:
        backbone (dict): Any mm backbone, such as ``dict(type='mmseg.ResNet', ...)``;
            its ``out_indices`` choose the maps, finest first.
        finest_stride (int): Of the backbone's first map, a power of 2; 4 for a
            ResNet with ``out_indices`` from 0 on.
        switches (str): 'energy', 'channel', or 'none', which leaves all out.
        frozen (bool): Nothing learns, norms keep their statistics.
        init_cfg (dict | None): As in ``BaseModule``.
    """

    def __init__(self,
                 backbone: dict,
                 finest_stride: int = 4,
                 switches: str = 'energy',
                 frozen: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        check_choice('switches', switches, SWITCHES)
        check_number('finest_stride', finest_stride, 1, integer=True)
        if finest_stride & (finest_stride - 1):
            raise ValueError(f'finest_stride must be a power of 2, got {finest_stride}.')
        self.backbone = MODELS.build(backbone)
        self.finest_stride = finest_stride
        self.switches = switches
        self.freeze(frozen)

    def forward(self, image: Tensor) -> SwitchedMaps:
        """Return the coarsest map and the levels of an image (B, 3, H, W).

        Raises:
            ValueError: The sizes of the maps are not halves of each other.
        """
        with self.grad_context():
            maps = self.backbone(image)
        maps = [maps] if isinstance(maps, Tensor) else list(maps)
        switches = []
        for finer, coarser in zip(maps, maps[1:]):
            rounds_up = check_halved(finer.shape[2:], coarser.shape[2:])
            switches.append(self.record(finer, rounds_up))
        below = halvings(image.shape[2:], maps[0].shape[2:], self.finest_stride)
        sizes = below + [tuple(m.shape[2:]) for m in maps[:-1]]
        switches = [None] * len(below) + switches
        return SwitchedMaps(maps[-1], tuple(switches[::-1]), tuple(sizes[::-1]))


    def record(self, finer: Tensor, rounds_up: bool) -> Optional[Tensor]:
        """Return the switches of a level from its finer map, None without."""
        if self.switches == 'none':
            return None
        if self.switches == 'energy':
            return energy_switches(finer, rounds_up)
        return pool_with_switches(finer.detach(), ceil_mode=rounds_up)[1]


@torch.no_grad()
def energy_switches(features: Tensor, ceil_mode: bool = True) -> Tensor:
    """Return where in each 2x2 window the feature is largest.

    Args:
        features: (B, C, H, W).
        ceil_mode: As for the pool.

    Returns:
        (B, 1, h, w) int64.
    """
    with no_autocast(features.device):
        # Squares of large half-precision features are inf in half precision.
        wide = features.detach().to(wide_dtype(features))
        energy = wide.square().sum(1, keepdim=True)
        return pool_with_switches(energy, ceil_mode=ceil_mode)[1]


def check_halved(finer: Sequence[int], coarser: Sequence[int]) -> bool:
    """Return whether halving rounded up; raise where it was no halving."""
    for rounds_up in (True, False):
        if tuple(coarser) == tuple((n + rounds_up) // 2 for n in finer):
            return rounds_up
    raise ValueError(
        f'the backbone has maps of {tuple(finer)} and {tuple(coarser)}, one after the '
        'other; each must be half of the one before. Choose out_indices of strides '
        'such as 4, 8, 16, without dilated stages.')


def halvings(image: Sequence[int], finest: Sequence[int], stride: int) -> List[Size]:
    """Return the sizes from the image on, by halves, down to twice the finest map.

    Raises:
        ValueError: The finest map has not the stride that is said.
    """
    for rounds_up in (True, False):
        chain = [tuple(image)]
        while len(chain) < stride.bit_length():
            chain.append(tuple((n + rounds_up) // 2 for n in chain[-1]))
        if chain[-1] == tuple(finest):
            return chain[:-1]
    raise ValueError(
        f'the finest map has {tuple(finest)} pixels for an image of {tuple(image)}, '
        f'which is not stride {stride}; set finest_stride, or choose other out_indices.')
