"""The label check: labels outside the classes, found before the forward.

On a GPU such a label ends in a device-side assert that names nothing. Here
the first batches are looked at on the CPU, and the message names the file,
the values, and the likely cause.

``tools/train.py`` switches it on for 20 batches. ``--cfg-options
label_check.num_batches=0`` turns it off. With other training scripts:
``custom_hooks=[dict(type='LabelCheckHook')]``.
"""

from typing import Any, Iterator, List, Optional, Tuple

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from torch import nn

from .errors import LabelError
from .label_diagnosis import (
    Histogram,
    describe_file,
    histogram_of,
    is_mask_255,
    likely_cause,
    outside,
    raw_values,
    show_histogram,
)

TURN_OFF = ('To train without this check: --cfg-options '
            'label_check.num_batches=0')


def samples_in(batch: Any) -> Iterator[Any]:
    """Yield the data samples in a batch, however it is nested."""
    if hasattr(batch, 'gt_sem_seg') or hasattr(batch, 'gt_instances'):
        yield batch
    elif isinstance(batch, dict):
        for part in batch.values():
            yield from samples_in(part)
    elif isinstance(batch, (list, tuple)):
        for part in batch:
            yield from samples_in(part)


def _head(model: nn.Module, *names: str) -> Optional[nn.Module]:
    """Return the first sub-module of these dotted names, last of a cascade."""
    for name in names:
        part: Any = model
        for step in name.split('.'):
            part = getattr(part, step, None)
        if isinstance(part, nn.ModuleList) and len(part):
            part = part[-1]
        if isinstance(part, nn.Module) and hasattr(part, 'num_classes'):
            return part
    return None


