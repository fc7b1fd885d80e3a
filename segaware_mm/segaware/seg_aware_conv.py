"""The segmentation-aware convolution as a layer.

Harley, Derpanis, Kokkinos, ICCV 2017, eq. 3 and 4. Shapes: B batch, C input and
O output channels, P = K*K taps, E embedding dimensions.
"""

from typing import Any, List, Optional, Tuple, Union

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..ops.checks import check_choice
from ..ops.local_attention import (
    local_distance,
    mask_from_distance,
    masked_conv2d,
)
from .guide import Guide

Pair = Union[int, Tuple[int, int]]


@MODELS.register_module()
class SegAwareConv2d(nn.Conv2d):
    """``nn.Conv2d`` whose taps attend to their own segment.

    y_p = sum_t w_t m_t(p) x_{p+t} + b with m_t(p) = exp(-|hardness| d_t(p)) and
    d the distance of the embeddings of p and p + t. The weights have the names
    and shapes of ``nn.Conv2d`` and load from it; ``hardness``, one learned
    number, keeps its value where a checkpoint has none. At hardness 0 the layer
    is ``F.conv2d`` bit for bit, if ``normalize`` is 'none', or 'mean' with
    border 'zero'. A 1x1 convolution has nothing to mask: it is a plain one and
    has no hardness.

    As ``conv_cfg=dict(type='SegAwareConv2d')`` it replaces the convolutions of
    an upstream head; the embedding comes by a guide, see
    :mod:`segaware_mm.segaware.guide`.

    Args:
        in_channels, out_channels, groups, bias, device, dtype: As in
            ``nn.Conv2d``.
        kernel_size (int): K, odd.
        stride (int): As in ``nn.Conv2d``, the same for both axes.
        padding (int | str): dilation * (K // 2) or 'same'; others are refused.
        dilation (int): The same for both axes.
        padding_mode (str): 'zeros'.
        hardness (float): Initial value; the published one is 0.05. At 0 its
            gradient, and the embedding's, are 0: it stays there.
        norm (str): Distance: 'l1' (published), 'l2' or 'sq'.
        border (str): 'zero' or 'drop', of taps outside the map.
        normalize (str): 'none' (published), 'sum' (eq. 4; divides trained
            weights by about K*K) or 'mean'.
        impl (str): See :mod:`segaware_mm.ops.local_attention`.

    Raises:
        ValueError: An even or oblong window, another padding, an unknown choice.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 kernel_size: Pair,
                 stride: Pair = 1,
                 padding: Union[str, Pair] = 'same',
                 dilation: Pair = 1,
                 groups: int = 1,
                 bias: bool = True,
                 padding_mode: str = 'zeros',
                 device: Any = None,
                 dtype: Any = None,
                 *,
                 hardness: float = 0.05,
                 norm: str = 'l1',
                 border: str = 'zero',
                 normalize: str = 'none',
                 impl: str = 'auto') -> None:
        size, stride, dilation = (
            _one_number(name, value) for name, value in
            (('kernel_size', kernel_size), ('stride', stride),
             ('dilation', dilation)))
        if size % 2 == 0:
            raise ValueError(f'kernel_size must be odd, got {size}: the window of '
                             'a mask needs a centre pixel.')
        if padding_mode != 'zeros':
            raise ValueError(f"padding_mode must be 'zeros', got {padding_mode!r}.")
        same = dilation * (size // 2)
        if padding != 'same' and _one_number('padding', padding) != same:
            raise ValueError(
                f"padding must be {same} or 'same' for kernel_size {size} and "
                f'dilation {dilation}, got {padding}: masks are made for every '
                'pixel of the map.')
        check_choice('impl', impl, ('auto', 'tap', 'dcn', 'reference'))
        check_choice('norm', norm, ('l1', 'l2', 'sq'))
        check_choice('border', border, ('zero', 'drop'))
        check_choice('normalize', normalize, ('none', 'sum', 'mean'))
        super().__init__(in_channels, out_channels, size, stride, same, dilation,
                         groups, bias, padding_mode, device, dtype)
        self.norm, self.border, self.normalize = norm, border, normalize
        self.impl = impl
        self.guide: Optional[Guide] = None
        self.initial_hardness = float(hardness)
        self.hardness = None if size == 1 else nn.Parameter(
            torch.full((1, ), float(hardness), device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Initialise as ``nn.Conv2d`` does, and the hardness as it was given."""
        super().reset_parameters()
        if getattr(self, 'hardness', None) is not None:
            nn.init.constant_(self.hardness, self.initial_hardness)

    def forward(self, x: Tensor, embedding: Optional[Tensor] = None) -> Tensor:
        """Convolve.

        Args:
            x: (B, C, H, W).
            embedding: (B, E, H, W), or None for the one the guide shows.

        Returns:
            (B, O, ceil(H / stride), ceil(W / stride)).

        Raises:
            RuntimeError: There is no embedding.
            ValueError: The embedding is of another batch or size.
        """
        return self._conv_forward(x, self.weight, self.bias, embedding)

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Optional[Tensor],
                      embedding: Optional[Tensor] = None) -> Tensor:
        """Convolve by these weights, as torch's layers do.

        mmcv folds batch norms into it (``efficient_conv_bn_eval``).
        """
        if self.hardness is None:
            return super()._conv_forward(x, weight, bias)
        if x.dim() != 4:
            raise ValueError('x must have shape (B, C, H, W), got '
                             f'{tuple(x.shape)}.')
        stride, dilation = self.stride[0], self.dilation[0]
        size = tuple(x.shape[2:])
        mask = mask_from_distance(
            self._distance(x, embedding), size, dilation, stride, self.hardness,
            self.border, self.normalize)
        return masked_conv2d(x, weight, self._like(mask, x), bias, stride, dilation,
                             self.groups, self.impl)

    @staticmethod
    def _like(mask: Tensor, x: Tensor) -> Tensor:
        """The mask in x's format; in float32 where that is half precision."""
        return mask.to(x.dtype if x.dtype == torch.float64 else torch.float32)

    def _distance(self, x: Tensor, embedding: Optional[Tensor]) -> Tensor:
        size, window = tuple(x.shape[2:]), (self.kernel_size[0], self.dilation[0],
                                            self.stride[0], self.norm)
        if embedding is None:
            shown = self.guide.shown if self.guide is not None else None
            if shown is None:
                raise RuntimeError(
                    'SegAwareConv2d has no embedding: pass one to forward, or put '
                    'the layer below SegAwareHead, SegAwareBackbone or another '
                    'owner of a Guide, which shows one during its forward.')
            self._check(x, shown.embedding, False)
            return shown.distance(size, *window)
        self._check(x, embedding, True)
        return local_distance(embedding, *window)

    @staticmethod
    def _check(x: Tensor, embedding: Tensor, same_size: bool) -> None:
        if len(x) != len(embedding) or same_size and \
                x.shape[2:] != embedding.shape[2:]:
            wanted = f'({len(x)}, E, {x.shape[2]}, {x.shape[3]})'
            raise ValueError(f'embedding has shape {tuple(embedding.shape)}; with x '
                             f'{tuple(x.shape)} it must be {wanted}.')

    def _load_from_state_dict(self, state_dict: dict, prefix: str, metadata: dict,
                              strict: bool, missing_keys: List[str],
                              unexpected_keys: List[str],
                              error_msgs: List[str]) -> None:
        """Load plain convolutions too: they have no hardness."""
        super()._load_from_state_dict(state_dict, prefix, metadata, strict,
                                      missing_keys, unexpected_keys, error_msgs)
        if prefix + 'hardness' in missing_keys:
            missing_keys.remove(prefix + 'hardness')

    def extra_repr(self) -> str:
        return (f'{super().extra_repr()}, norm={self.norm!r}, '
                f'border={self.border!r}, normalize={self.normalize!r}')


def _one_number(name: str, value: Any) -> int:
    """Return the number that holds for both axes."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2 or both[0] != both[1] or not isinstance(both[0], int):
        raise ValueError(f'{name} must be one integer for both axes, got {value}.')
    return both[0]
