"""A resumed training has the losses of an uninterrupted one.

mmengine restores weights, optimizer, schedule and the order of the data, but
no random state: after ``--resume`` augmentation and dropout take other
values. Restoring states would not help, since validation and the number of
workers draw from them too. So nothing is stored here; every source of
randomness is seeded by its position:

- loading: batch n of process r gets the seed (seed, r, epoch, n) in the
  worker that loads it (:class:`SeededBatch`), whatever the number of workers;
- training: iteration i of process r gets (seed, r, i) before its forward
  (:class:`IterationSeedHook`).

Position also tells where to go on without loading what was trained on
(mmengine loads and drops every batch up to there): :func:`fast_forward`.

Not covered: transforms with a generator of their own (albumentations >= 1.4),
and CUDA kernels that are not deterministic (``randomness.deterministic``).
"""

import random
from itertools import islice
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import BaseLoop, IterBasedTrainLoop
from torch.utils.data import BatchSampler, Sampler

from ..utils.stack import ForwardedIterator, skips_by_itself

LOADING, TRAINING = 0, 1


def seed_by(*key: int) -> None:
    """Seed torch, numpy and python from integers >= 0."""
    words = np.random.SeedSequence(key).generate_state(4)
    random.seed(words.tobytes())
    np.random.seed(words)
    torch.manual_seed((int(words[0]) << 32) | int(words[1]))


class SeededBatch(list):
    """Indices of one batch; looping over them seeds the randomness first.

    A dataloader sends the indices to a worker, which loops over them to load
    the samples. Pickling does not loop.

    Args:
        indices (list[int]): Indices into the dataset.
        key (tuple[int]): The seed.
    """

    def __init__(self, indices: List[int], key: Tuple[int, ...]) -> None:
        super().__init__(indices)
        self.key = key

    def __iter__(self) -> Iterator[int]:
        """Seed, then loop."""
        seed_by(*self.key)
        return super().__iter__()

    def __reduce__(self) -> tuple:
        """Rebuild from a plain list (a slice does not call __iter__)."""
        return SeededBatch, (self[:], self.key)


class SeededBatchSampler(Sampler):
    """Batches of another sampler, each with the seed of its position.

    Args:
        sampler (Sampler): As built by mmengine.
        batch_size (int): Samples per batch.
        seed (int): Seed of the training.
        drop_last (bool): Whether a last, smaller batch is left out.
        inner (dict, optional): Config of the batch sampler of the dataloader,
            where it has one.
    """

    def __init__(self, sampler: Sampler, batch_size: int, seed: int,
                 drop_last: bool = False, inner: Optional[dict] = None) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.seed = seed
        self.batches = BatchSampler(sampler, batch_size, drop_last) \
            if inner is None else DATA_SAMPLERS.build(
                inner, default_args=dict(sampler=sampler, batch_size=batch_size))
        self._start = 0

    def __iter__(self) -> Iterator[SeededBatch]:
        """Yield the batches from the start, or from where :meth:`skip` put it."""
        start = self._start
        epoch = getattr(self.sampler, 'epoch', 0)
        for number, batch in enumerate(islice(self.batches, start, None), start):
            yield SeededBatch(
                batch, (self.seed, LOADING, get_rank(), epoch, number))

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return len(self.batches)

    def skip(self, num_batches: int) -> bool:
        """Start after ``num_batches``, counted from the first of the training.

        Returns:
            bool: False where the sampler is none whose start is known: neither
            mmengine's ``InfiniteSampler`` nor one with ``restarts`` (it is endless and
            each loop over it starts from the beginning).
        """
        if type(self.batches) is not BatchSampler:
            return False
        old = self.sampler
        if type(old) is InfiniteSampler:
            # The old one has run ahead: workers are sent batches early.
            self.sampler = InfiniteSampler(old.dataset, old.shuffle, old.seed)
            self.batches = BatchSampler(self.sampler, self.batch_size, self.drop_last)
        elif not getattr(old, 'restarts', False):
            return False
        self._start = num_batches
        return True


def with_seeded_batches(dataloader: dict, seed: int) -> dict:
    """Return a dataloader config whose batches are seeded by position.

    Args:
        dataloader (dict): Config with ``sampler``, ``batch_size`` and perhaps
            ``batch_sampler`` and ``drop_last``; not changed.
        seed (int): Seed of the training.
    """
    dataloader = dict(dataloader)
    dataloader['batch_sampler'] = dict(
        type=SeededBatchSampler,
        seed=seed,
        drop_last=dataloader.pop('drop_last', False),
        inner=dataloader.get('batch_sampler'))
    return dataloader


def fast_forward(loop: BaseLoop) -> bool:
    """Let a resumed loop go on without loading what was trained on.

    Args:
        loop (BaseLoop): A loop whose ``iter`` was restored.

    Returns:
        bool: Whether the loop stands there; else mmengine loads and drops.
    """
    sampler = getattr(loop.dataloader, 'batch_sampler', None)
    if not isinstance(loop, IterBasedTrainLoop) or loop.iter == 0 or \
            not isinstance(sampler, SeededBatchSampler) or \
            skips_by_itself(loop) or \
            not sampler.skip(loop.iter):
        return False
    loop.dataloader_iterator = None  # stops its workers
    loop.dataloader_iterator = ForwardedIterator(iter(loop.dataloader), loop.iter)
    return True


class IterationSeedHook(Hook):
    """Seed every training iteration by its number and process."""

    priority = 'VERY_HIGH'

    def before_train(self, runner) -> None:
        """After a resume, move the data forward."""
        if fast_forward(runner.train_loop):
            runner.logger.info(
                f'resumed at iteration {runner.iter}: the data go on there, '
                'without loading earlier batches again')

    def before_train_iter(self, runner, batch_idx: int,
                          data_batch: Any = None) -> None:
        """Seed the forward of this iteration."""
        seed_by(runner.seed, TRAINING, get_rank(), runner.iter)
