"""From the maps of a model to the pixels of the image, and to the picture.

The test pipeline may have resized and padded the image; the model's maps are
coarser still. What lies outside the image is cut off, the rest is resized.
"""

from typing import Mapping, Tuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

#: Width in pixels that a picture has at least and at most, and its most height.
LEAST_WIDTH, MOST_WIDTH, MOST_HEIGHT = 480, 960, 1920
Size = Tuple[int, int]  # height, width


def _resize(maps: Tensor, size: Size, mode: str, align_corners: bool) -> Tensor:
    """Resize (1, C, h, w) to ``size``."""
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    if mode == 'nearest':  # exact: of the cell whose area a pixel lies in
        return F.interpolate(maps, size=size, mode='nearest-exact')
    return F.interpolate(maps, size=size, mode=mode, align_corners=align_corners)


class Frame:
    """Where the image lies in the model's input.

    Args:
        input_size: (height, width) of the model's input.
        meta: ``metainfo`` of the sample: ``ori_shape``, ``img_shape``, and
            perhaps a padding (left, right, top, bottom).
        align_corners: As in the head.
    """

    def __init__(self, input_size: Size, meta: Mapping,
                 align_corners: bool = False) -> None:
        self.input_size = tuple(input_size)
        self.image_size: Size = tuple(meta['ori_shape'][:2])
        self.align_corners = align_corners
        height, width = self.input_size
        padding = meta.get('img_padding_size', meta.get('padding_size'))
        if padding is None:  # images are padded at the right and the bottom
            inner = meta.get('img_shape', self.input_size)[:2]
            padding = (0, width - inner[1], 0, height - inner[0])
        left, right, top, bottom = padding
        self.x, self.y = slice(left, width - right), slice(top, height - bottom)

    def maps(self, maps: Tensor, mode: str = 'bilinear') -> Tensor:
        """Bring maps to the pixels of the image.

        Args:
            maps: (1, C, h, w) of the whole input.
            mode: 'bilinear' or 'nearest'.

        Returns:
            (C, H, W) on the CPU.
        """
        whole = _resize(maps, self.input_size, mode, self.align_corners)
        inside = whole[:, :, self.y, self.x]
        return _resize(inside, self.image_size, mode,
                       self.align_corners)[0].detach().cpu()

    def points(self, cells: np.ndarray, map_size: Size) -> np.ndarray:
        """Bring the centres of map cells to the image.

        Args:
            cells: (n,) raster indices into a map.
            map_size: (h, w) of the map.

        Returns:
            (n, 2) real-valued (x, y); pixel (0, 0) has its centre at 0.5.
        """
        (height, width), (h, w) = self.input_size, map_size
        y, x = np.divmod(np.asarray(cells), w)
        x = ((x + 0.5) * width / w - self.x.start) / (self.x.stop - self.x.start)
        y = ((y + 0.5) * height / h - self.y.start) / (self.y.stop - self.y.start)
        return np.stack([x * self.image_size[1], y * self.image_size[0]], 1)

    def boxes(self, boxes: Tensor) -> np.ndarray:
        """Bring boxes in pixels of the input to the image.

        Args:
            boxes: (n, 4) of x1, y1, x2, y2.

        Returns:
            (n, 4) real-valued, of the same order.
        """
        height, width = self.image_size
        start = np.array([self.x.start, self.y.start] * 2)
        length = np.array([self.x.stop, self.y.stop] * 2) - start
        inside = boxes.detach().cpu().double().numpy() - start
        return inside / length * np.array([width, height] * 2)


def picture_size(height: int, width: int, least: int = LEAST_WIDTH) -> Size:
    """Return the (height, width) in which an image is drawn.

    Small images grow by a whole factor, so that their pixels stay square and
    alike; large ones shrink. No picture is higher than :data:`MOST_HEIGHT`.

    Args:
        height, width: Of the image.
        least: Width that the picture has at least.
    """
    factor = min(-(-least // width), MOST_HEIGHT // height)
    if factor > 1:
        return height * factor, width * factor
    shrink = min(1., MOST_WIDTH / width, MOST_HEIGHT / height)
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def enlarge(array: np.ndarray, size: Size, smooth: bool = False) -> np.ndarray:
    """Resize an (H, W) or (H, W, C) array to a picture's size.

    Args:
        array: Of any dtype; uint8 or float32 where ``smooth``.
        size: (height, width).
        smooth: Interpolate; else every value is one of the array's.
    """
    if array.shape[:2] == tuple(size):
        return array
    if smooth:
        import cv2
        how = cv2.INTER_AREA if size[0] < array.shape[0] else cv2.INTER_CUBIC
        return cv2.resize(array, (size[1], size[0]), interpolation=how)
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int)
                     for new, old in zip(size, array.shape[:2]))
    return array[rows][:, columns]
