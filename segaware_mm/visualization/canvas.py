"""What the views paint with: borders, dots, heat."""

from typing import Tuple

import numpy as np

from .colors import overlay


def borders(labels: np.ndarray, width: int = 1) -> np.ndarray:
    """Return (H, W) bool: pixels at the border between two labels.

    Args:
        labels: (H, W) int, at the picture's size.
        width: Pixels; the line lies astride the border.
    """
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    if width > 1:
        import cv2
        edge = cv2.dilate(edge.astype(np.uint8), np.ones((width, width))) > 0
    return edge


def draw_borders(pixels: np.ndarray, labels: np.ndarray,
                 color: Tuple[int, int, int] = (255, 255, 255),
                 alpha: float = 0.9, width: int = 1) -> np.ndarray:
    """Return the picture with thin lines between the labels.

    Args:
        pixels: (H, W, 3) uint8.
        labels: (H, W) int.
        color: RGB of the lines.
        alpha: Their opacity, 0..1.
        width: Their width in pixels.
    """
    out = pixels.astype(np.float32)
    edge = borders(labels, width)
    out[edge] = (1 - alpha) * out[edge] + alpha * np.array(color, np.float32)
    return np.rint(out).astype(np.uint8)


def draw_dots(pixels: np.ndarray, centres: np.ndarray, colors: np.ndarray,
              radius: float) -> np.ndarray:
    """Return the picture with a dot, ringed in white, at every centre.

    Args:
        pixels: (H, W, 3) uint8.
        centres: (n, 2) of (x, y) in pixels, real-valued.
        colors: (n, 3) uint8 RGB.
        radius: Of the dot in pixels, without its ring.
    """
    import cv2
    out = np.array(pixels, order='C')
    shift = 4  # cv2 draws at 1/16 of a pixel
    places = np.rint((centres - 0.5) * 2**shift).astype(int)
    for ring, extra in ((True, max(1., radius / 3)), (False, 0.)):
        for (x, y), color in zip(places.tolist(), colors.tolist()):
            cv2.circle(out, (x, y), round((radius + extra) * 2**shift),
                       (255, 255, 255) if ring else color, -1, cv2.LINE_AA, shift)
    return out


def heat(values: np.ndarray, name: str, low: float, high: float) -> np.ndarray:
    """Return (H, W, 3) uint8 colours of values.

    Args:
        values: (H, W) float.
        name: Of a matplotlib colour map.
        low, high: Values at the ends of the map.
    """
    import matplotlib
    unit = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return (matplotlib.colormaps[name](unit)[..., :3] * 255).round().astype(np.uint8)


def glow(image: np.ndarray, values: np.ndarray, name: str) -> np.ndarray:
    """Lay heat over a darkened image; the opacity grows with the value.

    Args:
        image: (H, W, 3) uint8.
        values: (H, W) float in 0..1.
        name: Of a matplotlib colour map.
    """
    dark = overlay(image, np.zeros_like(image), 0.45).astype(np.float32)
    opacity = np.clip(values, 0, 1)[..., None]**0.5
    mixed = (1 - opacity) * dark + opacity * heat(values, name, 0, 1)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def draw_boxes(pixels: np.ndarray, boxes: np.ndarray, colors: np.ndarray,
               alpha: np.ndarray, width: int = 1, dash: int = 0) -> np.ndarray:
    """Return the picture with the outlines of boxes, the last one on top.

    Args:
        pixels: (H, W, 3) uint8.
        boxes: (n, 4) of x1, y1, x2, y2 in pixels, real-valued; what lies outside
            the picture is moved to its border.
        colors: (n, 3) uint8 RGB.
        alpha: (n, ) opacity of the lines, 0..1.
        width: Of the lines in pixels, inside the box.
        dash: Length of dashes and of the gaps between them; 0 for whole lines.
    """
    out = pixels.astype(np.float32)
    limit = np.array([pixels.shape[1], pixels.shape[0]] * 2)
    for box, color, share in zip(boxes, colors, alpha):
        left, top, right, bottom = np.clip(np.rint(box), 0, limit).astype(int).tolist()
        # A box without area is a pixel.
        left, top = min(left, limit[0] - 1), min(top, limit[1] - 1)
        part = out[top:max(bottom, top + 1), left:max(right, left + 1)]
        line = np.ones(part.shape[:2], bool)
        line[width:-width, width:-width] = False
        if dash:
            y, x = np.indices(line.shape, sparse=True)
            line &= (x + y) // dash % 2 == 0
        part[line] = (1 - share) * part[line] + share * color.astype(np.float32)
    return np.rint(out).astype(np.uint8)
