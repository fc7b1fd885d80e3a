"""What stands in a scene: kinds, sizes, places. Nothing is painted here.

Lengths are multiples of ``unit``, one hundred-and-twenty-eighth of the image's
shorter side, times the scale that the depth of the object gives.
"""

from typing import Dict, List, NamedTuple, Optional

import numpy as np

from . import shapes, textures
from .classes import CLASS_ID
from .shapes import Group


class Frame(NamedTuple):
    """The stage of one scene, all in pixels.

    Attributes:
        height: Rows of the image.
        width: Columns of the image.
        unit: One hundred-and-twenty-eighth of the shorter side.
        horizon: Row where the ground begins.
    """
    height: int
    width: int
    unit: float
    horizon: float


class Item(NamedTuple):
    """One object to be painted.

    Attributes:
        class_id: Its class.
        groups: Its outline, see :mod:`.shapes`.
        texture: Name of its texture.
        depth: 0 at the horizon, 1 at the viewer; far objects come first.
        unit: Length of one texture unit in pixels.
        base: Row it stands on; None where it hangs in the air.
        shadow: The part of its outline that casts a shadow.
        spot: Outline of a printed mark on it, without a label of its own.
        spot_texture: Texture of that mark.
    """
    class_id: int
    groups: List[Group]
    texture: str
    depth: float
    unit: float
    base: Optional[float] = None
    shadow: Optional[List[Group]] = None
    spot: Optional[List[Group]] = None
    spot_texture: str = 'plain'


def arrange(rng: np.random.Generator, frame: Frame,
            kinds: Optional[int] = None) -> List[Item]:
    """Draw the objects of a scene, farthest first.

    Wide images hold more of them: the mean counts below are for 5 to 4.

    Args:
        rng: Source of all choices.
        frame: Of the scene.
        kinds: Classes of objects that the scene has, at least one object each;
            None leaves that to chance.
    """
    chosen = list(_KINDS) if kinds is None else list(
        rng.choice(list(_KINDS), kinds, replace=False))
    area = np.clip(frame.width / frame.height / 1.25, 0.6, 3.0)
    items = []
    for name, (mean, least, make) in _KINDS.items():
        if name not in chosen:
            continue
        least = least if kinds is None else 1
        for _ in range(max(least, int(rng.poisson(mean * area)))):
            items.append(make(rng, frame, name))
    return sorted(items, key=lambda item: item.depth)


def ground_line(rng: np.random.Generator, frame: Frame) -> np.ndarray:
    """Return the outline of the ground: a tilted, wavy horizon down to the rim."""
    x = np.linspace(-2, frame.width + 2, 64)
    y = frame.horizon + rng.uniform(-0.08, 0.08) * (x - frame.width / 2)
    for waves in (1.0, 2.3, 5.1):
        y += (rng.uniform(0, 3.5) * frame.unit / waves**0.5 * np.sin(
            2 * np.pi * waves * x / frame.width + rng.uniform(0, 2 * np.pi)))
    rim = frame.height + 2.0
    return np.concatenate([
        np.stack([x, y], axis=1), [[x[-1], rim], [x[0], rim]]
    ])


def painted_lines(rng: np.random.Generator, frame: Frame) -> List[Group]:
    """Return flat stripes on the ground: thin, but not poles."""
    stripes = []
    for _ in range(rng.integers(0, 4)):
        start = np.array([rng.uniform(0, frame.width),
                          rng.uniform(frame.horizon + 0.15 * frame.height,
                                      frame.height)])
        reach = rng.uniform(0.3, 0.9) * frame.width
        slope = rng.uniform(-0.35, 0.35)
        ends = np.stack([start, start + reach * np.array([1.0, slope])])
        stripes.append([
            shapes.band(ends, max(rng.uniform(0.9, 2.2) * frame.unit, 1.0))
        ])
    return stripes


def _stand(rng: np.random.Generator, frame: Frame) -> tuple:
    """Return depth, row of the foot, and unit length at that depth."""
    depth = float(rng.uniform(0, 1)**1.3)
    base = frame.horizon + (0.03 + 0.92 * depth) * (
        frame.height - frame.horizon)
    return depth, base, frame.unit * (0.7 + 0.65 * depth)


