"""Boxes of images, from a file that any proposal method can write."""

import json
from pathlib import Path
from typing import Any, Dict, Optional, Union

import numpy as np


class ProposalFile:
    """Boxes by the name of the image.

    A file ``.npz`` holds one array for each image, a file ``.json`` an object of
    lists; the key is the image's file name without folders and suffix
    (``2007_000033``). Rows are (x1, y1, x2, y2) or (x1, y1, x2, y2, score), in pixels
    of the original image. Rows with scores are sorted by it, best first; others
    keep their order, which is taken as best first.

    Args:
        path: The file; it is opened when boxes are asked for.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self.path = Path(path)
        if self.path.suffix not in ('.npz', '.json'):
            raise ValueError('proposals must be a file .npz or .json, got '
                             f"'{path}'.")
        self._content: Optional[Any] = None

    def content(self) -> Dict[str, Any]:
        """Return what the file holds, by name."""
        if self._content is None:
            if not self.path.is_file():
                raise ValueError(f'proposals: there is no file {self.path}.')
            if self.path.suffix == '.npz':
                with np.load(self.path, allow_pickle=False) as arrays:
                    self._content = {name: arrays[name] for name in arrays.files}
            else:
                self._content = json.loads(self.path.read_text())
        return self._content

    def boxes(self, image: Optional[str]) -> np.ndarray:
        """Return the boxes (R, 4) of an image, best first, float32.

        Args:
            image: Its path.

        Raises:
            ValueError: No such image in the file, no path, or rows that are no
                boxes.
        """
        if image is None:
            raise ValueError("proposals are found by the image's name: 'img_path' must "
                             'be among the meta_keys of PackSegInputs.')
        name = Path(image).stem
        content = self.content()
        if name not in content:
            raise ValueError(
                f"{self.path} has no proposals of '{name}' (it has {len(content)} "
                f'images); an image without any needs an empty list.')
        rows = np.asarray(content[name], np.float32)
        if rows.size == 0:
            return np.zeros((0, 4), np.float32)
        if rows.ndim != 2 or rows.shape[1] not in (4, 5):
            raise ValueError(f"{self.path}: the proposals of '{name}' have shape "
                             f'{rows.shape}; wanted is (R, 4) or (R, 5).')
        if rows.shape[1] == 5:
            rows = rows[np.argsort(-rows[:, 4], kind='stable')]
        rows = rows[:, :4]
        if not np.isfinite(rows).all() or (rows[:, 2:] < rows[:, :2]).any():
            raise ValueError(f"{self.path}: a box of '{name}' is not finite, or ends "
                             'before it begins; rows are (x1, y1, x2, y2).')
        return rows
