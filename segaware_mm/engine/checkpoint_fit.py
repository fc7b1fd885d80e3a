"""Does a checkpoint belong to the model? Asked before it is used.

mmengine loads what matches and warns about the rest, so that a checkpoint of
another model trains or tests random weights.
"""

import re
from collections import OrderedDict
from typing import List, Mapping, NamedTuple

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from .errors import CheckpointError

#: Part of a model that training alone uses.
TRAINING_ONLY = 'auxiliary_head.'


class Fit(NamedTuple):
    """How the weights of a file and those of a model correspond.

    Attributes:
        wanted (list[str]): All weights of the model.
        absent (list[str]): Those that the file has not.
        other (list[str]): Those that the file has in another shape, with both.
        unknown (list[str]): What the file has and the model has not.
    """
    wanted: List[str]
    absent: List[str]
    other: List[str]
    unknown: List[str]

    @property
    def good(self) -> int:
        """The number of the model's weights that fit."""
        return len(self.wanted) - len(self.absent) - len(self.other)

    def without(self, prefix: str) -> 'Fit':
        """Leave a part of the model out."""
        return Fit(*[[name for name in names if not name.startswith(prefix)]
                     for names in self])

    def report(self, path: str) -> str:
        """Return counts and first names, a line for each kind."""
        parts = sorted({name.partition('.')[0] for name in self.absent})
        share = 100 * self.good / max(len(self.wanted), 1)
        return (f'{path}: {self.good} of the {len(self.wanted)} weights of the '
                f'model ({share:.0f} %) are in the checkpoint'
                + _line(f'absent, of {", ".join(parts)}', self.absent)
                + _line('of another shape', self.other)
                + _line('unknown to the model', self.unknown))

    def cause(self) -> str:
        """Return what is probably wrong."""
        if not self.unknown and not self.other:
            return ('The file holds a part of the model alone: start weights of a '
                    'backbone, or a checkpoint of a smaller model?')
        if not self.unknown and not self.absent:
            return ('The same layers in other sizes: another number of classes '
                    'or channels?')
        return 'Is it of another depth, head or config?'


def _line(title: str, names: List[str]) -> str:
    """Return a line with a count and the first three names, or ''."""
    more = ', ...' if len(names) > 3 else ''
    return f'\n  {title}: {len(names)} ({", ".join(names[:3])}{more})' if names else ''


def fit_of(model: nn.Module, weights: Mapping) -> Fit:
    """Load what fits into a model; say what does not.

    torch's own loading is asked, since layers of older versions are renamed
    there.

    Args:
        model (nn.Module): A model without wrappers.
        weights (Mapping): Names, perhaps behind 'module.', and tensors.
    """
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()
           if hasattr(value, 'shape')}
    given = OrderedDict((re.sub(r'^module\.', '', name), value)
                        for name, value in weights.items())
    given._metadata = getattr(weights, '_metadata', {})
    other = []
    for name in own:
        shape = tuple(getattr(given.get(name), 'shape', ()))
        if name in given and shape != own[name]:
            other.append(name + f' {shape}, wanted {own[name]}')
            del given[name]
    found = model.load_state_dict(given, strict=False)
    shaped = {text.partition(' ')[0] for text in other}
    return Fit(*[
        [name for name in names if 'num_batches_tracked' not in name] for names in
        (own, [name for name in found.missing_keys if name not in shaped], other,
         found.unexpected_keys)])


class CheckpointFitHook(Hook):
    """Compare a loaded checkpoint with the model before it is used.

    Args:
        purpose (str): 'resume' wants the model's weights and no others, and the
            state of the training; 'test' the same weights, of which those under
            ``auxiliary_head`` do not count; 'load' (``load_from``) at least one.
        path (str): The file, for the messages.
    """

    priority = 'VERY_HIGH'

    def __init__(self, purpose: str, path: str) -> None:
        self.purpose = purpose
        self.path = path

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Check the checkpoint, as read from the disk.

        Raises:
            CheckpointError: Where it is one of another model, or weights
                alone where a state is wanted.
        """
        if self.purpose == 'resume':
            self._check_state(checkpoint)
        fit = fit_of(bare_model(runner.model), checkpoint.get('state_dict', checkpoint))
        if self.purpose == 'test':
            fit = fit.without(TRAINING_ONLY)
        whole = not (fit.absent or fit.other or fit.unknown)
        if self.purpose == 'load' and fit.good:
            if fit.absent or fit.other:
                runner.logger.warning(
                    f'{fit.report(self.path)}\nThe others keep their initial values.')
        elif not whole:
            raise CheckpointError(
                f'{fit.report(self.path)}\nThe checkpoint belongs to another model '
                f'or config. {fit.cause()}'
                + (' To start a new training from what fits: --cfg-options '
                   f'load_from={self.path}' if self.purpose == 'resume' else ''))

    def _check_state(self, checkpoint: Mapping) -> None:
        """Check that the state of a training is in the checkpoint."""
        absent = [key for key in ('meta', 'state_dict', 'optimizer',
                                  'message_hub') if key not in checkpoint]
        if absent:
            raise CheckpointError(
                f'{self.path} holds no {", ".join(absent)}: weights alone, '
                'from which a training cannot go on. To start a new training '
                f'from them: --cfg-options load_from={self.path}')


def bare_model(model: nn.Module) -> nn.Module:
    """Return the model inside wrappers for several processes or test views."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
