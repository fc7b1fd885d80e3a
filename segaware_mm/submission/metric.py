"""The evaluator of a submission: no score, but the files that a server wants.

``tools/submit.py`` works through it, and so may ``tools/test.py`` with a config that has
it as its ``test_evaluator``: both write the same bytes.
"""

from typing import Any, Dict, List, Optional, Sequence

from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS

from .archive import check_place
from .images import TestImage, find_images, image_name, image_of
from .predictions import Instances
from .problem import SubmissionError
from .proof import count_of, official_count, pack_and_prove
from .target import Target
from .targets import get_target
from .work_folder import WorkFolder


@METRICS.register_module()
class SubmissionMetric(BaseMetric):
    """Write every prediction as its server wants it, then the archive, and prove it.

    For the data sets and models of mmseg (semantic targets) and mmdet (instances). Every
    process writes the images that it predicts; when all are done, the first one packs.
    Nothing here deletes files: those of finished images stay in ``work_dir``.

    Args:
        target (str): Name of the target: 'cityscapes-pixel'.
        out (str): The archive.
        name (str): Of the submission, where the server wants one (COCO).
        work_dir (str, optional): Folder of the finished images; default ``OUT.test``.
        images (str, optional): The test set that must be complete: a folder, a list or
            COCO's image information. Default: the images that are tested.
        claimed (bool): The folder belongs to the run of ``tools/submit.py`` that uses
            this metric.
        collect_device: As in mmengine's ``BaseMetric``.

    Metrics: ``submission/images``, their number.

    Raises:
        SubmissionError: Another target, a name that the server does not take; later a
            prediction of another kind or size, a full disk, an archive with problems.
    """

    default_prefix: Optional[str] = 'submission'

    def __init__(self,
                 target: str,
                 out: str,
                 name: str = '',
                 work_dir: Optional[str] = None,
                 images: Optional[str] = None,
                 claimed: bool = False,
                 collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)
        self.target = get_target(target)
        self.target.check(out, name)
        check_place(out)
        self.out, self.name = out, name
        self.folder = WorkFolder(work_dir or f'{out}.test')
        self.claimed = claimed
        if self.folder.record.exists() and not claimed:
            raise SubmissionError(
                f'{self.folder.path} has the images of a run of tools/submit.py. Give '
                'the metric a work_dir of its own.')
        self.images = None
        if images is not None:
            self.images = {one.name: one
                           for one in find_images(images, self.target.pattern)}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Write the files of the images of a batch."""
        classes = (self.dataset_meta or {}).get('classes') or ()
        for sample in data_samples:
            image = self._image(sample)
            self.target.write(self.folder.tree, image,
                              prediction_of(sample, self.target, image), classes)
            if self.claimed:
                self.folder.sign(image)
            self.results.append(image)

    def _image(self, sample: dict) -> TestImage:
        path = sample.get('img_path')
        if path is None:
            raise SubmissionError(
                "samples have no img_path: add it to the pipeline's Pack*Inputs "
                "(meta_keys=('img_id', 'img_path', 'ori_shape', ...)).")
        if self.images is None:
            number = sample.get('img_id')
            return image_of(path, self.target.pattern,
                            number if isinstance(number, int) else None)
        name = image_name(path, self.target.pattern)
        if name not in self.images:
            raise SubmissionError(f'{path} was tested and is no image of the test set.')
        return self.images[name]

    def compute_metrics(self, results: List[TestImage]) -> Dict[str, float]:
        """Pack and prove; all processes have written their images."""
        # A sampler may give an image to two processes, so that all have as many.
        tested = {one.name: one for one in map(_as_image, results)}
        known = self.images or tested
        # Of a claimed folder the run knows which images an earlier one has finished.
        absent = [] if self.claimed else sorted(set(known) - set(tested))
        if absent:
            raise SubmissionError(
                f'{len(absent)} of {len(known)} images of the test set were not tested, '
                f'the first is {absent[0]}. Let test_dataloader have all of them.')
        images = [known[name] for name in sorted(known)]
        pack_and_prove(self.target, self.folder.tree, images, self.out, self.name)
        number = count_of(images, 'image')
        print_log(f'{self.out}: {number}, no problem found',
                  logger='current')
        remark = official_count(self.target, images)
        if remark:
            print_log(f'note: {remark}', logger='current')
        return dict(images=float(len(images)))


def _as_image(one: Sequence[Any]) -> TestImage:
    return TestImage(*one)  # what comes from other processes may be a plain tuple


def prediction_of(sample: dict, target: Target, image: TestImage) -> Any:
    """Return what a model predicts of an image, as ``target.write`` wants it.

    Args:
        sample: A data sample of mmseg or mmdet as a dict.
        target: Its task decides.
        image: For messages.

    Raises:
        SubmissionError: The model predicts something else.
    """
    if target.task == 'semantic':
        if 'pred_sem_seg' not in sample:
            raise SubmissionError(
                f'{target.name} takes a class for every pixel, and the model gives no '
                f'pred_sem_seg for {image.name}: it wants a segmentor of mmseg.')
        return sample['pred_sem_seg']['data'].flatten(0, -2).cpu().numpy()
    found = sample.get('pred_instances') or {}
    if 'masks' not in found:
        tta = ("mmdet's test time augmentation joins boxes alone." if found else
               'It wants a detector of mmdet.')
        raise SubmissionError(
            f'{target.name} takes instances with masks, and the model gives '
            f'{"boxes without masks" if found else "no pred_instances"} for '
            f'{image.name}. {tta}')
    # Detectors that score masks rank by that, as CocoMetric does.
    scores = found.get('mask_scores', found['scores'])
    return Instances(found['labels'].cpu().numpy(), scores.cpu().numpy(), found['masks'])
