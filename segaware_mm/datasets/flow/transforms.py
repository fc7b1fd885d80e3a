"""Augmentation of pairs with optical flow.

Arrays of a pair: img and img2 (H, W, 3), flow (H, W, 2), known and layers (H, W).
All randomness is numpy's global one, as in mmcv.
"""

from typing import Tuple

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.registry import TRANSFORMS

ARRAYS = ('img', 'img2', 'flow', 'known', 'layers')


@TRANSFORMS.register_module()
class FlowRandomCrop(BaseTransform):
    """Cut the same window out of all arrays of a pair.

    Args:
        crop_size (tuple[int, int]): Height and width.

    Raises:
        ValueError: The pair is smaller than the window.
    """

    def __init__(self, crop_size: Tuple[int, int]) -> None:
        if len(crop_size) != 2 or min(crop_size) < 1:
            raise ValueError('crop_size must be height and width, got '
                             f'{crop_size}.')
        self.crop_size = tuple(crop_size)

    @cache_randomness
    def _corner(self, room: Tuple[int, int]) -> Tuple[int, int]:
        return tuple(int(np.random.randint(0, n + 1)) for n in room)

    def transform(self, results: dict) -> dict:
        """Crop a pair."""
        size = results['img'].shape[:2]
        room = tuple(n - c for n, c in zip(size, self.crop_size))
        if min(room) < 0:
            raise ValueError(
                f'crop_size {self.crop_size} (height, width) does not fit into '
                f'{results.get("img_path", "a pair")} of size {tuple(size)}.')
        top, left = self._corner(room)
        height, width = self.crop_size
        for key in ARRAYS:
            if key in results:
                results[key] = results[key][top:top + height, left:left + width]
        results['img_shape'] = self.crop_size
        return results


@TRANSFORMS.register_module()
class FlowRandomFlip(BaseTransform):
    """Mirror a pair at the vertical axis; u changes its sign.

    Args:
        prob (float): Probability, 0..1.
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be in [0, 1], got {prob}.')
        self.prob = prob

    @cache_randomness
    def _flips(self) -> bool:
        return bool(np.random.rand() < self.prob)

    def transform(self, results: dict) -> dict:
        """Mirror a pair, or leave it."""
        results['flip'] = self._flips()
        if results['flip']:
            for key in ARRAYS:
                if key in results:
                    results[key] = results[key][:, ::-1]
            if 'flow' in results:
                results['flow'] = results['flow'] * np.array([-1, 1], np.float32)
        return results


@TRANSFORMS.register_module()
class FlowPhotometricJitter(BaseTransform):
    """Change light and colours of both images alike, and a little differently.

    x -> 255 ((contrast * gain_c * x / 255 + brightness) ** gamma), clipped; then
    noise. The second image's brightness and contrast differ from the first's by
    ``difference`` times the given spread.

    Args:
        brightness (float): Spread of the shift, of 1; uniform in +-.
        contrast (float): Spread of the log of the factor.
        gain (float): Spread of the log of every channel's factor.
        gamma (float): Spread of the log of the exponent.
        noise (float): Largest standard deviation of the noise, of 1.
        difference (float): Share of the spreads in which the images differ.
    """

    def __init__(self, brightness: float = 0.15, contrast: float = 0.3,
                 gain: float = 0.1, gamma: float = 0.3, noise: float = 0.02,
                 difference: float = 0.15) -> None:
        spreads = dict(brightness=brightness, contrast=contrast, gain=gain,
                       gamma=gamma, noise=noise, difference=difference)
        for name, value in spreads.items():
            if value < 0:
                raise ValueError(f'{name} must be 0 or more, got {value}.')
        self.brightness, self.contrast, self.gain = brightness, contrast, gain
        self.gamma, self.noise, self.difference = gamma, noise, difference

    def transform(self, results: dict) -> dict:
        """Change the images of a pair."""
        spread = np.array([self.brightness, self.contrast])
        common = np.random.uniform(-spread, spread)
        apart = self.difference * np.random.uniform(-spread, spread)
        gain = np.exp(np.random.uniform(-self.gain, self.gain, 3))
        gamma = float(np.exp(np.random.uniform(-self.gamma, self.gamma)))
        sigma = float(np.random.uniform(0, self.noise))
        for key, (shift, log_factor) in (('img', common), ('img2', common + apart)):
            factor = (np.exp(log_factor) * gain).astype(np.float32)
            image = results[key].astype(np.float32) * (factor / 255)
            image = np.clip(image + np.float32(shift), 0, 1)**gamma
            if sigma:
                image += np.random.normal(0, sigma, image.shape).astype(np.float32)
            results[key] = np.clip(np.rint(255 * image), 0, 255).astype(np.uint8)
        return results