def classes_of(model: nn.Module) -> Tuple[Optional[int], int, Optional[int]]:
    """Return semantic classes, ignored value and instance classes of a model.

    Args:
        model (nn.Module): A segmentor or detector, wrapped or not.

    Returns:
        tuple: ``(num_classes or None, ignore_index, instance classes or None)``.
    """
    while is_model_wrapper(model):
        model = model.module
    # mmdet's semantic heads map their labels themselves; they are left out.
    semantic = _head(model, 'decode_head')
    instance = _head(model, 'bbox_head', 'roi_head.bbox_head', 'mask_head')
    classes = getattr(semantic, 'num_classes', None)
    if getattr(semantic, 'out_channels', None) == 1:
        classes = 2  # one sigmoid: background 0 and foreground 1
    return (classes,
            getattr(semantic, 'ignore_index', 255),
            getattr(instance, 'num_classes', None))


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Check the labels of the first training batches on the CPU.

    Semantic labels (``gt_sem_seg``) and the classes of instances
    (``gt_instances.labels``) are checked against the number of classes of
    the model's heads.

    Args:
        num_batches (int): How many batches are checked; 0 for none.
        num_classes (int, optional): Semantic classes. Default: the head's.
        ignore_index (int, optional): Value that is no error. Default: the
            head's, 255 where it has none.
    """

    priority = 'VERY_HIGH'

    def __init__(self, num_batches: int = 20,
                 num_classes: Optional[int] = None,
                 ignore_index: Optional[int] = None) -> None:
        self.num_batches = num_batches
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self._instance_classes: Optional[int] = None
        self._dataset_classes: Optional[int] = None
        self._seen: Histogram = {}
        self._masks: List[str] = []
        self._done = 0
        self._warned_ignored = False

    def before_train(self, runner) -> None:
        """Find the classes of model and dataset; warn where they differ."""
        semantic, ignored, self._instance_classes = classes_of(runner.model)
        meta = getattr(runner.train_dataloader.dataset, 'metainfo', None) or {}
        if meta.get('classes') is not None:
            self._dataset_classes = len(meta['classes'])
        if self.num_classes is None:
            self.num_classes = semantic
        if self.ignore_index is None:
            self.ignore_index = ignored
        model = self.num_classes or self._instance_classes
        if self.num_batches and model and self._dataset_classes and \
                model != self._dataset_classes:
            runner.logger.warning(
                f'the model has num_classes={model}, the dataset '
                f'{self._dataset_classes} classes ({_short(meta["classes"])}): '
                'is num_classes of the heads meant for another dataset?')

    def before_train_iter(self, runner, batch_idx: int,
                          data_batch: Any = None) -> None:
        """Check one batch.

        Raises:
            LabelError: Names file, values, histogram and likely cause.
        """
        if self._done >= self.num_batches:
            return
        for sample in samples_in(data_batch):
            self._check_map(runner, sample)
            self._check_instances(sample)
        self._done += 1
        if self._done == self.num_batches and self._foreground_ignored():
            raise LabelError(f'{self._foreground_ignored()}\n{TURN_OFF}')

    def after_train(self, runner) -> None:
        """Warn where a short training ended before the check did."""
        if self._done < self.num_batches and self._foreground_ignored():
            runner.logger.warning(self._foreground_ignored())

    def _check_map(self, runner, sample: Any) -> None:
        """Check the semantic label of one sample."""
        data = getattr(getattr(sample, 'gt_sem_seg', None), 'data', None)
        if data is None or not self.num_classes:
            return
        label_file, files = _files(sample)
        if data.dim() != 3 or data.shape[0] != 1:
            raise LabelError(
                f'a label has the shape {tuple(data.shape)}; one channel '
                f'(1, height, width) is wanted.\n  {files}\n  '
                f'{describe_file(label_file)}')
        histogram = histogram_of(np.asarray(data.cpu()))
        bad = outside(histogram, self.num_classes, self.ignore_index)
        if bad:
            meta = sample.metainfo
            cause = likely_cause(
                histogram, self.num_classes, self.ignore_index, label_file,
                self._dataset_classes, bool(meta.get('reduce_zero_label')))
            raise LabelError(
                'label values outside the classes of the model.\n'
                f'  {files}\n'
                f'  found:   {_short(bad)}\n'
                f'  allowed: 0..{self.num_classes - 1} ({self.num_classes} '
                f'classes) and {self.ignore_index} (ignored)\n'
                '  the label as it reaches the model:\n'
                f'{show_histogram(histogram)}\n'
                f'  {describe_file(label_file)}\n'
                f'likely cause: {cause}\n{TURN_OFF}')
        for value, count in histogram.items():
            self._seen[value] = self._seen.get(value, 0) + count
        if is_mask_255(histogram) and len(self._masks) < 8:
            self._masks.append(label_file)
        if set(histogram) == {self.ignore_index} and not self._warned_ignored and \
                sample.metainfo.get('domain') != 'target':
            self._warned_ignored = True
            runner.logger.warning(
                f'a label is {self.ignore_index} (ignored) everywhere: {files}; '
                'it adds nothing to the loss. Said once.')

    def _check_instances(self, sample: Any) -> None:
        """Check the classes of the instances of one sample."""
        labels = getattr(getattr(sample, 'gt_instances', None), 'labels', None)
        if not isinstance(labels, torch.Tensor) or not self._instance_classes:
            return
        histogram = histogram_of(np.asarray(labels.cpu()))
        # No value is ignored here: ignored instances are kept apart.
        bad = outside(histogram, self._instance_classes, None)
        if bad:
            raise LabelError(
                'classes of instances outside those of the model.\n'
                f'  {_files(sample)[1]}\n  found:   {_short(bad)}\n'
                f'  allowed: 0..{self._instance_classes - 1}\n'
                f'likely cause: the dataset has '
                f'{self._dataset_classes or "other"} classes and the head '
                f'num_classes={self._instance_classes}; set num_classes in '
                'bbox_head and mask_head, or `metainfo=dict(classes=...)` in '
                f'the dataset.\n{TURN_OFF}')

    def _foreground_ignored(self) -> str:
        """Return a message where the labels are masks of 0 and 255, else ''.

        Crops of a proper dataset can hold background and ignored pixels
        alone, so the files themselves are asked as well.
        """
        if self.ignore_index != 255 or not is_mask_255(self._seen):
            return ''
        on_disk = [raw_values(path) for path in self._masks]
        if not all(v is None or v <= {0, 255} for v in on_disk) or not on_disk:
            return ''
        return (f'the labels of the first {self._done} batches hold 0 and 255 '
                'alone, and 255 is the ignore index: your foreground is '
                'ignored, and the model would learn class 0 everywhere.\n'
                f'  for example {self._masks[0] or "(no path in meta_keys)"}\n'
                f'{show_histogram(self._seen)}\n'
                'likely cause: masks of 0 and 255. Map 255 to 1 in the label '
                'files, or in a transform after LoadAnnotations.')


def _files(sample: Any) -> Tuple[str, str]:
    """Return the label's path and a text with label and image."""
    meta = getattr(sample, 'metainfo', {})
    label, image = meta.get('seg_map_path', ''), meta.get('img_path', '')
    text = (f'label: {label}   image: {image}' if label else
            f'image: {image or "unknown (img_path is not in meta_keys)"}')
    return label, text


def _short(items) -> str:
    """Return the first items, separated by commas."""
    items = list(items)
    return ', '.join(str(i) for i in items[:12]) + (
        f', ... ({len(items)} in all)' if len(items) > 12 else '')
