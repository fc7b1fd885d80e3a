"""How servers score: Cityscapes' evaluator is called, rules in Matlab are written out."""

from typing import Any, Callable, Dict, List, Sequence

import numpy as np
import pytest
from PIL import Image


def official_cityscapes() -> Callable[[Sequence[str], Sequence[str]], Dict[str, Any]]:
    """The evaluator of Cityscapes, which measures class IoU and writes nothing.

    It takes files of predictions and of truth; skips where it is not installed.
    """
    module = pytest.importorskip(
        'cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling',
        reason='cityscapesscripts is not installed')
    args = module.CArgs()
    args.__dict__.update(module.args.__dict__, JSONOutput=False, quiet=True,
                         evalInstLevelScore=False)  # needs instances, and numpy < 2.4
    return lambda files, truths: module.evaluateImgLists(files, truths, args)


def devkit_voc(files: Dict[str, Any], truths: Dict[str, np.ndarray]) -> List[float]:
    """VOC's rules: confusion of 21 classes over the pixels that are not void.

    An image of another size, or with an id above 20, ends the evaluation. Accuracy of a
    class is what is right over the union of truth and result; background counts.
    """
    confusion = np.zeros((21, 21), np.int64)
    for name, truth in truths.items():
        result = np.asarray(Image.open(files[name]))
        if result.max() > 20 or result.shape != truth.shape:
            raise ValueError(f'{name} is out of range or of the wrong size')
        for row in range(truth.shape[0]):
            for column in range(truth.shape[1]):
                if truth[row, column] < 255:
                    confusion[truth[row, column], result[row, column]] += 1
    scores = []
    for one in range(21):
        union = confusion[one].sum() + confusion[:, one].sum() - confusion[one, one]
        scores.append(confusion[one, one] / union if union else float('nan'))
    return scores


def devkit_ade20k(files: Dict[str, Any], truths: Dict[str, np.ndarray]) -> np.ndarray:
    """ADE20K's rules: results at pixels of the truth 0 do not count; IoU of 1..150."""
    right, results, there = np.zeros(151), np.zeros(151), np.zeros(151)
    for name, truth in truths.items():
        result = np.asarray(Image.open(files[name])).astype(np.uint16) * (truth > 0)
        for one in range(1, 151):
            right[one] += ((result == one) & (truth == one)).sum()
            results[one] += (result == one).sum()
            there[one] += (truth == one).sum()
    union = there + results - right
    return np.divide(right, union, where=union > 0, out=np.full(151, np.nan))[1:]
