"""The fully connected layers of VGG-16, from checkpoints with torchvision's names."""

from typing import Sequence

from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

#: Names of fc6 and fc7 in torchvision's checkpoints.
VGG_LAYERS = ('classifier.0', 'classifier.3')


def load_vgg_fc(checkpoint: str, layers: Sequence[nn.Module],
                argument: str = 'pretrained_fc') -> None:
    """Fill fc6 and fc7 from a checkpoint.

    Args:
        checkpoint: File or address, with ``classifier.0`` and ``classifier.3``.
        layers: fc6 and fc7, linear layers or convolutions: those see the map that
            VGG-16 flattens, so fc6 is one of 7x7 and fc7 of 1x1.
        argument: Name of the argument that gave the checkpoint, for the message.

    Raises:
        ValueError: A layer is missing, or of another size.
    """
    state = CheckpointLoader.load_checkpoint(checkpoint, 'cpu')
    state = state.get('state_dict', state)
    for layer, name in zip(layers, VGG_LAYERS):
        for kind, target in layer.named_parameters():
            found = state.get(f'{name}.{kind}')
            wanted = tuple(target.flatten(1).shape if kind == 'weight' else target.shape)
            if found is None or tuple(found.shape) != wanted:
                shape = None if found is None else tuple(found.shape)
                raise ValueError(
                    f'{argument}={checkpoint} has {name}.{kind} of shape {shape}; '
                    f'wanted is {wanted}, that of VGG-16. Leave {argument} at None for '
                    'other networks.')
            target.data.copy_(as_shape_of(found, target))


def as_shape_of(weight: Tensor, target: Tensor) -> Tensor:
    """Return a linear layer's weight (O, C * k * k) as a convolution's (O, C, k, k)."""
    return weight.reshape(target.shape)
