"""CamVid with the 11 classes of the SegNet split.

Brostow, Fauqueur, Cipolla, "Semantic object classes in video", PRL 30(2),
2009; the 11-class 480x360 version: Badrinarayanan, Kendall, Cipolla,
"SegNet", PAMI 2017.
"""

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """CamVid, 11 classes, in mmseg layout.

    Images ``images/{train,val,test}/NAME.jpg``, labels
    ``annotations/{train,val,test}/NAME.png`` holding 0..10 and 255 (void).
    ``reduce_zero_label`` is False: 0 is the class Sky, not background.

    Args:
        img_suffix (str): Suffix of the images; '.png' for the original files.
        seg_map_suffix (str): Suffix of the labels.
        **kwargs: As in :class:`mmseg.datasets.BaseSegDataset`.
    """

    METAINFO = dict(
        classes=('Sky', 'Building', 'Pole', 'Road', 'Pavement', 'Tree',
                 'SignSymbol', 'Fence', 'Car', 'Pedestrian', 'Bicyclist'),
        palette=[[128, 128, 128], [128, 0, 0], [192, 192, 128],
                 [128, 64, 128], [60, 40, 222], [128, 128, 0],
                 [192, 128, 128], [64, 64, 128], [64, 0, 128], [64, 64, 0],
                 [0, 128, 192]])

    def __init__(self,
                 img_suffix: str = '.jpg',
                 seg_map_suffix: str = '.png',
                 reduce_zero_label: bool = False,
                 **kwargs) -> None:
        super().__init__(
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            reduce_zero_label=reduce_zero_label,
            **kwargs)
