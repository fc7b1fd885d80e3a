"""Draw the views of images with one model: one sheet, one PNG per image."""

import os
import os.path as osp
import tempfile
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ..engine.atomic import AtomicLocalBackend
from ..engine.errors import ConfigError
from . import common_views
from .geometry import LEAST_WIDTH, Frame
from .load import Image, Loaded, check_image, load_image, load_model
from .panel import compose
from .registry import Family, Picture, Subject, View, choose_views, family_of


def available_views(family: Family) -> Dict[str, View]:
    """Return all views by name, in the order of a sheet."""
    return dict(image=common_views.image, truth=common_views.truth, **family.views)


def subject_of(loaded: Loaded, image: Image, width: int = LEAST_WIDTH,
               pixels: Sequence[Tuple[int, int]] = ()) -> Subject:
    """Run the model on an image; return what the views draw.

    Args:
        loaded: The model.
        image: The image.
        width: Least width of the pictures in pixels.
        pixels: (x, y) of pixels of the image that some views look at.

    Raises:
        ConfigError: A pixel lies outside the image.
    """
    height, across = image.pixels.shape[:2]
    for x, y in pixels:
        if not (0 <= x < across and 0 <= y < height):
            raise ConfigError(
                f'--pixels {x},{y}: the image {image.meta.get("img_path", "")} has '
                f'{across} x {height} pixels; x must be 0..{across - 1}, y '
                f'0..{height - 1}.')
    family, part = family_of(loaded.model)
    meta = (image.meta, ) if family.with_meta else ()
    output = family.observe(loaded.model, part, image.inputs, *meta)
    frame = Frame(tuple(image.inputs.shape[2:]), image.meta,
                  getattr(part, 'align_corners', False))
    windows = (getattr(loaded.model, 'test_cfg', None) or {}).get('mode') == 'slide'
    return Subject(image.pixels, output, frame, loaded.classes, loaded.palette,
                   image.truth, getattr(part, 'ignore_index', 255), width,
                   'whole image, not in windows' if windows else '', tuple(pixels))


def draw_views(loaded: Loaded, image: Image, names: Sequence[str],
               width: int = LEAST_WIDTH,
               pixels: Sequence[Tuple[int, int]] = ()) -> List[Picture]:
    """Return the views of an image; 'truth' is left out where unknown.

    Args:
        loaded: The model.
        image: The image.
        names: Of the views.
        width: Least width of the pictures in pixels.
        pixels: See :func:`subject_of`.
    """
    views = available_views(family_of(loaded.model)[0])
    subject = subject_of(loaded, image, width, pixels)
    return [views[name](subject) for name in names
            if name != 'truth' or subject.truth is not None]


def check_folder(folder: str) -> None:
    """Make a folder and try to write there.

    Raises:
        ConfigError: It is a file, or cannot be written to.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f'--out {folder}: no pictures can be written there '
            f'({error.strerror or error}). Name a folder, new or writable.'
        ) from error


def file_names(images: Sequence[str]) -> List[str]:
    """Return a name for every image's sheet; equal stems are numbered."""
    names: List[str] = []
    for path in images:
        stem = osp.splitext(osp.basename(path))[0]
        name, number = f'{stem}.png', 2
        while name in names:
            name, number = f'{stem}_{number}.png', number + 1
        names.append(name)
    return names


def check_targets(images: Sequence[str], targets: Sequence[str]) -> None:
    """Check that no sheet would replace one of the images.

    Raises:
        ConfigError: Names the first that would.
    """
    places = {osp.realpath(path) for path in images}
    for target in targets:
        if osp.realpath(target) in places:
            raise ConfigError(f'--out {osp.dirname(target)}: the picture {target} '
                              'would replace the image it is drawn from. Name '
                              'another folder.')


def visualize(config: str, checkpoint: str, images: Sequence[str], out: str,
              views: str = 'all', options: Optional[Dict[str, Any]] = None,
              pixels: Sequence[Tuple[int, int]] = ()) -> Iterator[str]:
    """Draw the views of images, and yield every file written.

    Args:
        config: Config file of the model.
        checkpoint: Its weights.
        images: Image files.
        out: Folder for the pictures.
        views: 'all', or names separated by commas.
        options: As of ``--cfg-options``.
        pixels: See :func:`subject_of`.

    Raises:
        UserError: Config, checkpoint, image, views or folder; the text says
            what to mend. Pictures yielded before it stay.
    """
    for path in images:
        check_image(path)
    targets = [osp.join(out, name) for name in file_names(images)]
    check_targets(images, targets)
    loaded = load_model(config, checkpoint, options)
    names = choose_views(available_views(family_of(loaded.model)[0]), views)
    check_folder(out)
    model = osp.splitext(osp.basename(config))[0]
    for path, target in zip(images, targets):
        pictures = draw_views(loaded, load_image(loaded, path), names,
                              pixels=pixels)
        if not pictures:
            raise ConfigError(f'--views {views}: the datasets of the config hold '
                              f'no labels of {path}, so there is nothing to draw.')
        header = f'{osp.basename(path)}   |   {model}, {osp.basename(checkpoint)}'
        sheet = compose(pictures, header, loaded.classes, loaded.palette)
        AtomicLocalBackend().put(sheet, target)
        yield target
