"""How to get or make each dataset, for the message that it is absent."""

import os
from typing import List

#: Dataset class -> what is generated in its stead, and how.
#: Not COCO: the scenes have other categories than CocoDataset.
GENERATORS = {
    'CityscapesDataset':
    ('procedural scenes in this layout', 'make_scenes.py --layout cityscapes'),
    'ScenesDataset':
    ('procedural scenes in this layout', 'make_scenes.py --layout mmseg'),
    'PascalVOCDataset':
    ('procedural scenes in this layout', 'make_scenes.py --layout voc'),
    'FlowPairs': ('procedural pairs', 'make_flow.py'),
}

#: Folder -> what a config that looks there wants of the generator besides.
OF_FOLDER = {'scenes_transfer': '--kinds 2 --train 3000'}

#: Dataset class -> where the true data come from.
SOURCES = {
    'CityscapesDataset':
    'the true data: https://www.cityscapes-dataset.com (leftImg8bit, gtFine), '
    'labels converted to trainIds by upstream\'s '
    'tools/dataset_converters/cityscapes.py',
    'CamVidDataset':
    'CamVid in the 11-class 480x360 version: images/{train,val,test} and '
    'annotations/{train,val,test} under data/camvid, or under '
    '$SEGAWARE_MM_DATA/camvid',
    'LabelMeFacadeDataset':
    'LabelMeFacade: images/{train,val} and annotations/{train,val} under '
    'data/labelmefacade, or under $SEGAWARE_MM_DATA/labelmefacade; see '
    'docs/data.md',
    'ADE20KDataset': 'the data: https://groups.csail.mit.edu/vision/datasets/ADE20K',
    'PascalContextDataset':
    'the data: VOC 2010 images and the labels of PASCAL Context, converted by '
    'upstream\'s tools/dataset_converters/pascal_context.py',
    'PascalContextDataset59':
    'the data: VOC 2010 images and the labels of PASCAL Context, converted by '
    'upstream\'s tools/dataset_converters/pascal_context.py',
    'COCOStuffDataset':
    'the data: COCO-Stuff 164k is COCO 2017 images and labels converted by '
    'upstream\'s tools/dataset_converters/coco_stuff164k.py; COCO-Stuff 10k is '
    'COCO 2014 images and labels converted by coco_stuff10k.py; see docs/data.md',
    'PascalVOCDataset': 'the data: VOC 2012 (VOCdevkit/VOC2012)',
    'CocoDataset': 'the data: https://cocodataset.org (2017)',
    'COCOExclusiveDataset':
    'the data: https://cocodataset.org (2017, annotations of instances)',
    'SBDInstanceDataset':
    'the data: SBD (http://home.bharathh.info/pubs/codes/SBD/download.html), its '
    'folders img, inst and cls; docs/data.md says how to make the lists of images',
    'FlowPairs':
    'real pairs with flow (FlyingChairs, MPI-Sintel, Middlebury, KITTI); '
    'docs/flow.md says how their files are named',
}


def data_root_line() -> str:
    """Return a line on SEGAWARE_MM_DATA: whether set, to what, what it does."""
    value = os.environ.get('SEGAWARE_MM_DATA')
    if not value:
        return ('SEGAWARE_MM_DATA is not set, so the configs of this project '
                f'look under ./data (here: {os.path.abspath("data")}).')
    there = '' if os.path.isdir(value) else ', a folder that does not exist'
    return f'SEGAWARE_MM_DATA is set to {value}{there}.'


def how_to_get(kind: str, root: str, options: List[str]) -> str:
    """Return the ways to have the dataset, one per line.

    Args:
        kind (str): Name of the dataset class.
        root (str): Where the config looks for it.
        options (list[str]): The ``KEY=VALUE`` that say where it is instead.

    Returns:
        str: Indented lines.
    """
    lines = []
    name = kind.split('.')[-1]
    if name in GENERATORS:
        what, tool = GENERATORS[name]
        more = OF_FOLDER.get(os.path.basename(os.path.normpath(root)))
        tool = ' '.join(filter(None, [tool, more]))
        lines.append(f'  - generate {what}:\n'
                     f'      python tools/{tool} --out {root}')
    if name in SOURCES:
        lines.append(f'  - get {SOURCES[name]}')
    lines.append('  - say where it is:\n      --cfg-options '
                 + ' '.join(options))
    return '\n'.join(lines)
