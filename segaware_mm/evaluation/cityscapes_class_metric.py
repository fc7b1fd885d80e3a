"""Class IoU of Cityscapes, its headline number, by the official evaluator.

mmseg's ``CityscapesMetric`` runs the same evaluator, returns the scores of categories,
and deletes its folder of predictions when it is collected, unless told otherwise.
"""

from functools import reduce
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from mmseg.registry import METRICS
from PIL import Image
from prettytable import PrettyTable

from ..engine.near import did_you_mean, near_names
from ..utils.cityscapes_scripts import PIXEL, load_evaluator
from .cityscapes_scores import PixelCounts, pixel_counts, pixel_scores
from .class_names import class_names

#: The four numbers of the benchmark: the evaluator's average, ours.
MEANS = dict(averageScoreClasses='mIoU', averageScoreInstClasses='miIoU',
             averageScoreCategories='mIoU_category',
             averageScoreInstCategories='miIoU_category')


@METRICS.register_module()
class CityscapesClassMetric(BaseMetric):
    """IoU and iIoU of classes and categories, in percent, as the benchmark has them.

    Predictions are compared with ``*_gtFine_labelIds.png`` at their own size, by the
    functions of cityscapesscripts; see :mod:`segaware_mm.evaluation.cityscapes_scores`.
    Unlike mIoU of train ids (mmseg's ``IoUMetric``), which agrees on classes, this has
    categories and iIoU. Images are counted as they come, on every process; what is kept
    of one are its counts.

    Args:
        output_dir (str, optional): Keep the predictions there, a PNG of label ids for
            every image. They stay: nothing here deletes a folder of yours.
        instance_weighted (bool): Report iIoU; ``*_gtFine_instanceIds.png`` must lie
            beside the labels.
        collect_device, prefix: As in mmengine's ``BaseMetric``; the prefix is
            'cityscapes'.

    Raises:
        ImportError: cityscapesscripts is not installed.

    Metrics: ``cityscapes/mIoU`` (the benchmark's "IoU class"), ``miIoU`` ("iIoU class"),
    ``mIoU_category``, ``miIoU_category``; ``IoU_road`` and so on, ``iIoU_person``,
    ``IoU_category_flat``, ``iIoU_category_human``. NaN for what never occurs; means leave
    it out.
    """

    default_prefix: Optional[str] = 'cityscapes'

    def __init__(self,
                 output_dir: Optional[str] = None,
                 instance_weighted: bool = True,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        load_evaluator(PIXEL)  # says before the test what to install
        self.output_dir = None if output_dir is None else Path(output_dir)
        self.instance_weighted = instance_weighted

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pixels of a batch.

        Raises:
            ValueError: A class that Cityscapes has not, labels that are missing or of
                another size; names the file.
        """
        ids = label_ids(class_names(self))
        with TemporaryDirectory() as folder:
            for sample in data_samples:
                labels = sample['pred_sem_seg']['data'].flatten(0, -2).cpu().numpy()
                path = (self.output_dir or Path(folder)) / (
                    Path(sample['img_path']).stem + '.png')
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(ids[labels]).save(path)
                truth = self._truth(sample)
                self.results.append(pixel_counts(str(path), truth,
                                                 self.instance_weighted))

    def _truth(self, sample: dict) -> str:
        """Return the file of label ids of an image."""
        path = sample.get('seg_map_path')
        if path is None:
            raise ValueError(f'{sample["img_path"]} has no label, so there is nothing to '
                             'compare with: data of the test set are for submissions.')
        path = str(path).replace('labelTrainIds.png', 'labelIds.png')
        wanted = [path, path.replace('labelIds', 'instanceIds')]
        for name in wanted[:1 + self.instance_weighted]:
            if not Path(name).is_file():
                raise ValueError(
                    f'{name} is missing; the official evaluator reads it. It comes with '
                    'gtFine_trainvaltest.zip; instance_weighted=False does without '
                    'instanceIds.')
        return path

    def compute_metrics(self, results: List[PixelCounts]) -> Dict[str, float]:
        """Return the scores, and log classes and categories."""
        scores = pixel_scores(reduce(add, (PixelCounts(*one) for one in results)))
        weighted = self.instance_weighted
        metrics = {ours: 100 * scores[key] for key, ours in MEANS.items()
                   if weighted or 'Inst' not in key}
        from cityscapesscripts.helpers.labels import category2labels, name2label
        shown = {
            'class': [name for name in scores['classScores']
                      if not name2label[name].ignoreInEval],
            'category': [name for name, labels in category2labels.items()
                         if not all(label.ignoreInEval for label in labels)]}
        for kind, names in shown.items():
            owner = '' if kind == 'class' else 'category_'
            table = PrettyTable([kind, 'IoU', 'iIoU'])
            for name in names:
                row = [100 * scores[f'{kind}{part}'][name]
                       for part in ('Scores', 'InstScores')]
                metrics[f'IoU_{owner}{name}'] = row[0]
                if weighted and _has_instances(kind, name):
                    metrics[f'iIoU_{owner}{name}'] = row[1]
                else:
                    row[1] = float('nan')
                table.add_row([name, *(f'{value:.2f}' for value in row)])
            print_log(f'Cityscapes:\n{table.get_string()}',
                      MMLogger.get_current_instance())
        return metrics


def _has_instances(kind: str, name: str) -> bool:
    from cityscapesscripts.helpers.labels import category2labels, name2label
    labels = [name2label[name]] if kind == 'class' else category2labels[name]
    return all(label.hasInstances for label in labels if label.id >= 0)


def label_ids(classes: Sequence[str]) -> np.ndarray:
    """Return the label id of every class of a model, by its name.

    Raises:
        ValueError: A name that Cityscapes has not.
    """
    from cityscapesscripts.helpers.labels import name2label
    for name in classes:
        if name not in name2label or name2label[name].id < 0:
            raise ValueError(f'{name!r} is no class of Cityscapes.'
                             f'{did_you_mean(near_names(name, list(name2label)))}')
    return np.array([name2label[name].id for name in classes], np.uint8)
