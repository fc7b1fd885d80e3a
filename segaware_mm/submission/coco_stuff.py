"""COCO-Stuff, the challenge of stuff segmentation: an RLE for every class of an image.

Caesar, Uijlings, Ferrari, "COCO-Stuff: Thing and Stuff Classes in Context" (CVPR 2018).
An entry of ``stuff_test-dev2017_NAME_results.json`` in a zip is image_id, category_id and
segmentation: the pixels of one class. Classes are 92..182, and 183 for all things, which
the challenge joins into one. No pixel has two classes; score is not needed.
"""

from functools import partial
from typing import Dict, Iterator, List, Sequence, Tuple

import numpy as np

from ..utils.rle import Rle, encode_mask
from .coco_classes import OTHER, STUFF, THINGS
from .coco_entries import ResultsFormat, check_score, coco_id
from .coco_instance import PATTERN
from .coco_results import check, is_done, pack, plain_rle, stage_entries, validate
from .images import TestImage
from .predictions import class_ids, server_map
from .problem import SubmissionError
from .target import PathLike, Target

SERVER = 'COCO-Stuff'
UNLABELED = 0
ids_of = partial(class_ids, known={**THINGS, **STUFF, 'other': OTHER}, server=SERVER)


def write(folder: PathLike, image: TestImage, prediction: np.ndarray,
          classes: Sequence[str]) -> None:
    """Write the masks of the classes of an image; see ``Target.write``.

    Raises:
        TypeError, SubmissionError: Unknown classes, another size, no class at all, an
            image without a COCO id, a full disk.
    """
    # Things are joined after names are known to be different.
    ids = [OTHER if one in THINGS.values() else one for one in ids_of(classes)]
    labels = server_map(prediction, image, ids, none=UNLABELED)
    there = [int(one) for one in np.unique(labels) if one != UNLABELED]
    if not there:
        raise SubmissionError(f'the prediction of {image.name} has no class anywhere; '
                              'every image needs one.')
    stage_entries(folder, image, [
        dict(image_id=coco_id(image), category_id=one,
             segmentation=plain_rle(encode_mask(labels == one))) for one in there])


def find(images: Dict[int, List[Tuple[int, Rle]]]) -> Iterator[Tuple[str, str]]:
    """Yield what is wrong with the masks {image id: [(category, RLE), ...]}."""
    from pycocotools import mask as coco
    for image, masks in sorted(images.items()):
        categories = [category for category, _ in masks]
        twice = sorted({one for one in categories if categories.count(one) > 1})
        if twice:
            yield (f'image {image} has the class {twice[0]} in several entries',
                   'write one mask for every class of an image')
        rles = [rle for _, rle in masks]
        shared = int(coco.area(rles).sum()) - int(coco.area(coco.merge(rles)))
        if shared:
            yield (f'image {image} has masks that overlap, {shared} pixels have more '
                   'than one class', 'give every pixel one class')


FORMAT = ResultsFormat(
    server=SERVER, file='stuff_test-dev2017_{}_results.json',
    keys=frozenset({'image_id', 'category_id', 'segmentation'}),
    optional=frozenset({'score'}), categories=frozenset({*STUFF.values(), OTHER}),
    count=None, every_image=True, check_entry=check_score, check_images=find, most=None)
TARGET = Target('coco-stuff', 'semantic', '.zip', FORMAT.count, PATTERN, write, is_done,
                *(partial(one, FORMAT) for one in (pack, validate, check)), ids_of)
