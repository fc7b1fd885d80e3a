"""The images of a test set as a dataset: files and sizes, nothing else."""

from typing import Any, Dict, List

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from .images import load_images


@DATASETS.register_module()
class SubmissionImages(BaseDataset):
    """Images without annotations, for pipelines of mmseg and mmdet.

    Args:
        ann_file (str): Of :func:`segaware_mm.submission.images.save_images`.
        metainfo, pipeline, **kwargs: As in mmengine's ``BaseDataset``.
    """

    def load_data_list(self) -> List[Dict[str, Any]]:
        """Return what a pipeline begins with."""
        return [dict(img_path=one.path, height=one.height, width=one.width,
                     img_id=index if one.image_id is None else one.image_id,
                     seg_fields=[], reduce_zero_label=False)
                for index, one in enumerate(load_images(self.ann_file))]
