"""Scores and times of a way to get logits, and the search for its parameters."""

import json
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import torch
from bench_report import write_text
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric
from refinement_data import Images, Logits, Sample, read_json
from refinement_methods import Method, Parameters, Span
from torch import Tensor
from tqdm import tqdm

RADII = (1, 3, 5, 10, 20)


def evaluate(images: Images, predict: Callable[[Sample], Tensor],
             title: str) -> Dict[str, Any]:
    """Return scores of all images, and seconds.

    Args:
        images: The images.
        predict: From a sample to logits (1, C, H, W); is timed.
        title: Of the progress bar.

    Returns:
        ``mIoU``, ``aAcc``, ``trimap/mIoU@r`` in percent, and ``seconds``, the
        median of the images.
    """
    MMLogger.get_instance('refinement', log_level='ERROR')
    scorer = Evaluator([dict(type='IoUMetric', iou_metrics=['mIoU']),
                        dict(type='TrimapIoUMetric', radii=RADII)])
    scorer.dataset_meta = dict(images.dataset.metainfo)
    times: List[float] = []
    for sample in tqdm(images, title):
        start = time.perf_counter()
        labels = predict(sample).argmax(1)
        times.append(time.perf_counter() - start)
        scorer.process([dict(
            pred_sem_seg=dict(data=labels), img_path=sample.name,
            gt_sem_seg=dict(data=torch.from_numpy(sample.label)[None]))])
    found = scorer.evaluate(len(images))
    return {**{key: float(value) for key, value in found.items()},
            'seconds': statistics.median(times)}


def mean_iou(images: Images, logits: Logits, method: Method) -> float:
    """Return the mIoU in percent of refined logits, without other scores."""
    classes = len(images.classes)
    areas = []
    for sample in images:
        labels = method(sample, logits.of(images, sample)).argmax(1)[0]
        areas.append(IoUMetric.intersect_and_union(
            labels, torch.from_numpy(sample.label), classes, 255))
    found = IoUMetric.total_area_to_metrics(*map(sum, zip(*areas)))
    return 100 * float(np.nanmean(found['IoU']))


def search(spans: Dict[str, Span], first: Parameters,
           score: Callable[[Parameters], float], count: int, path: Path,
           definition: Dict[str, Any], seed: int = 0) -> Dict[str, Any]:
    """Look for the parameters of the highest score.

    The first trial is ``first``; the first half of the others are drawn from
    the spans, the second half near the best so far. Every trial is kept, and
    the search goes on where it was. Trial k draws from a generator of its own,
    so that an interrupted search finds what a whole one does.

    Args:
        spans: Parameter -> its values.
        first: The first trial.
        score: The higher the better.
        count: Trials.
        path: File of the trials.
        definition: What the scores depend on; trials of another are dropped.
        seed: Of the draws.

    Returns:
        ``parameters``, ``score`` and ``trials`` (their number).
    """
    kept = read_json(path)
    trials = kept['trials'] if kept.get('definition') == definition else []
    for k in tqdm(range(count), f'parameters of {path.stem}', initial=0):
        if k < len(trials):
            continue
        rng = np.random.default_rng((seed, k))
        if k == 0:
            values = dict(first)
        elif k <= count // 2:
            values = {key: span.draw(rng) for key, span in spans.items()}
        else:
            best = max(trials, key=lambda one: one['score'])['parameters']
            values = {key: span.near(best[key], rng) for key, span in spans.items()}
        trials.append(dict(parameters=values, score=score(values)))
        write_text(path, json.dumps(dict(definition=definition, trials=trials),
                                    indent=1))
    best = max(trials[:count], key=lambda one: one['score'])
    return dict(best, trials=count, first=trials[0]['score'])
