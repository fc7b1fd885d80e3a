"""PASCAL VOC 2012 segmentation: a .tgz of indexed PNGs with VOC's palette.

Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective" (IJCV
2015). comp5 is trained on VOC's data alone, comp6 on any data; the files lie in
``results/VOC2012/Segmentation/comp{5,6}_test_cls``. Every pixel has a class, 0 being the
background: 255 is void, which only ground truth has.
"""

from typing import Iterator, Mapping

import numpy as np

from .label_target import Finding, LabelFormat, describe, label_target

CLASSES = (
    'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat',
    'chair', 'cow', 'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant',
    'sheep', 'sofa', 'train', 'tvmonitor')
VOID = 255


def voc_palette() -> np.ndarray:
    """Return VOC's colours of 256 ids, (256, 3) uint8.

    Bits 0, 3, 6 of an id are the highest bits of red, from the highest down; bits 1, 4,
    7 of green; bits 2, 5 of blue.
    """
    ids = np.arange(256)[:, None]
    channels = np.arange(3)
    return sum(((ids >> (3 * step + channels)) & 1) << (7 - step)
               for step in range(3)).astype(np.uint8)


def find(ids: Mapping[int, int]) -> Iterator[Finding]:
    """Yield what is wrong with the ids {id: pixels} of an image."""
    if VOID in ids:
        yield (f'holds {VOID} (void, {ids[VOID]} pixels), which only ground truth has',
               'give every pixel a class; 0 is the background')
    outside = {one: n for one, n in ids.items() if len(CLASSES) <= one < VOID}
    if outside:
        yield (f'holds {describe(outside)}; classes are 0..{len(CLASSES) - 1}',
               "map every pixel to one of VOC's classes")


def _format(number: int) -> LabelFormat:
    return LabelFormat(
        name=f'voc-comp{number}', server=f'VOC 2012 comp{number}', kind='tgz',
        folder=f'results/VOC2012/Segmentation/comp{number}_test_cls', anywhere=False,
        pattern=r'(?P<name>\d{4}_\d{6})\.jpg', file_pattern=r'(?P<name>\d{4}_\d{6})\.png',
        official='',
        ids={name: i for i, name in enumerate(CLASSES)}, none=None, count=1456,
        size=None, palette=voc_palette().tobytes(), find=find)


COMP5, COMP6 = label_target(_format(5)), label_target(_format(6))
TARGETS = (COMP5, COMP6)
