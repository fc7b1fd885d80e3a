"""The rows of the MNC table: a config, options on top of it, a label."""

from typing import NamedTuple, Tuple

from camvid_rows import Row

DATA = ('coco-mini-person', 'dsb2018', 'coco-mini')


def _rows(data: str) -> Tuple[Row, ...]:
    ours = f'configs/mnc/mnc_r18_fpn_1xb2-600i_{data}.py'
    peer = f'configs/peers/mask-rcnn_r18_fpn_1xb2-600i_{data}.py'
    return (
        Row(f'mask-rcnn-{data}', 'Mask R-CNN (mmdet)', peer, is_peer=True),
        Row(f'mnc-{data}', 'MNC, five stages', ours),
        Row(f'mnc-3stage-{data}', 'MNC, trained with three stages', ours,
            (('model.roi_head.num_passes', '1'), ('model.test_cfg.rcnn.num_passes',
                                                  '2'))),
        Row(f'mnc-blind-{data}', 'MNC, no gradient to the boxes', ours,
            (('model.roi_head.bbox_roi_extractor.coord_grad', 'False'),
             ('model.roi_head.detach_bridge', 'True'))),
    )


ROWS: Tuple[Row, ...] = tuple(row for data in DATA for row in _rows(data))


class Variant(NamedTuple):
    """A way to test a trained MNC.

    Attributes:
        name: In the table.
        options: ``--cfg-options`` of the test.
    """
    name: str
    options: Tuple[str, ...]


RCNN = 'model.test_cfg.rcnn'
#: The first one is the config's own, which the training itself validates.
VARIANTS: Tuple[Variant, ...] = (
    Variant('three stages, voting', (f'{RCNN}.num_passes=1', )),
    Variant('five stages, no voting', (f'{RCNN}.vote=False', )),
    Variant('three stages, no voting', (f'{RCNN}.num_passes=1', f'{RCNN}.vote=False')),
)
