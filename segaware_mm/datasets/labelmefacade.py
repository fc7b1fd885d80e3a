"""LabelMeFacade: photographs of street facades with eight classes.

Froehlich, Rodner, Denzler, "A Fast Approach for Pixelwise Labeling of Facade
Images", ICPR 2010.
"""

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS


@DATASETS.register_module()
class LabelMeFacadeDataset(BaseSegDataset):
    """LabelMeFacade, 8 classes, in mmseg layout.

    Images ``images/{train,val}/NAME.jpg``, labels ``annotations/{train,val}/NAME.png``
    holding 0..7 and 255 ("various"). ``reduce_zero_label`` is False: 0 is the
    class building. The images are of different sizes.

    Args:
        img_suffix (str): Suffix of the images.
        seg_map_suffix (str): Suffix of the labels.
        **kwargs: As in :class:`mmseg.datasets.BaseSegDataset`.
    """

    METAINFO = dict(
        classes=('building', 'car', 'door', 'pavement', 'road', 'sky', 'vegetation',
                 'window'),
        palette=[[128, 0, 0], [128, 0, 128], [128, 128, 0], [128, 128, 128],
                 [128, 64, 0], [0, 128, 128], [0, 128, 0], [0, 0, 128]])

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
