"""The rows of the TransferNet table: a config, options on top of it, a label."""

from typing import Tuple

from camvid_rows import Row

#: Data set -> end of the names of its configs.
DATA = {
    'scenes': '1xb8-1200i_scenes-128x160',
    'coco-mini': '1xb8-600i_coco-mini-224x224',
}
#: Data sets whose validation has the source classes too.
WITH_SOURCE = ('scenes', )
#: Thresholds of activation maps; the best one on the validation images is taken.
CAM_THRESHOLDS = (0., .05, .1, .2, .3, .4, .5, .6, .7)


def _rows(data: str) -> Tuple[Row, ...]:
    folder, end = 'configs/transfernet', DATA[data]
    return (
        Row(f'full-{data}', 'TransferNet, masks of all classes',
            f'{folder}/transfernet-full_r18_{end}.py', is_peer=True),
        Row(f'transfer-{data}', 'TransferNet, masks of the source classes alone',
            f'{folder}/transfernet_r18_{end}.py'),
        Row(f'cam-{data}', 'class activation maps of a classifier, no mask',
            f'{folder}/cam_r18_{end}.py', is_peer=True),
    )


ROWS: Tuple[Row, ...] = tuple(row for data in DATA for row in _rows(data))
