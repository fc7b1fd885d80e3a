"""One row of the refinement table: its parameters, its scores, kept on disk."""

import json
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import torch
from bench_report import ROOT, write_text
from mmengine.config import Config
from refinement_data import Images, Logits, Sample, file_hash, load_model, read_json
from refinement_methods import (
    CRF_RELEASED,
    CRF_SPANS,
    RGB_RELEASED,
    RGB_SPANS,
    Method,
    Parameters,
    dense_crf,
    learned_mean_field,
    learned_sizes,
    rgb_mean_field,
)
from refinement_plan import Data, training
from refinement_score import evaluate, mean_iou, search
from torch import Tensor


class Bench:
    """What the rows share: images, cached logits, weights.

    Args:
        data: The dataset.
        weights: Checkpoints, by training.
        folder: Where everything is kept.
        tune_images, trials: Of the searches.
        limit: Evaluate so many images; 0 takes all.
    """

    def __init__(self, data: Data, weights: Dict[str, str], folder: Path,
                 tune_images: int, trials: int, limit: int) -> None:
        self.data, self.weights, self.folder = data, weights, folder
        self.tune_images, self.trials = tune_images, trials
        fcn = self.config('fcn')
        self.val = Images(fcn, 'val', limit)
        self.train = Images(fcn, 'train', tune_images)

    def config(self, name: str) -> str:
        """Return the path of a training's config."""
        known = dict.fromkeys(('fcn', 'embedding'), '')
        return str(ROOT / training(name, self.data, known).config)

    def logits(self) -> Logits:
        """Return the cache of the FCN's logits."""
        return Logits(self.config('fcn'), self.weights['fcn'], self.folder / 'logits')

    def definition(self, name: str) -> Dict[str, Any]:
        """Return what the result of a row depends on."""
        own = name if name in ('learned', 'aware') else 'fcn'
        return dict(
            row=name, images=len(self.val), threads=torch.get_num_threads(),
            weights=file_hash(self.weights[own]),
            tuning=[self.tune_images, self.trials] if name in TUNERS else None)

    def kept(self, name: str) -> Optional[Dict[str, Any]]:
        """Return the saved result of a row, None where it is to be made."""
        found = read_json(self.folder / 'rows' / f'{name}.json')
        if name in ('learned', 'aware') and name not in self.weights:
            return None
        return found if found.get('definition') == self.definition(name) else None

    def run(self, name: str, facts: Dict[str, Any]) -> Dict[str, Any]:
        """Score a row and save its result.

        Args:
            name: Of the row.
            facts: Environment, commands and date, for the page.
        """
        result = dict(self._score(name), definition=self.definition(name),
                      images=len(self.val), **facts)
        write_text(self.folder / 'rows' / f'{name}.json', json.dumps(result, indent=1))
        return result

    def _score(self, name: str) -> Dict[str, Any]:
        if name == 'aware':
            model = load_model(self.config('aware'), self.weights['aware'])
            scores = evaluate(self.val, lambda sample: _predict(model, sample), name)
            return dict(scores=scores, seconds=scores.pop('seconds'))
        logits = self.logits()
        logits.prepare(self.val)
        tuning = self.tune(name) if name in TUNERS else None
        method = self.method(name, tuning and tuning['parameters'])
        times, work = [], []

        def predict(sample: Sample) -> Tensor:
            plain = logits.of(self.val, sample)
            start, cpu = time.perf_counter(), time.process_time()
            out = method(sample, plain) if method else plain
            times.append(time.perf_counter() - start)
            work.append(time.process_time() - cpu)
            return out

        scores = evaluate(self.val, predict, name)
        scores.pop('seconds')
        network = _median(logits.seconds(self.val))
        spent = _median(times) if method else None
        return dict(scores=scores, refine_seconds=spent,
                    refine_cpu=_median(work) if method else None,
                    seconds=network + (spent or 0), tuning=tuning)

    def method(self, name: str, parameters: Optional[Parameters]) -> Optional[Method]:
        """Return how a row refines; None for not at all."""
        if name == 'none':
            return None
        if name == 'learned':
            return learned_mean_field(
                load_model(self.config('learned'), self.weights['learned']))
        return self.tuned_method(name)(parameters)

    def tuned_method(self, name: str) -> Callable[[Parameters], Method]:
        """Return how parameters make a method."""
        if name == 'densecrf':
            return dense_crf
        sizes = learned_sizes(Config.fromfile(self.config('learned')).model)
        return lambda values: rgb_mean_field(values, len(self.val.classes), *sizes)

    def tune(self, name: str) -> Dict[str, Any]:
        """Return the parameters found on training images, and how."""
        first, spans = TUNERS[name]
        make = self.tuned_method(name)
        make(first)  # a package that is absent says so before any work
        logits = self.logits()
        logits.prepare(self.train)
        found = search(
            spans, first,
            lambda values: mean_iou(self.train, logits, make(values)), self.trials,
            self.folder / f'search_{name}.json',
            dict(images=len(self.train), trials=self.trials, **logits.source))
        return dict(found, images=len(self.train),
                    plain=mean_iou(self.train, logits, lambda _, x: x))


#: Row -> first trial, values of the search.
TUNERS = dict(densecrf=(CRF_RELEASED, CRF_SPANS), rgb=(RGB_RELEASED, RGB_SPANS))


def _median(values: Any) -> float:
    from statistics import median
    return median(values)


def _predict(model: torch.nn.Module, sample: Sample) -> Tensor:
    """Return a segmentor's logits at the image's size."""
    size = tuple(sample.inputs.shape[2:])
    meta = dict(img_shape=size, pad_shape=size, ori_shape=size)
    with torch.no_grad():
        return model.encode_decode(sample.inputs, [meta])
