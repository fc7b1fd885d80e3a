"""The pictures of the demo: before and after the region block."""

import os.path as osp
from glob import escape, glob
from typing import Any, Dict, List

from ..engine.atomic import AtomicLocalBackend
from ..engine.errors import DataError
from ..visualization.draw import available_views, check_folder, draw_views
from ..visualization.load import load_image, load_model
from ..visualization.panel import compose
from ..visualization.registry import Picture, family_of

OVERVIEW = ('image', 'truth', 'before', 'after', 'regions')
#: Width in pixels of a picture in the overview.
SMALL = 320


def write_pictures(config: str, checkpoint: str, options: Dict[str, Any],
                   data: str, out: str, count: int, header: str) -> List[str]:
    """Draw validation scenes; return the files, the overview first.

    Args:
        config: Config file of the trained model.
        checkpoint: Its weights.
        options: As of ``--cfg-options``.
        data: Folder of the scenes.
        out: Folder for the pictures.
        count: Number of scenes.
        header: Line at the top of the overview.
    """
    images = sorted(glob(osp.join(escape(data), 'images', 'val', '*.png')))[:count]
    if not images:
        raise DataError(f'{data} holds no validation scenes (images/val/*.png).')
    check_folder(out)
    loaded = load_model(config, checkpoint, options)
    views = list(available_views(family_of(loaded.model)[0]))
    rows: List[Picture] = []
    written = [osp.join(out, 'before_after.png')]
    for path in images:
        image = load_image(loaded, path)
        rows += draw_views(loaded, image, OVERVIEW, SMALL)
        written.append(osp.join(out, f'scene_{osp.basename(path)}'))
        sheet = compose(draw_views(loaded, image, views),
                        f'Validation scene {osp.splitext(osp.basename(path))[0]}',
                        loaded.classes, loaded.palette)
        AtomicLocalBackend().put(sheet, written[-1])
    sheet = compose(rows, header, loaded.classes, loaded.palette, len(OVERVIEW))
    AtomicLocalBackend().put(sheet, written[0])
    return written
