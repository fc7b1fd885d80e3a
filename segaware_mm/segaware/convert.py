"""Make the convolutions of a network segmentation-aware.

Harley, Derpanis, Kokkinos (ICCV 2017) replace all 3x3 convolutions of VGG-16
LargeFOV (conv1_1 to conv5_3 and fc6, 14 layers) and keep their weights.
"""

from typing import Any, Callable, List, Optional, Sequence, Union

import torch
from torch import nn

from .seg_aware_conv import SegAwareConv2d

Select = Union[None, Sequence[str], Callable[[str, nn.Conv2d], bool]]


def convert_to_segaware(module: nn.Module, select: Select = None,
                        **options: Any) -> List[str]:
    """Replace plain convolutions by :class:`SegAwareConv2d`, in place.

    Weights and biases are the same parameters as before (not copies), so an
    optimizer that exists already keeps training them; the new hardnesses are
    not in it. A layer that is frozen stays so, with its hardness. A layer that
    stands in several places is replaced in all of them by one.

    Args:
        module: The network. A convolution itself cannot be replaced in place.
        select: Which layers: None for every square convolution of odd size
            above 1 with "same" padding, but for those that compute the offsets of a
            deformable one (``conv_offset``); a list of names as in
            ``named_modules``; or a function of name and layer.
        **options: ``hardness``, ``norm``, ``border``, ``normalize``, ``impl`` of
            the new layers.

    Returns:
        Names of the replaced layers; of a shared one, the first.

    Raises:
        TypeError: ``module`` is itself a convolution.
        ValueError: ``select`` names a layer that is not there or cannot be
            replaced, or nothing was selected.
    """
    if isinstance(module, nn.Conv2d):
        raise TypeError('module is itself a convolution: build a SegAwareConv2d.')
    plain = {name: layer for name, layer in module.named_modules(remove_duplicate=False)
             if _is_plain(layer)}
    first = {name for name, _ in module.named_modules()}
    if select is None:
        chosen = [name for name, layer in plain.items()
                  if name in first and _why_not(layer) is None
                  and name.rpartition('.')[2] != 'conv_offset']
    elif callable(select):
        chosen = [name for name, layer in plain.items()
                  if name in first and select(name, layer)]
    else:
        unknown = [name for name in select if name not in plain]
        if unknown:
            raise ValueError(
                f'select names {unknown[0]!r}, which is no plain convolution of '
                f'the module; there are {", ".join(plain) or "none"}.')
        chosen = list(select)
    if not chosen:
        raise ValueError('select chose no convolution; there are '
                         f'{", ".join(plain) or "none"}.')
    for name in chosen:
        why = _why_not(plain[name])
        if why:
            raise ValueError(f'{name} cannot become segmentation-aware: {why}.')
    aware = {plain[name]: _aware(plain[name], options) for name in chosen}
    for parent in list(module.modules()):
        # Not named_children, which names a layer once that a parent holds twice.
        for last, layer in list(parent._modules.items()):
            if layer in aware:
                setattr(parent, last, aware[layer])
    return list(dict.fromkeys(chosen))


def _is_plain(layer: nn.Module) -> bool:
    """Whether it is torch's convolution, or mmcv's of the same name."""
    return isinstance(layer, nn.Conv2d) and type(layer).__name__ == 'Conv2d'


def _why_not(layer: nn.Conv2d) -> Optional[str]:
    """Say why a layer cannot be replaced, None where it can."""
    size, dilation = layer.kernel_size, layer.dilation
    same = tuple(d * (k // 2) for k, d in zip(size, dilation))
    if size[0] == 1 or size[0] != size[1] or size[0] % 2 == 0:
        return f'its window is {size[0]}x{size[1]}, not odd and square above 1'
    if layer.stride[0] != layer.stride[1] or dilation[0] != dilation[1]:
        return 'its axes differ in stride or dilation'
    if layer.padding != 'same' and tuple(layer.padding) != same:
        return f'its padding is {layer.padding}, not {same}'
    if layer.padding_mode != 'zeros':
        return f'its padding_mode is {layer.padding_mode!r}'
    if layer._parameters.get('weight') is None:
        return 'its weight is computed (spectral or weight norm, pruning)'
    if layer._forward_hooks or layer._forward_pre_hooks:
        return 'it has forward hooks, which would be lost'
    return None


def _aware(layer: nn.Conv2d, options: dict) -> SegAwareConv2d:
    """The layer's segmentation-aware twin, with the same parameters."""
    with torch.device('meta'):
        new = SegAwareConv2d(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride,
            'same', layer.dilation, layer.groups, layer.bias is not None,
            **options)
    weight = layer.weight
    new.weight, new.bias = weight, layer.bias
    new.hardness = nn.Parameter(
        torch.full((1, ), new.initial_hardness, device=weight.device,
                   dtype=weight.dtype),
        requires_grad=weight.requires_grad)
    return new.train(layer.training)
