"""One scene: a pure function of seed, split, index and size.

The three streams of randomness (what stands where, how it is painted, light
and camera) are children of one ``SeedSequence`` whose key is the split and
the index, so a scene depends on no other scene and on no order of work.
"""

from typing import List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from . import colors, lighting, objects
from .classes import CLASS_ID, THING_IDS
from .raster import Coverage, coverage
from .textures import TEXTURES

#: Goes into every manifest; raise it with every change of the pictures.
GENERATOR_VERSION = 1

#: Number of each split in the key of the randomness.
SPLITS = {'train': 0, 'val': 1, 'test': 2}

#: Smallest side of an image; below it no outline can be told.
MIN_SIDE = 32

_LEAST_VISIBLE = 0.4  # of every object's pixels
_TRIES = 3


class Instance(NamedTuple):
    """One visible object of a thing class.

    Attributes:
        instance_id: Its value in the instance map, from 1.
        class_id: Its class.
        bbox: x, y, width, height of its visible pixels.
        area: Number of its visible pixels.
        visible: ``area`` over its pixels without occlusion, in (0, 1].
    """
    instance_id: int
    class_id: int
    bbox: Tuple[int, int, int, int]
    area: int
    visible: float


class Scene(NamedTuple):
    """A picture and its labels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        semantic: (H, W) uint8, class ids.
        instance_map: (H, W) int32, 0 or an ``instance_id``.
        instances: The objects, by ``instance_id``.
    """
    image: np.ndarray
    semantic: np.ndarray
    instance_map: np.ndarray
    instances: List[Instance]


def render_scene(seed: int, index: int, size: Tuple[int, int] = (128, 160),
                 split: str = 'train', kinds: Optional[int] = None) -> Scene:
    """Draw one scene.

    Args:
        seed: Seed of the whole set, >= 0.
        index: Number of the scene in its split, >= 0.
        size: Height and width in pixels, each >= 32.
        split: 'train', 'val' or 'test'; the splits share no scene.
        kinds: Classes of objects that the scene has beside sky and ground, 0 to
            8 (an object may be hidden by others); None leaves that to chance.

    Returns:
        The picture with its labels. The same arguments give the same bytes.

    Raises:
        ValueError: If an argument is out of range.
    """
    _check(seed, index, size, split, kinds)
    height, width = size
    streams = np.random.SeedSequence(
        seed, spawn_key=(SPLITS[split], index)).spawn(3)
    place, paint, camera = (np.random.default_rng(s) for s in streams)
    frame = objects.Frame(height, width, min(height, width) / 128.0,
                          height * place.uniform(0.25, 0.6))
    light = float(paint.uniform(-1, 1))
    canvas = _Canvas(frame, paint, light)
    canvas.backdrop(place)
    for item in objects.arrange(place, frame, kinds):
        canvas.add(item)
    lighting.cloud_shadows(camera, canvas.image)
    lighting.illuminate(camera, canvas.image)
    instance_map, instances = canvas.instances()
    return Scene(
        lighting.expose(camera, canvas.image, frame.unit), canvas.semantic,
        instance_map, instances)


