"""Instance predictions, checked, in the ids of a server, as run lengths."""

from typing import Any, List, NamedTuple, Sequence

import numpy as np

from ..utils.rle import Rle, as_rles, rle_counts
from .images import TestImage
from .predictions import TURNED, Instances
from .problem import SubmissionError


class Instance(NamedTuple):
    """An instance that is not empty.

    Attributes:
        category: The server's id of its class.
        score: Finite.
        mask: RLE of the size of the image.
    """

    category: int
    score: float
    mask: Rle


def server_instances(prediction: Instances, image: TestImage,
                     ids: Sequence[int]) -> List[Instance]:
    """Return the instances of a prediction by falling score; empty masks are left out.

    Args:
        prediction: Of the model.
        image: Whose size the masks must have.
        ids: The server's id of every class, of ``class_ids``.

    Raises:
        TypeError, SubmissionError: Numbers that differ, masks of another size or kind, a
            class that there is not, a score that is no number; names the image.
    """
    what = f'the prediction of {image.name}'
    labels, scores = (np.asarray(_cpu(part)).reshape(-1)
                      for part in (prediction.labels, prediction.scores))
    masks = as_rles(prediction.masks, (image.height, image.width), f'masks of {what}')
    if not len(labels) == len(scores) == len(masks):
        raise SubmissionError(
            f'{what} has {len(labels)} labels, {len(scores)} scores and {len(masks)} '
            'masks; each instance has one of each.')
    scores = scores.astype(np.float64)
    if not np.isfinite(scores).all():
        raise SubmissionError(f'{what} has the score {scores[~np.isfinite(scores)][0]}; '
                              'scores must be finite numbers.')
    wrong = [one for one in labels if not 0 <= one < len(ids)]
    if wrong:
        raise SubmissionError(f'{what} has the class {wrong[0]}; the model has the '
                              f'classes 0..{len(ids) - 1}.')
    for mask in masks:
        size = tuple(int(n) for n in mask['size'])
        if size != (image.height, image.width):
            raise SubmissionError(
                f'{what} has a mask of {size[0]} x {size[1]}, the image is '
                f'{image.height} x {image.width}. Masks must be resized to the original '
                'image.' + (TURNED if size == (image.width, image.height) else ''))
    order = np.argsort(-scores, kind='stable')
    found = (Instance(int(ids[int(labels[i])]), float(scores[i]), masks[i])
             for i in order)
    return [one for one in found if rle_counts(one.mask['counts'])[1::2].any()]


def _cpu(values: Any) -> Any:
    return values.detach().cpu() if hasattr(values, 'detach') else values
