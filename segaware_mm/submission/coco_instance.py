"""COCO, instance segmentation: a zip of ``detections_test-dev2017_NAME_results.json``.

Lin et al., "Microsoft COCO: Common Objects in Context" (ECCV 2014). An entry is a
detection: image_id, category_id (1..90), segmentation as RLE, and score; at most 100 of
an image, those of the highest scores. There is no bbox: with one, the evaluation takes
the size of an object from its box. An image may be without detections.
"""

from functools import partial
from typing import Sequence

from .coco_classes import THINGS
from .coco_entries import ResultsFormat, check_score, coco_id
from .coco_results import check, is_done, pack, plain_rle, stage_entries, validate
from .images import TestImage
from .instances import server_instances
from .predictions import Instances, class_ids
from .target import PathLike, Target

MOST = 100
SERVER = 'COCO'
#: Names of COCO's images are their ids.
PATTERN = r'(?P<name>(?:COCO_\w+_)?(?P<id>\d{12}))\.jpg'
ids_of = partial(class_ids, known=THINGS, server=SERVER)
FORMAT = ResultsFormat(
    server=SERVER, file='detections_test-dev2017_{}_results.json',
    keys=frozenset({'image_id', 'category_id', 'segmentation', 'score'}),
    optional=frozenset(), categories=frozenset(THINGS.values()), count=20288,
    every_image=False, check_entry=check_score, check_images=None, most=MOST)


def write(folder: PathLike, image: TestImage, prediction: Instances,
          classes: Sequence[str]) -> None:
    """Write the detections of an image; see ``Target.write``.

    Raises:
        TypeError, SubmissionError: Unknown classes, masks of another size, scores that
            are not finite, an image without a COCO id, a full disk.
    """
    found = server_instances(prediction, image, ids_of(classes))[:MOST]
    stage_entries(folder, image, [
        dict(image_id=coco_id(image), category_id=one.category,
             segmentation=plain_rle(one.mask), score=one.score) for one in found])


TARGET = Target('coco-instance', 'instance', '.zip', FORMAT.count, PATTERN, write,
                is_done, *(partial(one, FORMAT) for one in (pack, validate, check)),
                ids_of)