class _Canvas:
    """The painter: keeps the picture, the labels and who is still visible."""

    def __init__(self, frame: objects.Frame, rng: np.random.Generator,
                 light: float) -> None:
        shape = (frame.height, frame.width)
        self.frame = frame
        self.rng = rng
        self.light = light
        self.palette = colors.scene_palette(rng)
        self.image = np.full(shape + (3, ), 0.5, np.float32)
        self.semantic = np.full(shape, CLASS_ID['sky'], np.uint8)
        self.owner = np.zeros(shape, np.int32)  # number of the front object
        self.class_of = [-1]  # by object number; 0 is the backdrop
        self.full = [0]
        self.seen = [0]

    def backdrop(self, place: np.random.Generator) -> None:
        """Paint sky, ground and the stripes on it."""
        frame = self.frame
        sky = coverage([[np.array([[0, 0], [frame.width, 0],
                                   [frame.width, frame.height],
                                   [0, frame.height]], float)]],
                       frame.height, frame.width)
        self._paint(sky, 'clouds', frame.unit, 0.5)
        ground = coverage([[objects.ground_line(place, frame)]], frame.height,
                          frame.width)
        stripes = objects.painted_lines(place, frame)
        if ground is None:
            return
        self._paint(ground, 'furrows', frame.unit, 0.5)
        self.semantic[ground.window][ground.alpha >= 0.5] = CLASS_ID['ground']
        mark = coverage(stripes, frame.height, frame.width) if stripes else None
        if mark is not None:
            on_ground = self.semantic[mark.window] == CLASS_ID['ground']
            self._paint(mark._replace(alpha=mark.alpha * on_ground), 'plain',
                        frame.unit)

    def add(self, item: objects.Item) -> None:
        """Paint an object, unless it would hide too much of another one."""
        found = coverage(item.groups, self.frame.height, self.frame.width)
        if found is None:
            return
        mask = found.alpha >= 0.5
        area = int(mask.sum())
        if area < 12 or not self._may_hide(found, mask):
            return
        if item.base is not None and item.shadow is not None:
            lighting.cast_shadow(self.image, item.shadow, item.base,
                                 self.light, self.frame.unit,
                                 self.rng.uniform(0.2, 0.5))
        self._paint(found, item.texture, item.unit)
        if item.spot is not None:
            spot = coverage(item.spot, self.frame.height, self.frame.width)
            if spot is not None:
                self._paint(spot, item.spot_texture, item.unit)
        self.owner[found.window][mask] = len(self.full)
        self.semantic[found.window][mask] = item.class_id
        self.class_of.append(item.class_id)
        self.full.append(area)
        self.seen.append(area)

    def _may_hide(self, found: Coverage, mask: np.ndarray) -> bool:
        hidden = np.bincount(self.owner[found.window][mask],
                             minlength=len(self.full))
        left = np.array(self.seen) - hidden
        left[0] = 0
        if (left < _LEAST_VISIBLE * np.array(self.full)).any():
            return False
        self.seen = left.tolist()
        return True

    def _paint(self, found: Coverage, texture: str, unit: float,
               contrast: float = 1.0) -> None:
        below = self.image[found.window]
        behind = cv2.mean(below, (found.alpha >= 0.5).astype(np.uint8))[:3]
        first, second = colors.pick_pair(self.rng, self.palette,
                                         np.array(behind, np.float32),
                                         contrast)
        mix = TEXTURES[texture](self.rng, *found.alpha.shape, unit)
        coat = first + mix[..., None] * (second - first)
        lighting.shade_object(self.rng, coat, self.light)
        below += found.alpha[..., None] * (coat - below)

    def instances(self) -> Tuple[np.ndarray, List[Instance]]:
        """Number the visible things from 1, far to near."""
        number = np.zeros(len(self.full), np.int32)
        rows = []
        for owner, class_id in enumerate(self.class_of):
            if class_id not in THING_IDS or self.seen[owner] == 0:
                continue
            number[owner] = len(rows) + 1
            box = cv2.boundingRect((self.owner == owner).astype(np.uint8))
            rows.append(
                Instance(len(rows) + 1, class_id, box, self.seen[owner],
                         round(self.seen[owner] / self.full[owner], 4)))
        return number[self.owner], rows


def _check(seed: int, index: int, size: Tuple[int, int], split: str,
           kinds: Optional[int]) -> None:
    if seed < 0:
        raise ValueError(f'seed must be 0 or more, got {seed}')
    if index < 0:
        raise ValueError(f'index must be 0 or more, got {index}')
    if len(size) != 2 or min(size) < MIN_SIDE:
        raise ValueError('size must be height and width of at least '
                         f'{MIN_SIDE} pixels each, got {tuple(size)}')
    if kinds is not None and not 0 <= kinds <= objects.KINDS:
        raise ValueError(f'kinds must be 0 to {objects.KINDS} classes of objects, or '
                         f'None for any number, got {kinds}')
    if split not in SPLITS:
        raise ValueError(f'split must be one of {", ".join(SPLITS)}, '
                         f'got {split!r}')
