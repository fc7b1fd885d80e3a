"""The rows of the flow table: a config, options on top of it, a label."""

from typing import Tuple

from camvid_rows import Row

CONFIG = 'configs/segaware/{}_w16_1xb8-5000i_flow-80x96.py'

ROWS: Tuple[Row, ...] = (
    Row('plain', 'FlowNetS, plain convolutions', CONFIG.format('flownets'),
        is_peer=True),
    Row('plain-w24', 'plain, 24 base channels instead of 16',
        CONFIG.format('flownets'), (('model.base_channels', '24'), )),
    Row('color', 'aware convolutions, colours for the embedding',
        CONFIG.format('color-flownets')),
    Row('segaware', 'aware convolutions, the embedding learns from the flow',
        CONFIG.format('segaware-flownets')),
    Row('segaware-layers', 'as segaware, the embedding learns from the layers too',
        CONFIG.format('segaware-flownets-layers')),
)