def _building(rng: np.random.Generator, frame: Frame, name: str) -> Item:
    depth, base, unit = _stand(rng, frame)
    # one thickness and one elongation for both: only the direction differs
    thick = rng.uniform(16, 29) * unit
    long = thick * rng.uniform(1.9, 3.4)
    width, height = (thick, long) if name == 'tower' else (long, thick)
    if name == 'tower':
        base = max(base, 0.72 * height)  # most of it inside the image
    margin = min(0.3 * width, 0.4 * frame.width)
    groups = [[
        shapes.block(rng.uniform(margin, frame.width - margin), base, width,
                     height, rng.normal(0, 0.04))
    ]]
    return Item(CLASS_ID[name], groups, _any(rng, textures.BUILDING), depth,
                unit, base, groups)


def _lump(rng: np.random.Generator, frame: Frame, name: str) -> Item:
    depth, base, unit = _stand(rng, frame)
    radius = rng.uniform(13, 25) * unit
    groups = [[
        shapes.blob(rng, rng.uniform(0, frame.width), base - 0.7 * radius,
                    radius)
    ]]
    texture = 'blotches' if name == 'bush' else 'layers'
    return Item(CLASS_ID[name], groups, texture, depth, unit, base, groups)


def _compact(rng: np.random.Generator, frame: Frame, name: str) -> Item:
    depth, base, unit = _stand(rng, frame)
    radius = rng.uniform(13, 25) * unit
    x = rng.uniform(0.03, 0.97) * frame.width
    y, foot = base - 0.9 * radius, base
    if rng.random() < 0.5:
        y, foot = rng.uniform(0.05, 0.9) * frame.height, None
    turn = rng.uniform(0, 2 * np.pi)
    squash = radius * rng.uniform(0.8, 1.0)
    inner = rng.uniform(0.45, 0.68)
    hole = shapes.ellipse(x, y, radius * inner, squash * inner, turn)
    body, spot = textures.texture_pair(rng)
    if name == 'star':
        group = [
            shapes.star(x, y, 1.25 * radius, int(rng.integers(4, 8)),
                        rng.uniform(0.42, 0.62), turn)
        ]
    else:
        group = [shapes.ellipse(x, y, radius, squash, turn)]
    if name == 'ring':
        group.append(hole)
    marked = name != 'ring' and rng.random() < 0.5
    return Item(CLASS_ID[name], [group], body, depth, unit, foot, [group],
                [[hole]] if marked else None, spot)


def _pole(rng: np.random.Generator, frame: Frame, name: str) -> Item:
    depth, base, unit = _stand(rng, frame)
    thick = max(rng.uniform(1.8, 3.6) * unit, 1.5)
    thin = max(rng.uniform(1.1, 1.7) * unit, 1.3)
    x = rng.uniform(0, frame.width)
    height = min(rng.uniform(45, 85) * unit, 1.1 * base)
    lean = rng.normal(0, 0.05)
    top = np.array([x + height * np.sin(lean), base - height * np.cos(lean)])
    posts = [[shapes.band(np.stack([[x, base], top]), thick)]]
    if rng.random() < 0.4:
        reach = rng.uniform(6, 14) * unit * np.array([np.cos(lean),
                                                      np.sin(lean)])
        arm = top + (0.0, rng.uniform(2, 10) * unit)
        posts.append([shapes.band(np.stack([arm - reach, arm + reach]), thin)])
    wires = []
    for _ in range(rng.choice((0, 1, 2), p=(0.35, 0.35, 0.3))):
        far = rng.choice((-0.1, 1.1)) * frame.width
        end = np.array([far, top[1] + rng.uniform(-25, 30) * unit])
        wires.append([
            shapes.band(
                shapes.hanging_line(top, end, rng.uniform(1, 16) * unit), thin)
        ])
    return Item(CLASS_ID[name], posts + wires, 'plain', depth, unit, base,
                posts)


def _any(rng: np.random.Generator, names: tuple) -> str:
    return names[rng.integers(len(names))]


#: name: (mean count, least count, maker)
_KINDS: Dict[str, tuple] = {
    'tower': (1.6, 0, _building),
    'wall': (1.4, 0, _building),
    'bush': (1.3, 0, _lump),
    'rock': (1.3, 0, _lump),
    'pole': (1.7, 0, _pole),
    'disc': (1.4, 0, _compact),
    'ring': (1.9, 0, _compact),
    'star': (1.7, 0, _compact),
}

#: How many classes of objects there are.
KINDS = len(_KINDS)
