"""Scores of Cityscapes by the functions of its own scripts, on files.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016.
Pixel level: IoU = TP / (TP + FP + FN) of classes and of categories, and for classes with
instances iIoU = iTP / (iTP + FP + iFN), whose pixels weigh the average size of the class
over the size of their instance. Instance level: AP, the mean over IoUs 0.5, 0.55 to 0.95,
and AP50%.

Counts of images add up, so that each can be counted where it was predicted.
"""

from copy import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, NamedTuple, Sequence

import numpy as np

from ..utils.cityscapes_scripts import INSTANCE, PIXEL, load_evaluator, official


class PixelCounts(NamedTuple):
    """Counts of one or more images.

    Attributes:
        confusion: (34, 34) pixels of label ids, rows the truth.
        instances: Of cityscapesscripts: weighted pixels of classes and categories.
    """

    confusion: np.ndarray
    instances: Dict[str, Dict[str, Dict[str, Any]]]

    def __add__(self, other: 'PixelCounts') -> 'PixelCounts':
        instances = {
            kind: {
                name: {key: value if key == 'labelIds' else
                       value + other.instances[kind][name][key]
                       for key, value in entry.items()}
                for name, entry in entries.items()}
            for kind, entries in self.instances.items()}
        return PixelCounts(self.confusion + other.confusion, instances)


def pixel_counts(prediction: str, truth: str, instances: bool = True) -> PixelCounts:
    """Count the pixels of an image.

    Args:
        prediction: PNG of label ids.
        truth: ``*_labelIds.png``.
        instances: Count instances too; ``*_instanceIds.png`` must lie beside.

    Raises:
        ValueError: A file that is missing, broken or of another size.
        ImportError: cityscapesscripts is not installed.
    """
    script = load_evaluator(PIXEL)
    args = _arguments(script)
    args.evalInstLevelScore = instances
    counts = PixelCounts(script.generateMatrix(args), script.generateInstanceStats(args))
    with official():
        script.evaluatePair(prediction, truth, *counts, {}, args)
    return counts


def pixel_scores(counts: PixelCounts) -> Dict[str, Any]:
    """Return the scores of the official evaluator, in [0, 1].

    Returns:
        dict: Its result: ``classScores``, ``classInstScores``, ``categoryScores``,
        ``categoryInstScores`` by name, ``averageScoreClasses`` and so on; NaN for what
        never occurs.
    """
    script = load_evaluator(PIXEL)
    args = _arguments(script)
    script.generateMatrix(args)  # says which labels there are
    confusion, instances = counts
    names = {script.id2label[label].name: label for label in args.evalLabels}
    return script.createResultDict(
        confusion,
        {name: script.getIouScoreForLabel(label, confusion, args)
         for name, label in names.items()},
        {name: script.getInstanceIouScoreForLabel(label, confusion, instances, args)
         for name, label in names.items()},
        {name: script.getIouScoreForCategory(name, confusion, args)
         for name in script.category2labels},
        {name: script.getInstanceIouScoreForCategory(name, confusion, instances, args)
         for name in script.category2labels}, {}, args)


def instance_scores(predictions: Sequence[str], truths: Sequence[str],
                    root: str) -> Dict[str, Any]:
    """Return the instance-level scores of the official evaluator, in [0, 1].

    Args:
        predictions: The text file of every image: ``mask labelId confidence`` a line.
        truths: ``*_instanceIds.png`` of the same images.
        root: Folder that holds all masks.

    Returns:
        dict: ``allAp``, ``allAp50%``, and ``classes``: name -> ``ap``, ``ap50%``; NaN
        for a class that never occurs.

    Raises:
        ValueError: A file that is missing or broken.
        ImportError: cityscapesscripts is not installed.
    """
    script = load_evaluator(INSTANCE)
    args = _arguments(script)
    args.predictionPath = str(Path(root).resolve())
    with TemporaryDirectory() as folder, official():
        args.gtInstancesFile = f'{folder}/instances.json'  # else beside the script
        script.setInstanceLabels(args)
        truths = [str(Path(path).resolve()) for path in truths]
        found = script.getGtInstances(truths, args)
        matches = script.matchGtWithPreds(
            [str(Path(path).resolve()) for path in predictions], truths, found, args)
        return script.computeAverages(script.evaluateMatches(matches, args), args)


def _arguments(script: Any) -> Any:
    """Arguments of a call: no files written, nothing printed."""
    args = copy(script.args)
    args.quiet, args.JSONOutput, args.colorized = True, False, False
    return args
