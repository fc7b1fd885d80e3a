"""Batches that come from the target and the source domain in turns.

TransferNet (Hong et al., CVPR 2016) feeds one domain a forward: even iterations the
target (image labels), odd ones the source (masks).
"""

from typing import Iterator, List, Optional, Sequence, Sized

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from ..ops.checks import check_choice, check_number

DOMAINS = ('target', 'source')


@DATA_SAMPLERS.register_module()
class AlternatingDomainSampler(Sampler):
    """Endless indices into ``ConcatDataset([target, source])``, a domain a batch.

    A data loader groups ``batch_size`` indices of a sampler to a batch, so the sampler
    yields that many of one domain, then that many of the other. It has to know the
    number: this project's runner (``tools/train.py``) tells it, and checks it where it
    is given; with another runner give the ``batch_size`` of the data loader here as well,
    since the sampler cannot see it, and a wrong one mixes the domains.

    Each domain has an order of its own: shuffled, all of it before anything comes again,
    then shuffled anew. So the sizes of the domains may differ; the smaller comes round
    more often. Of the ``batch_size * processes`` items of a step every process takes its
    own part; they are different ones where the domain has that many.

    In an iteration all processes are in the same domain. The order depends on the seed
    alone: looping anew starts from the beginning, and a resumed training goes on where it
    was, with this project's exact resume or mmengine's own.

    With gradient accumulation an update should see both domains equally often:
    ``accumulative_counts`` must be even (or 1: updates alternate). This project's runner
    refuses others.

    Args:
        dataset (Sized): With ``datasets``, the target and the source; ``domains`` says
            otherwise.
        batch_size (int, optional): Of a process; see above.
        shuffle (bool): Whether the items are shuffled.
        seed (int, optional): The same in all processes. Default: drawn.
        start (str): Domain of the first iteration.
        domains (Sequence[str]): Which data set of ``dataset`` is which.
        sizes (Sequence[int], optional): Sizes of both, where ``dataset`` is none of two.
    """

    #: Read by the project's runner: each loop starts from the beginning.
    restarts = True

    def __init__(self,
                 dataset: Optional[Sized] = None,
                 batch_size: Optional[int] = None,
                 shuffle: bool = True,
                 seed: Optional[int] = None,
                 start: str = 'target',
                 domains: Sequence[str] = DOMAINS,
                 sizes: Optional[Sequence[int]] = None) -> None:
        check_choice('start', start, DOMAINS)
        if sorted(domains) != sorted(DOMAINS):
            raise ValueError(f"domains must be 'target' and 'source' in the order of the "
                             f'data sets, got {tuple(domains)}.')
        if batch_size is None:
            raise ValueError(
                'AlternatingDomainSampler needs batch_size, that of the data loader: the '
                'sampler cannot see it. tools/train.py fills it in.')
        check_number('batch_size', batch_size, 1, integer=True)
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.rank, self.world_size = get_dist_info()
        self.start = start
        self.domains = tuple(domains)
        self.sizes = _sizes(dataset, sizes)

    def domain_of(self, iteration: int) -> str:
        """Return the domain of an iteration, counted from 0."""
        other = DOMAINS[1 - DOMAINS.index(self.start)]
        return other if iteration % 2 else self.start

    def _chunks(self, which: int) -> Iterator[List[int]]:
        """Yield this process's items of every step of a domain, endlessly."""
        size = self.sizes[which]
        offset = sum(self.sizes[:which])
        step = self.batch_size * self.world_size
        generator = torch.Generator()
        generator.manual_seed(self.seed + which)
        waiting: List[int] = []
        while True:
            while len(waiting) < step:
                order = torch.randperm(size, generator=generator).tolist() \
                    if self.shuffle else list(range(size))
                # What the old round still holds does not come twice in one step.
                again = set(waiting)
                waiting += [i for i in order if i not in again] + \
                    [i for i in order if i in again]
            mine = waiting[self.rank * self.batch_size:][:self.batch_size]
            waiting = waiting[step:]
            yield [offset + index for index in mine]

    def __iter__(self) -> Iterator[int]:
        """Yield indices, from the first iteration on."""
        chunks = {domain: self._chunks(which)
                  for which, domain in enumerate(self.domains)}
        iteration = 0
        while True:
            yield from next(chunks[self.domain_of(iteration)])
            iteration += 1

    def __len__(self) -> int:
        """Return the number of items of both domains."""
        return sum(self.sizes)

    def set_epoch(self, epoch: int) -> None:
        """Nothing: iterations are counted, not epochs."""

    def check_training(self, batch_size: int, accumulative_counts: int) -> None:
        """Raise where a training would not keep the domains apart or balanced.

        Args:
            batch_size (int): Of the data loader.
            accumulative_counts (int): Forwards of an update.

        Raises:
            ValueError: Says what to set.
        """
        if batch_size != self.batch_size:
            raise ValueError(
                f'the data loader has batch_size={batch_size}, its '
                f'AlternatingDomainSampler {self.batch_size}: batches would mix the '
                'domains. Leave batch_size out of the sampler.')
        if accumulative_counts > 1 and accumulative_counts % 2:
            raise ValueError(
                f'optim_wrapper.accumulative_counts={accumulative_counts} is odd: with '
                'alternating domains an update would see one domain more often than the '
                f'other. Set {accumulative_counts + 1}, or {accumulative_counts - 1}.')


def _sizes(dataset: Optional[Sized], sizes: Optional[Sequence[int]]) -> List[int]:
    """Return the sizes of both domains."""
    if sizes is None:
        parts = getattr(dataset, 'datasets', None)
        if parts is None:
            raise ValueError(
                'AlternatingDomainSampler needs a ConcatDataset of the target and the '
                f'source, got {type(dataset).__name__}; or give sizes.')
        sizes = [len(part) for part in parts]
    elif dataset is not None and sum(sizes) != len(dataset):
        raise ValueError(f'sizes {tuple(sizes)} have the sum {sum(sizes)}; the data set '
                         f'has {len(dataset)} items.')
    if len(sizes) != len(DOMAINS) or min(sizes) < 1:
        raise ValueError('AlternatingDomainSampler wants two data sets, neither empty; '
                         f'got the sizes {tuple(sizes)}. Wrap several data sets of one '
                         'domain in a ConcatDataset.')
    return list(map(int, sizes))
