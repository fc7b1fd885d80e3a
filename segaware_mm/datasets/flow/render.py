"""One procedural pair: a pure function of seed, split, index and size.

Textured layers with outlines lie over a textured backdrop; each has its own
affine motion, after that of the camera. The nearer hide the farther. The flow
of a pixel is the motion of the layer that the first image shows there, exact,
also where the second image hides it.
"""

from typing import List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from ..scenes import colors
from ..scenes.raster import coverage
from ..scenes.shapes import Group
from ..scenes.textures import ANY, TEXTURES
from .layers import Layer, canvas_box, coat, covered, draw_outline
from .motion import Motion, draw_motion

#: Goes into every manifest; raise it with every change of the pictures, also
#: with one of the scenes' shapes, colours or textures.
GENERATOR_VERSION = 1

#: Number of each split in the key of the randomness.
SPLITS = {'train': 0, 'val': 1, 'test': 2}

#: Smallest side of an image.
MIN_SIDE = 32

#: Standard deviations of motions: shift in 128ths of the shorter side, rotation
#: in radians, log of the size.
CAMERA = (2.0, 0.015, 0.012)
OWN = (5.0, 0.06, 0.03)
_STILL = 0.2  # share of the layers that only the camera moves
_NOISE = 2.0  # largest standard deviation of an image's noise, grey values
_BLUR = 0.6  # of a texture, pixels: a sharper line would not survive resampling


class FlowPair(NamedTuple):
    """Two images and the motion from the first to the second.

    Attributes:
        first, second: (H, W, 3) uint8 RGB.
        flow: (H, W, 2) float32, u and v in pixels.
        layers: (H, W) uint8, the layer that the first image shows, 0 the
            backdrop.
        visible: (H, W) bool, the pixel's layer is in front in the second image
            too, at the four pixels about the end of its flow.
    """
    first: np.ndarray
    second: np.ndarray
    flow: np.ndarray
    layers: np.ndarray
    visible: np.ndarray


def render_pair(seed: int, index: int, size: Tuple[int, int] = (128, 160),
                split: str = 'train') -> FlowPair:
    """Draw one pair.

    Args:
        seed: Seed of the whole set, >= 0.
        index: Number of the pair in its split, >= 0.
        size: Height and width in pixels, each >= 32.
        split: 'train', 'val' or 'test'; the splits share no pair.

    Returns:
        The pair. The same arguments give the same bytes.

    Raises:
        ValueError: If an argument is out of range.
    """
    _check(seed, index, size, split)
    streams = np.random.SeedSequence(
        seed, spawn_key=(SPLITS[split], index)).spawn(3)
    place, paint, camera = (np.random.default_rng(s) for s in streams)
    height, width = size
    layers = _layers(place, paint, height, width)
    first, owner = _compose(layers, False, height, width)
    second, owner_after = _compose(layers, True, height, width)
    flows = np.stack([layer.motion.flow(height, width) for layer in layers])
    flow = np.take_along_axis(flows, owner[None, ..., None].astype(int), 0)[0]
    return FlowPair(_expose(camera, first), _expose(camera, second),
                    flow.astype(np.float32), owner,
                    _visible(flow, owner, owner_after))


def _layers(place: np.random.Generator, paint: np.random.Generator, height: int,
            width: int) -> List[Layer]:
    """Return the backdrop and three to eight layers, far to near."""
    unit = min(height, width) / 128
    palette = colors.scene_palette(paint)
    middle = (width / 2, height / 2)
    camera = draw_motion(place, middle, CAMERA[0] * unit, *CAMERA[1:])
    layers = [_paint(paint, palette, None, camera, height, width, None)]
    picture, owner = _compose(layers, False, height, width)
    for _ in range(place.integers(3, 9)):
        x, y = place.uniform(-0.05, 1.05, 2) * (width, height)
        outline = draw_outline(place, x, y, place.uniform(10, 34) * unit)
        own = draw_motion(place, (x, y), OWN[0] * unit, *OWN[1:])
        still = place.random() < _STILL
        motion = camera if still else camera.after(own)
        layers.append(_paint(paint, palette, outline, motion, height, width, picture))
        _lay(layers[-1], len(layers) - 1, False, picture, owner)
    return layers


def _paint(rng: np.random.Generator, palette: np.ndarray,
           outline: Optional[List[Group]], motion: Motion, height: int, width: int,
           behind: Optional[np.ndarray]) -> Layer:
    """Return a layer with a texture that differs from what it hides."""
    unit = min(height, width) / 128
    below = np.full(3, 0.5, np.float32)
    found = None if outline is None else coverage(outline, height, width)
    if found is not None and (found.alpha >= 0.5).any():
        below = behind[found.window][found.alpha >= 0.5].mean(0)
    top, left, bottom, right = canvas_box(outline, motion, height, width)
    first, second = colors.pick_pair(rng, palette, below)
    kind = ANY[rng.integers(len(ANY))]
    mix = TEXTURES[kind](rng, bottom - top, right - left, unit)
    mix = cv2.GaussianBlur(mix.astype(np.float32), (0, 0), _BLUR)
    return Layer(outline, motion, first + mix[..., None] * (second - first),
                 (top, left))


def _compose(layers: List[Layer], second: bool, height: int,
             width: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return a picture (H, W, 3) float32 and its front layers (H, W) uint8."""
    image = np.zeros((height, width, 3), np.float32)
    owner = np.zeros((height, width), np.uint8)
    for number, layer in enumerate(layers):
        _lay(layer, number, second, image, owner)
    return image, owner


def _lay(layer: Layer, number: int, second: bool, image: np.ndarray,
         owner: np.ndarray) -> None:
    """Lay one more layer over a picture, in place."""
    found = covered(layer, second, *owner.shape)
    if found is None:
        return
    below = image[found.window]
    below += found.alpha[..., None] * (coat(layer, second, found) - below)
    owner[found.window][found.alpha >= 0.5] = number


def _visible(flow: np.ndarray, owner: np.ndarray, after: np.ndarray) -> np.ndarray:
    """See :class:`FlowPair`."""
    height, width = owner.shape
    rows, columns = np.mgrid[:height, :width]
    ends = np.floor(np.stack([rows + flow[..., 1], columns + flow[..., 0]])).astype(int)
    visible = np.ones(owner.shape, bool)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, column = ends[0] + down, ends[1] + right
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        row, column = row.clip(0, height - 1), column.clip(0, width - 1)
        visible &= inside & (after[row, column] == owner)
    return visible


def _expose(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return a picture as uint8, with noise."""
    noise = rng.normal(0, rng.uniform(0, _NOISE), image.shape)
    return np.clip(np.rint(255 * image + noise), 0, 255).astype(np.uint8)


def _check(seed: int, index: int, size: Tuple[int, int], split: str) -> None:
    if seed < 0:
        raise ValueError(f'seed must be 0 or more, got {seed}')
    if index < 0:
        raise ValueError(f'index must be 0 or more, got {index}')
    if len(size) != 2 or min(size) < MIN_SIDE:
        raise ValueError('size must be height and width of at least '
                         f'{MIN_SIDE} pixels each, got {tuple(size)}')
    if split not in SPLITS:
        raise ValueError(f'split must be one of {", ".join(SPLITS)}, '
                         f'got {split!r}')
