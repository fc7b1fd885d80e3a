"""The procedural scenes as an mmsegmentation data set."""

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from .scenes.classes import CLASS_NAMES, PALETTE


@DATASETS.register_module()
class ScenesDataset(BaseSegDataset):
    """Procedural scenes, 10 classes, as ``tools/make_scenes.py`` writes them.

    Images ``images/{train,val}/NAME.png``, labels
    ``annotations/{train,val}/NAME.png`` holding 0..9. ``reduce_zero_label``
    is False: 0 is the class sky, not background.

    Args:
        img_suffix (str): Suffix of the images.
        seg_map_suffix (str): Suffix of the labels.
        reduce_zero_label (bool): Leave it False.
        **kwargs: As in :class:`mmseg.datasets.BaseSegDataset`.
    """

    METAINFO = dict(classes=CLASS_NAMES, palette=PALETTE)

    def __init__(self,
                 img_suffix: str = '.png',
                 seg_map_suffix: str = '.png',
                 reduce_zero_label: bool = False,
                 **kwargs) -> None:
        super().__init__(
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            reduce_zero_label=reduce_zero_label,
            **kwargs)
