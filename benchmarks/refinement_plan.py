"""What the refinement table compares, and on which data.

Every row starts from the logits of one trained FCN, except the last, a head with
segmentation-aware convolutions trained from the FCN's own start.
"""

from typing import Dict, NamedTuple, Tuple

from camvid_rows import Row


class Data(NamedTuple):
    """A dataset of the table.

    Attributes:
        name: As in ``--data`` and in the names of the configs.
        label: What the table says about it.
        crop: As in the names of the configs.
    """
    name: str
    label: str
    crop: str = '360x480'

    def config(self, start: str) -> str:
        """Return the path of a config of this dataset."""
        return f'configs/{start}_{self.name}-{self.crop}.py'


DATA: Dict[str, Data] = {one.name: one for one in (
    Data('camvid', 'CamVid val, 11 classes, 360x480. The validation images come from '
         'the drive that half of the training images come from, so these numbers '
         'read high'),
    Data('labelmefacade', 'LabelMeFacade, 8 classes, longest side 512; the images of '
         'val are a part of its test images'))}

#: Row -> what the table says about it.
ROWS: Dict[str, str] = {
    'none': 'FCN, as it is',
    'densecrf': 'FCN, dense CRF (pydensecrf2)',
    'rgb': 'FCN, mean field and filters guided by colour',
    'learned': 'FCN, learned segmentation-aware mean field and filters',
    'aware': 'FCN with segmentation-aware convolutions in its head',
}
#: Rows whose parameters are sought on training images.
TUNED = ('densecrf', 'rgb')
#: Trainings that a row needs, in their order.
NEEDS: Dict[str, Tuple[str, ...]] = {
    'none': ('fcn', ),
    'densecrf': ('fcn', ),
    'rgb': ('fcn', ),
    'learned': ('fcn', 'embedding', 'learned'),
    'aware': ('aware', ),
}


def training(name: str, data: Data, weights: Dict[str, str]) -> Row:
    """Return the training of a name of :data:`NEEDS`.

    Args:
        name: 'fcn', 'embedding', 'learned' or 'aware'.
        data: The dataset.
        weights: Checkpoints of the trainings before it, by name.
    """
    if name == 'fcn':
        return Row('fcn', 'FCNHead', data.config('peers/fcn_r18-d16_1xb4-600i'))
    if name == 'embedding':
        return Row('embedding', 'embedding',
                   data.config('segaware/embedding_r18_1xb4-600i'))
    if name == 'aware':
        return Row('aware', ROWS['aware'],
                   data.config('segaware/segaware_fcn-r18-d16_1xb4-600i'))
    return Row('learned', ROWS['learned'],
               data.config('segaware/segaware-refined_fcn-r18-d16_1xb2-600i'), (
                   ('model.segmentor.init_cfg.checkpoint', weights['fcn']),
                   ('model.embedding.init_cfg.checkpoint', weights['embedding'])))
