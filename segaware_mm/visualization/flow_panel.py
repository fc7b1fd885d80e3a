"""A picture of a flow beside the truth: colours of mmcv (Baker et al., IJCV 2011).

The hue is the direction, the saturation the length; white is no motion, black
unknown.
"""

from typing import Optional

import mmcv
import numpy as np


def flow_panel(image: np.ndarray, flow: np.ndarray,
               truth: Optional[np.ndarray] = None,
               known: Optional[np.ndarray] = None) -> np.ndarray:
    """Return the first image, the true flow and the predicted one side by side.

    Both flows have one scale, that of the longest true vector; longer predicted
    ones are painted as long as that, so that one of them does not pale the rest.

    Args:
        image: (H, W, 3) uint8 RGB.
        flow: (H, W, 2), predicted, pixels.
        truth: (H, W, 2); left out if None.
        known: (H, W) bool, of the truth; all pixels if None.

    Returns:
        (H, 2 W or 3 W, 3) uint8 RGB.

    Raises:
        ValueError: A flow of another size than the image.
    """
    flows = [flow] if truth is None else [truth, flow]
    for one in flows:
        if one.shape != (*image.shape[:2], 2):
            raise ValueError(f'a flow of an image {image.shape} must have shape '
                             f'{(*image.shape[:2], 2)}, got {one.shape}.')
    flows = [one.astype(np.float64) for one in flows]
    if truth is not None:
        if known is not None:
            flows[0][~known] = np.nan
        reach = np.nanmax(_length(flows[0]), initial=0)
        if reach > 0:
            flows[1] *= reach / np.maximum(_length(flows[1]), reach)
    painted = mmcv.flow2rgb(np.concatenate(flows, 1))
    return np.concatenate([image, np.rint(255 * painted).astype(np.uint8)], 1)


def _length(flow: np.ndarray) -> np.ndarray:
    """Return the lengths (H, W, 1) of vectors (H, W, 2)."""
    return np.linalg.norm(flow, axis=2, keepdims=True)
