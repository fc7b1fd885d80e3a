"""A ResNet of a finer output that responds as its weights were trained to.

Where a strided convolution loses its stride, all convolutions behind it read every second
position ("a trous": Chen, Papandreou, Kokkinos, Murphy, Yuille, ICLR 2015, section 3.1).
Then the finer map contains the coarse one, exactly::

    fine[:, :, ::2, ::2] = coarse

The option ``dilations`` of mmseg's ResNet is another thing: of a BasicBlock it dilates
one convolution of two, and the one that lost its stride too. A network that learns adapts
to that, a frozen one cannot.
"""

from typing import Any, Iterator

from mmseg.models.backbones import ResNet
from mmseg.registry import MODELS
from torch import nn

from ..ops.checks import check_number

#: Of the stem: a convolution and a pool.
STEM_STRIDE = 4


@MODELS.register_module()
class AtrousResNet(ResNet):
    """mmseg's ResNet whose later stages keep the stride ``output_stride``.

    Args:
        output_stride (int): 4 or a multiple; strides of stages that would go beyond are
            taken away.
        **kwargs: As of ``ResNet``; ``strides`` are those that the weights were trained
            with, (1, 2, 2, 2) by default.

    Raises:
        TypeError, ValueError: ``output_stride`` is out of its range, or an option cannot
            be taken a trous: ``dilations``, ``avg_down``, ``dcn``, ``plugins``.
    """

    def __init__(self, output_stride: int = 8, **kwargs: Any) -> None:
        check_number('output_stride', output_stride, STEM_STRIDE, integer=True)
        if output_stride % STEM_STRIDE:
            raise ValueError(f'output_stride is {output_stride}; a multiple of '
                             f'{STEM_STRIDE}, the stride of the stem, is wanted.')
        stages = kwargs.get('num_stages', 4)
        kwargs.setdefault('strides', (1, 2, 2, 2)[:stages])
        kwargs.setdefault('dilations', (1, ) * stages)
        if any(rate != 1 for rate in kwargs['dilations']):
            raise ValueError(f'dilations are {kwargs["dilations"]}; leave them out, '
                             'output_stride decides.')
        for name in ('avg_down', 'dcn', 'plugins'):
            if kwargs.get(name):
                raise ValueError(f'{name}={kwargs[name]} cannot be taken a trous; leave '
                                 'it out.')
        super().__init__(**kwargs)
        stride, rate = STEM_STRIDE, 1
        for name, factor in zip(self.res_layers, self.strides):
            if stride * factor <= output_stride:
                stride *= factor
            else:
                rate = take_a_trous(getattr(self, name), rate)


def take_a_trous(stage: nn.Sequential, rate: int) -> int:
    """Take the strides of a stage away and dilate what comes behind them.

    Args:
        stage: Blocks; changed in place.
        rate: Of the dilation of its input: positions of it from one to the next of the
            trained network.

    Returns:
        The rate of its output.
    """
    for block in stage:
        if block.downsample is not None:
            for conv in convolutions(block.downsample):
                conv.stride = (1, 1)
        for conv in convolutions(block, without='downsample'):
            factor, conv.stride = conv.stride[0], (1, 1)
            if conv.kernel_size != (1, 1):
                conv.dilation = (rate, rate)
                conv.padding = tuple(rate * (size // 2) for size in conv.kernel_size)
            rate *= factor
    return rate


def convolutions(module: nn.Module, without: str = ' ') -> Iterator[nn.Conv2d]:
    """Yield convolutions in their order; ``without`` is a part that is left out."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Conv2d) and name.split('.')[0] != without:
            yield part
