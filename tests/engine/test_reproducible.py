"""Seeds by position: the batches, the iterations, and skipping."""

import pickle
import random
from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, Dataset

from segaware_mm.engine.reproducible import (
    SeededBatch,
    SeededBatchSampler,
    seed_by,
    with_seeded_batches,
)


class Noise(Dataset):
    """Random numbers of all three generators, beside the index."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return (index, random.random(), float(np.random.rand()),
                float(torch.rand(())))


def loader(workers, seed=0, sampler=None):
    """Return a loader of seeded batches."""
    sampler = sampler or InfiniteSampler(Noise(), seed=5)
    return DataLoader(
        Noise(), batch_sampler=SeededBatchSampler(sampler, 2, seed),
        num_workers=workers, collate_fn=list)


def test_seeds_depend_on_every_part_of_the_key():
    def draw(*key):
        seed_by(*key)
        return random.random(), np.random.rand(), torch.rand(()).item()

    assert draw(0, 1, 2) == draw(0, 1, 2)
    first, *others = (draw(*key) for key in ((0, 1, 2), (1, 1, 2), (0, 2, 2),
                                             (0, 1, 3), (2, 1, 0)))
    for other in others:
        assert all(a != b for a, b in zip(first, other))


def test_number_of_workers_does_not_matter():
    alone = list(islice(loader(0), 6))
    assert alone == list(islice(loader(2), 6))
    assert alone != list(islice(loader(0, seed=1), 6))
    drawn = [sample[1] for batch in alone for sample in batch]
    assert len(set(drawn)) == 12


def test_pickling_does_not_touch_the_generators():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    copied = pickle.loads(pickle.dumps(SeededBatch([3, 1, 2], (0, 1))))
    assert torch.equal(before, torch.get_rng_state())
    assert type(copied) is SeededBatch and copied.key == (0, 1)
    assert list(copied) == [3, 1, 2]
    assert not torch.equal(before, torch.get_rng_state())


def test_skipping_continues_where_the_uninterrupted_order_is():
    whole = list(islice(loader(0), 9))
    again = loader(2)
    list(islice(again, 1))  # workers run ahead before a resume is known
    assert again.batch_sampler.skip(4) is True
    assert list(islice(again, 5)) == whole[4:]


def test_samplers_that_cannot_skip_say_so():
    sampler = SeededBatchSampler(DefaultSampler(Noise(), seed=1), 2, 0)
    assert sampler.skip(3) is False
    assert len(sampler) == 5


def test_epochs_have_other_seeds():
    sampler = DefaultSampler(Noise(), shuffle=False)
    first = list(loader(0, sampler=sampler))
    sampler.set_epoch(1)
    second = list(loader(0, sampler=sampler))
    assert [s[0] for b in first for s in b] == [s[0] for b in second for s in b]
    assert first[0][0][1] != second[0][0][1]


def test_order_of_the_data_stays_upstreams():
    plain = BatchSampler(InfiniteSampler(Noise(), seed=5), 2, False)
    seeded = SeededBatchSampler(InfiniteSampler(Noise(), seed=5), 2, 0)
    assert [b[:] for b in islice(seeded, 8)] == list(islice(plain, 8))


@pytest.mark.parametrize('inner', [None, dict(type='BatchSampler')])
def test_dataloader_config_keeps_what_it_had(inner):
    config = dict(batch_size=3, drop_last=True, sampler=dict(type='X'))
    if inner:
        config['batch_sampler'] = inner
    seeded = with_seeded_batches(config, 9)
    assert seeded['batch_size'] == 3 and 'drop_last' not in seeded
    assert seeded['batch_sampler'] == dict(
        type=SeededBatchSampler, seed=9, drop_last=True, inner=inner)
    assert config['drop_last'] is True
