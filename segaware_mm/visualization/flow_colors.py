"""Optical flow as colours: the direction is the hue, the length the saturation."""

from typing import Optional

import cv2
import numpy as np

#: Colour of pixels without a known flow.
UNKNOWN_COLOR = (0, 0, 0)


def longest(flow: np.ndarray, known: Optional[np.ndarray] = None) -> float:
    """Return the length of the longest known flow in pixels, 0 where none is.

    Args:
        flow: (H, W, 2).
        known: (H, W) bool; all pixels if None.
    """
    lengths = np.linalg.norm(flow, axis=2)
    lengths = lengths if known is None else lengths[known]
    return float(lengths.max()) if lengths.size else 0.


def flow_colors(flow: np.ndarray, known: Optional[np.ndarray] = None,
                reach: Optional[float] = None) -> np.ndarray:
    """Paint a flow.

    Right is red, down chartreuse, left cyan, up violet (hues 0, 90, 180 and 270
    degrees); no motion is white, and longer ones are darker beyond ``reach``.

    Args:
        flow: (H, W, 2), u and v in pixels.
        known: (H, W) bool; others are black. All pixels if None.
        reach: Length with full saturation, pixels; give the same one to pictures
            that are to be compared. The longest known flow if None.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: Another shape, or a reach that is not positive.
    """
    if flow.ndim != 3 or flow.shape[2] != 2:
        raise ValueError(f'flow must have shape (H, W, 2), got {flow.shape}.')
    if reach is not None and not reach > 0:
        raise ValueError(f'reach must be positive, got {reach}.')
    flow = np.asarray(flow, np.float32)
    if known is None:
        known = np.isfinite(flow).all(2)
    flow = np.where(known[..., None], flow, np.float32(0))
    share = np.linalg.norm(flow, axis=2) / (reach or longest(flow) or 1.)
    hue = np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360
    value = np.where(share > 1, 0.75, 1)
    hsv = np.stack([hue, np.minimum(share, 1), value], 2).astype(np.float32)
    colors = np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).astype(np.uint8)
    colors[~known] = UNKNOWN_COLOR
    return colors


def flow_panel(image: np.ndarray, flow: np.ndarray,
               truth: Optional[np.ndarray] = None,
               known: Optional[np.ndarray] = None) -> np.ndarray:
    """Return the first image, the true flow and the predicted one side by side.

    Both flows are painted with the same reach, that of the truth.

    Args:
        image: (H, W, 3) uint8 RGB.
        flow: (H, W, 2), predicted.
        truth: (H, W, 2); left out if None.
        known: (H, W) bool, of the truth.

    Returns:
        (H, 2 W or 3 W, 3) uint8 RGB.
    """
    reach = longest(flow if truth is None else truth, known) or None
    pictures = [image]
    if truth is not None:
        pictures.append(flow_colors(truth, known, reach))
    return np.concatenate([*pictures, flow_colors(flow, None, reach)], 1)
