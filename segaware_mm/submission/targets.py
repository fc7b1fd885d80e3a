"""All targets by name."""

from importlib import import_module
from typing import Dict, Iterator

from ..engine.near import did_you_mean, near_names
from .problem import SubmissionError
from .target import Target

#: Modules with a constant TARGET or TARGETS.
MODULES = ('ade20k', 'cityscapes_instance', 'cityscapes_pixel', 'coco_instance',
           'coco_stuff', 'voc_segmentation')


def get_target(name: str) -> Target:
    """Return the target of a name.

    Raises:
        SubmissionError: There is none; near names are told.
    """
    if name not in TARGETS:
        raise SubmissionError(f'there is no target {name!r}.'
                              f'{did_you_mean(near_names(name, TARGETS))} There are '
                              f'{", ".join(TARGETS)}.')
    return TARGETS[name]


def _found() -> Iterator[Target]:
    for module in MODULES:
        content = import_module(f'{__package__}.{module}')
        yield from getattr(content, 'TARGETS', None) or (content.TARGET, )


#: Target of every name.
TARGETS: Dict[str, Target] = {one.name: one for one in
                              sorted(_found(), key=lambda one: one.name)}
