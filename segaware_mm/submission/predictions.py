"""What models predict, and the numbers that a server wants for it.

A semantic prediction is (H, W) of the indices of the model's classes, 255 where there is
none; an instance prediction is :class:`Instances`. The model's classes are known by name:
servers number them differently.
"""

from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from ..datasets.class_names import canonical, hint
from .images import TestImage
from .problem import SubmissionError

#: How to mend maps whose sides are swapped.
TURNED = (" Where the image's EXIF says that it is turned, loaders turn it: set "
          "color_type='color_ignore_orientation' of LoadImageFromFile.")
#: Index of pixels without a class.
NONE = 255


class Instances(NamedTuple):
    """The instances of an image.

    Attributes:
        labels: (K,) int, indices of the model's classes.
        scores: (K,) float.
        masks: K RLEs of COCO, or (K, H, W) bool.
    """

    labels: np.ndarray
    scores: np.ndarray
    masks: Any


def class_ids(classes: Sequence[str], known: Mapping[str, int], server: str) -> List[int]:
    """Return the server's ids of the model's classes.

    Args:
        classes: The model's, by index (``dataset_meta['classes']``).
        known: {class name: id} of the server.
        server: Its name, for messages.

    Raises:
        SubmissionError: Classes that the server does not know, or one that the model has
            twice; names them.
    """
    if not classes:
        raise SubmissionError(f'the model has no classes, {server} has {len(known)}. Its '
                              "dataset_meta['classes'] must name them.")
    ids = {canonical(name): number for name, number in known.items()}
    unknown = [name for name in classes if canonical(name) not in ids]
    if unknown:
        shown = ', '.join(map(repr, unknown[:5])) + (', ...' if len(unknown) > 5 else '')
        raise SubmissionError(
            f'{server} does not know {len(unknown)} of the {len(classes)} classes of the '
            f'model: {shown}.{hint(unknown[0], list(known))} The model must be trained '
            'with the classes of this target.')
    found = [ids[canonical(name)] for name in classes]
    for index, number in enumerate(found):
        if number in found[:index]:
            raise SubmissionError(f'the model has the class {classes[index]!r} twice '
                                  f'(id {number} of {server}).')
    return found


def server_map(prediction: np.ndarray, image: TestImage, ids: Sequence[int],
               none: Optional[int] = None) -> np.ndarray:
    """Return a semantic prediction in the server's ids.

    Args:
        prediction: (H, W) integer, indices of classes, 255 where there is none.
        image: Whose size the prediction must have.
        ids: The server's id of every index, of :func:`class_ids`.
        none: The server's id of pixels without a class; None where there is no such id.

    Returns:
        (H, W) int64.

    Raises:
        TypeError, SubmissionError: No integer map, another size, an index that no class
            has; names the image.
    """
    prediction = np.asarray(prediction)
    what = f'the prediction of {image.name}'
    if prediction.ndim != 2 or prediction.dtype.kind not in 'iu':
        raise TypeError(f'{what} must be integers (H, W), got {prediction.dtype} of '
                        f'shape {prediction.shape}.')
    if prediction.shape != (image.height, image.width):
        raise SubmissionError(
            f'{what} has size {prediction.shape[0]} x {prediction.shape[1]}, the image '
            f'{image.height} x {image.width}. Scores must be resized to the original '
            'image before classes are chosen.' + (TURNED if prediction.shape == (
                image.width, image.height) else ''))
    prediction = prediction.astype(np.int64)
    inside = (prediction >= 0) & (prediction < len(ids))
    absent = (prediction == NONE) & ~inside
    wrong = prediction[~inside & ~absent]
    if wrong.size:
        raise SubmissionError(f'{what} has class {wrong[0]}; the model has the classes '
                              f'0..{len(ids) - 1}.')
    if none is None and absent.any():
        raise SubmissionError(f'{what} has {np.count_nonzero(absent)} pixels without a '
                              f'class ({NONE}), for which the server has no id.')
    table = np.array([*ids, -1 if none is None else none], np.int64)
    return table[np.where(inside, prediction, len(ids))]
