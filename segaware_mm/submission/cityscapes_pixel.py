"""Cityscapes, pixel-level semantic labelling: a zip of grey PNGs of label ids.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding" (CVPR
2016). Label ids are not the ids of training: road is 7, not 0. The names of the files
begin with the city, the sequence and the frame of the image.
"""

from typing import Iterator, Mapping

from .label_target import Finding, LabelFormat, describe, label_target

#: The classes that are evaluated.
IDS = {
    'road': 7, 'sidewalk': 8, 'building': 11, 'wall': 12, 'fence': 13, 'pole': 17,
    'traffic light': 19, 'traffic sign': 20, 'vegetation': 21, 'terrain': 22, 'sky': 23,
    'person': 24, 'rider': 25, 'car': 26, 'truck': 27, 'bus': 28, 'train': 31,
    'motorcycle': 32, 'bicycle': 33}
#: Names of the images of the official test set begin so.
TEST_CITIES = ('berlin', 'bielefeld', 'bonn', 'leverkusen', 'mainz', 'munich')
UNLABELED = 0
LARGEST = 33
LARGEST_TRAIN_ID = 18
NOT_A_CLASS = 255


def find(ids: Mapping[int, int]) -> Iterator[Finding]:
    """Yield what is wrong with the ids {id: pixels} of an image."""
    known = {one: n for one, n in ids.items() if one != NOT_A_CLASS}
    void = {one: n for one, n in known.items()
            if one not in IDS.values() and one != UNLABELED and one <= LARGEST}
    outside = {one: n for one, n in ids.items() if one > LARGEST}
    if void and max(known) <= LARGEST_TRAIN_ID:
        yield (f'holds train ids (0..{LARGEST_TRAIN_ID}), not label ids: it has '
               f'{describe(void)}, which is no class, and nothing above '
               f'{LARGEST_TRAIN_ID}', 'map train ids to label ids: road is 7, car 26')
    elif void:
        yield (f'holds {describe(void)}, which is not evaluated: it always counts as an '
               'error', f'use the {len(IDS)} classes that are evaluated')
    if outside:
        yield (f'holds {describe(outside)}; label ids are 0..{LARGEST}',
               'map every pixel to a label id')
    if set(ids) == {UNLABELED}:
        yield 'is 0 (unlabeled) everywhere', 'see to the prediction of this image'


FORMAT = LabelFormat(
    name='cityscapes-pixel', server='Cityscapes', kind='zip', folder='', anywhere=True,
    pattern=r'(?P<name>[A-Za-z-]+_\d{6}_\d{6})_leftImg8bit\.png',
    file_pattern=r'(?P<name>[A-Za-z-]+_\d{6}_\d{6})([_.-].*)?\.png',
    official=rf'({"|".join(TEST_CITIES)})_\d{{6}}_\d{{6}}',
    ids=IDS, none=UNLABELED, count=1525, size=(1024, 2048), palette=None, find=find)
TARGET = label_target(FORMAT)
write, is_done, pack, validate = (TARGET.write, TARGET.is_done, TARGET.pack,
                                  TARGET.validate)
