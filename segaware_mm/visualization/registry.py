"""Which part of a model has which views.

A family of models adds its views in one module: it makes a :class:`Family`
for the class name of its head, decorates one function per view, and is
listed in :data:`MODULES`. Nothing else has to know about it::

    FAMILY = Family('RANetHead', observe)

    @FAMILY.view('regions')
    def regions(subject): ...
"""

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
from torch import nn

from ..engine.errors import ConfigError
from ..engine.near import did_you_mean, near_names
from .geometry import LEAST_WIDTH, Frame, picture_size

#: Modules that make a family.
MODULES = ('segaware_mm.visualization.ranet_views',
           'segaware_mm.visualization.segaware_views',
           'segaware_mm.visualization.mnc_views',
           'segaware_mm.visualization.transfernet_views')

_families: Dict[str, 'Family'] = {}


@dataclass
class Subject:
    """What a view draws: one image and what the model computed for it.

    Attributes:
        image: (H, W, 3) uint8 RGB, as on the disk.
        output: What the family's ``observe`` returned.
        frame: Brings the model's maps and cells to the image's pixels.
        classes: Names of the classes.
        palette: (C, 3) uint8 RGB, one row a class.
        truth: (H, W) integer labels, or None where unknown.
        ignore_index: Label of pixels without a class.
        width: Least width of the pictures in pixels.
        remark: How the prediction was made, where testing makes it otherwise.
        pixels: (x, y) of pixels that the user chose; may be empty.
    """
    image: np.ndarray
    output: Any
    frame: Frame
    classes: Sequence[str]
    palette: np.ndarray
    truth: Optional[np.ndarray] = None
    ignore_index: int = 255
    width: int = LEAST_WIDTH
    remark: str = ''
    pixels: Sequence[Tuple[int, int]] = ()

    @property
    def size(self) -> Tuple[int, int]:
        """(height, width) of the pictures of this image."""
        return picture_size(*self.image.shape[:2], self.width)


@dataclass
class Picture:
    """A finished view.

    Attributes:
        title: One line above the picture.
        pixels: (h, w, 3) uint8 RGB; every view of an image has its size.
        note: One line below the picture, or ''.
        scale: (colour map, low, high) of a heat map, or None.
        classes: The class ids whose colours are in the picture.
    """
    title: str
    pixels: np.ndarray
    note: str = ''
    scale: Optional[Tuple[str, float, float]] = None
    classes: Sequence[int] = ()


View = Callable[[Subject], Picture]


@dataclass
class Family:
    """The views of one kind of head.

    Attributes:
        head: Class name of the part of the model; subclasses count.
        observe: ``observe(model, part, inputs)`` returns what the views need;
            inputs are the (1, 3, H, W) that the data preprocessor gives.
        views: Name -> function, in the order in which they are drawn.
        with_meta: ``observe`` takes the sample's ``metainfo`` too, as its fourth
            argument: detectors answer in pixels of the image.
    """
    head: str
    observe: Callable[..., Any]
    views: Dict[str, View] = field(default_factory=dict)
    with_meta: bool = False

    def __post_init__(self) -> None:
        _families[self.head] = self

    def view(self, name: str) -> Callable[[View], View]:
        """Register a function as the view ``name``."""

        def register(function: View) -> View:
            self.views[name] = function
            return function

        return register


def known_families() -> Dict[str, Family]:
    """Return all families by the class name of their head."""
    for module in MODULES:
        import_module(module)
    return dict(_families)


def family_of(model: nn.Module) -> Tuple[Family, nn.Module]:
    """Return the first family that has a part in ``model``, and that part.

    Raises:
        ConfigError: Where no part of the model has views; says which have.
    """
    families = known_families()
    for part in model.modules():
        for kind in type(part).__mro__:
            if kind.__name__ in families:
                return families[kind.__name__], part
    head = getattr(model, 'decode_head', None) or getattr(model, 'roi_head', None)
    raise ConfigError(
        'the model has no part with views: it is '
        f'{type(model).__name__}'
        + (f' with {type(head).__name__}' if head is not None else '')
        + f'. Views exist for {", ".join(sorted(families))}.')


def choose_views(available: Dict[str, View], wanted: str) -> List[str]:
    """Return the names of the wanted views.

    Args:
        available: The views there are.
        wanted: 'all', or names separated by commas.

    Raises:
        ConfigError: Where a name is unknown; lists those there are.
    """
    if wanted.strip() == 'all':
        return list(available)
    names = [name.strip() for name in wanted.split(',') if name.strip()]
    unknown = [name for name in names if name not in available]
    if unknown or not names:
        raise ConfigError(
            f'--views {wanted}: '
            + (f'there is no view {", ".join(unknown)}.' if unknown
               else 'no name given.')
            + did_you_mean(n for u in unknown for n in near_names(u, available))
            + f' There are: all, {", ".join(available)}.')
    return list(dict.fromkeys(names))
