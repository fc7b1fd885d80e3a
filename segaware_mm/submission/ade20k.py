"""ADE20K scene parsing: a zip of grey PNGs of the ids 1..150.

Zhou et al., "Scene Parsing through ADE20K Dataset" (CVPR 2017). Files are named as the
images are, with .png for .jpg. Id 0 is "other objects" in ground truth and no class. Test
sets of several sizes have been released, so that no number is checked without images.
"""

from typing import Iterator, Mapping

from .label_target import Finding, LabelFormat, describe, label_target

#: By id, from 1.
CLASSES = (
    'wall', 'building', 'sky', 'floor', 'tree', 'ceiling', 'road', 'bed', 'windowpane',
    'grass', 'cabinet', 'sidewalk', 'person', 'earth', 'door', 'table', 'mountain',
    'plant', 'curtain', 'chair', 'car', 'water', 'painting', 'sofa', 'shelf', 'house',
    'sea', 'mirror', 'rug', 'field', 'armchair', 'seat', 'fence', 'desk', 'rock',
    'wardrobe', 'lamp', 'bathtub', 'railing', 'cushion', 'base', 'box', 'column',
    'signboard', 'chest of drawers', 'counter', 'sand', 'sink', 'skyscraper',
    'fireplace', 'refrigerator', 'grandstand', 'path', 'stairs', 'runway', 'case',
    'pool table', 'pillow', 'screen door', 'stairway', 'river', 'bridge', 'bookcase',
    'blind', 'coffee table', 'toilet', 'flower', 'book', 'hill', 'bench', 'countertop',
    'stove', 'palm', 'kitchen island', 'computer', 'swivel chair', 'boat', 'bar',
    'arcade machine', 'hovel', 'bus', 'towel', 'light', 'truck', 'tower', 'chandelier',
    'awning', 'streetlight', 'booth', 'television receiver', 'airplane', 'dirt track',
    'apparel', 'pole', 'land', 'bannister', 'escalator', 'ottoman', 'bottle', 'buffet',
    'poster', 'stage', 'van', 'ship', 'fountain', 'conveyer belt', 'canopy', 'washer',
    'plaything', 'swimming pool', 'stool', 'barrel', 'basket', 'waterfall', 'tent',
    'bag', 'minibike', 'cradle', 'oven', 'ball', 'food', 'step', 'tank', 'trade name',
    'microwave', 'pot', 'animal', 'bicycle', 'lake', 'dishwasher', 'screen', 'blanket',
    'sculpture', 'hood', 'sconce', 'vase', 'traffic light', 'tray', 'ashcan', 'fan',
    'pier', 'crt screen', 'plate', 'monitor', 'bulletin board', 'shower', 'radiator',
    'glass', 'clock', 'flag')
IDS = {name: i for i, name in enumerate(CLASSES, 1)}
#: The data set's own list has the first name of this class, mmseg the second.
IDS['television'] = IDS['television receiver']
OTHER = 0


def find(ids: Mapping[int, int]) -> Iterator[Finding]:
    """Yield what is wrong with the ids {id: pixels} of an image."""
    outside = {one: n for one, n in ids.items() if one > len(CLASSES)}
    if OTHER in ids:
        yield (f'holds 0 ({ids[OTHER]} pixels), which is no class; ids are '
               f'1..{len(CLASSES)}', 'add 1 to the indices of the classes '
               '(reduce_zero_label takes it away), and give every pixel a class')
    if outside:
        yield (f'holds {describe(outside)}; ids are 1..{len(CLASSES)}',
               'map every pixel to a class of ADE20K')


FORMAT = LabelFormat(
    name='ade20k', server='ADE20K', kind='zip', folder='', anywhere=False,
    pattern=r'(?P<name>ADE_(test|val)_\d{8})\.jpg', official=r'ADE_test_\d{8}',
    file_pattern=r'(?P<name>ADE_(test|val)_\d{8})\.png',
    ids=IDS, none=None, count=None, size=None, palette=None, find=find)
TARGET = label_target(FORMAT)
write, is_done, pack, validate = (TARGET.write, TARGET.is_done, TARGET.pack,
                                  TARGET.validate)
