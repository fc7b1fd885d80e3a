"""Colours: of classes, and of regions that must differ from their neighbours."""

from typing import Dict, List, Sequence

import numpy as np

#: Colour of pixels without a class.
VOID_COLOR = (0, 0, 0)
#: Region colours: rings of so many hues, (CIELAB lightness, chroma) each. Those
#: after the second are only for regions with very many neighbours.
HUES = 12
RINGS = ((72., 52.), (48., 52.), (86., 30.), (60., 30.), (34., 40.), (60., 80.))
MAIN_RINGS = 2
#: Distance from which two region colours are clearly apart.
CLEAR = 60.


def _lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """Return (n, 3) uint8 RGB of (n, 3) CIELAB colours."""
    import cv2
    rgb = cv2.cvtColor(lab.astype(np.float32)[None], cv2.COLOR_Lab2RGB)[0]
    return np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8)


def _region_lab(hues: int = HUES) -> np.ndarray:
    """Return the colours that regions are given, (rings * hues, 3) CIELAB."""
    rows = []
    for step, (lightness, chroma) in enumerate(RINGS):
        angle = 2 * np.pi * (np.arange(hues) + step / 2) / hues
        rows.append(np.stack([np.full(hues, lightness), chroma * np.cos(angle),
                              chroma * np.sin(angle)], 1))
    return np.concatenate(rows)


def neighbours(labels: np.ndarray) -> Dict[int, List[int]]:
    """Return which labels touch, corners included.

    Args:
        labels: (H, W) int >= 0.

    Returns:
        Label -> labels beside it, for every label with a neighbour.
    """
    pairs = []
    height, width = labels.shape
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = labels[:height - dy, max(0, -dx):width - max(0, dx)]
        b = labels[dy:, max(0, dx):width + min(0, dx)]
        touch = a != b
        pairs.append(np.stack([a[touch], b[touch]], 1))
    found = np.concatenate(pairs)
    found = np.unique(np.concatenate([found, found[:, ::-1]]), axis=0)
    beside: Dict[int, List[int]] = {}
    for one, other in found.tolist():
        beside.setdefault(one, []).append(other)
    return beside


def region_colors(labels: np.ndarray) -> np.ndarray:
    """Give every region a colour far from those of its neighbours.

    Greedy, the largest region first: of the colours that are clearly apart
    (CIELAB) from all coloured neighbours, the one used least. A colour
    repeats beside itself only where the region has more coloured neighbours
    than there are colours (72). The same map gives the same colours.

    Args:
        labels: (H, W) int, 0..Q-1.

    Returns:
        (Q, 3) uint8 RGB.
    """
    candidates = _region_lab()
    distance = np.linalg.norm(candidates[:, None] - candidates[None], axis=2)
    beside = neighbours(labels)
    sizes = np.bincount(labels.ravel())
    chosen = np.full(len(sizes), -1)
    used = np.zeros(len(candidates), int)
    for region in np.argsort(-sizes, kind='stable').tolist():
        taken = [chosen[n] for n in beside.get(region, ()) if chosen[n] >= 0]
        gap = distance[:, taken].min(1) if taken else np.full(len(candidates), 1e9)
        for pool in (HUES * MAIN_RINGS, len(candidates)):
            if gap[:pool].max() > 0:
                break
        far = np.flatnonzero(gap[:pool] >= min(gap[:pool].max(), CLEAR))
        pick = far[np.argmin(used[far])]
        chosen[region] = pick
        used[pick] += 1
    return _lab_to_rgb(candidates)[chosen]


def instance_colors(count: int) -> np.ndarray:
    """Return (count, 3) uint8 RGB, each far from all before it.

    Every next colour is the one whose nearest colour before it is farthest
    (CIELAB); light and dark ones come last. Fewer colours are the first of more,
    so an instance keeps its own; they repeat after 144.

    Args:
        count: Number of instances.
    """
    lab = _region_lab(2 * HUES)
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    order = [0]
    for pool in (2 * HUES * MAIN_RINGS, len(lab)):
        while len(order) < min(count, pool):
            order.append(int(distance[:pool, order].min(1).argmax()))
    rgb = _lab_to_rgb(lab[order])
    return rgb[np.arange(count) % len(rgb)]


def class_palette(palette: Sequence[Sequence[int]], count: int) -> np.ndarray:
    """Return (count, 3) uint8 RGB; made up where the dataset has none.

    Args:
        palette: RGB triples, one a class; may be empty or too short.
        count: Number of classes.
    """
    if len(palette) >= count:
        return np.asarray(palette[:count], np.uint8)
    rgb = _lab_to_rgb(_region_lab()[:HUES * MAIN_RINGS])
    return rgb[np.arange(count) % len(rgb)]


def paint_classes(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB of class labels; others are void.

    Args:
        labels: (H, W) int.
        palette: (C, 3) uint8.
    """
    table = np.concatenate([palette, np.array([VOID_COLOR], np.uint8)])
    known = (labels >= 0) & (labels < len(palette))
    return table[np.where(known, labels, len(palette))]


def overlay(image: np.ndarray, colors: np.ndarray, alpha: float) -> np.ndarray:
    """Lay colours over the image in shades of grey.

    Args:
        image: (H, W, 3) uint8.
        colors: (H, W, 3) uint8.
        alpha: Share of the colours, 0..1.
    """
    grey = image.astype(np.float32) @ np.array([.299, .587, .114], np.float32)
    mixed = (1 - alpha) * grey[..., None] + alpha * colors
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
