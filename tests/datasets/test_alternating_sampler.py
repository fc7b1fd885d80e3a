"""Batches of the target and the source in turns: order, processes, resume, checks."""

import shutil
from collections import Counter
from itertools import islice

import pytest
import torch
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader

pytest.importorskip('mmengine')

from mmengine.dataset import InfiniteSampler  # noqa: E402
from mmengine.registry import DATA_SAMPLERS  # noqa: E402

from segaware_mm.datasets import alternating_sampler  # noqa: E402
from segaware_mm.datasets.alternating_sampler import (  # noqa: E402
    AlternatingDomainSampler,
)
from segaware_mm.engine.reproducible import SeededBatchSampler  # noqa: E402

TARGET, SOURCE = 7, 20


def joined(target=TARGET, source=SOURCE):
    return ConcatDataset([[('target', i) for i in range(target)],
                          [('source', i) for i in range(source)]])


def sampler(dataset=None, **kwargs):
    return AlternatingDomainSampler(
        joined() if dataset is None else dataset,
        **{**dict(batch_size=3, seed=5), **kwargs})


def batches(count, **kwargs):
    one = sampler(**kwargs)
    return list(islice(BatchSampler(one, one.batch_size, False), count))


def domain(batch, target=TARGET):
    return ''.join(sorted({'t' if i < target else 's' for i in batch}))


def test_batches_alternate():
    assert [domain(batch) for batch in batches(6)] == ['t', 's'] * 3
    assert [domain(batch) for batch in batches(5, start='source')] == list('ststs')
    # The order of the data sets may be the other one.
    swapped = batches(4, domains=('source', 'target'))
    assert [domain(batch) for batch in swapped] == list('stst')
    one = sampler(start='source')
    assert [one.domain_of(i) for i in range(3)] == ['source', 'target', 'source']


@pytest.mark.parametrize('workers', [0, 2])
def test_in_a_data_loader(workers):
    data = joined()
    loader = DataLoader(data, batch_size=3, sampler=sampler(data), num_workers=workers)
    for number, (names, _) in enumerate(islice(loader, 8)):
        assert set(names) == {('target', 'source')[number % 2]} and len(names) == 3


def test_everything_comes_before_anything_comes_again():
    """Sizes far apart: the smaller one comes round more often."""
    found = batches(2 * 35, batch_size=2, dataset=joined(5, 70))
    small = Counter(i for batch in found[0::2] for i in batch)
    large = Counter(i for batch in found[1::2] for i in batch)
    assert set(large) == set(range(5, 75)) and set(large.values()) == {1}
    assert set(small) == set(range(5)) and set(small.values()) == {14}
    plain = batches(4, batch_size=2, shuffle=False, dataset=joined(3, 4))
    assert plain == [[0, 1], [3, 4], [2, 0], [5, 6]]


def test_a_domain_smaller_than_a_batch():
    for batch in batches(6, batch_size=4, dataset=joined(1, 2)):
        assert len(batch) == 4
    assert batches(1, batch_size=4, dataset=joined(1, 2)) == [[0] * 4]


def test_the_seed_alone_decides():
    assert batches(20) == batches(20)
    assert batches(20) != batches(20, seed=6)
    one = sampler()
    first = list(islice(one, 30))
    assert list(islice(one, 30)) == first  # a loop starts from the beginning
    torch.manual_seed(0)
    assert list(islice(one, 30)) == first


@pytest.mark.parametrize('sizes', [(7, 20), (9, 6), (30, 12)])
def test_processes_share_a_step(monkeypatch, sizes):
    """Three of them: one domain at a step, and no item twice in it."""
    ranks = []
    for rank in range(3):
        monkeypatch.setattr(alternating_sampler, 'get_dist_info', lambda r=rank: (r, 3))
        ranks.append(batches(60, batch_size=2, dataset=joined(*sizes)))
    seen = Counter()
    for number, step in enumerate(zip(*ranks)):
        items = [i for batch in step for i in batch]
        assert {domain(batch, sizes[0]) for batch in step} == {'ts'[number % 2]}
        assert len(items) == 6 and len(set(items)) == 6
        seen.update(items)
    for which in (range(sizes[0]), range(sizes[0], sum(sizes))):
        counts = [seen[i] for i in which]
        assert max(counts) - min(counts) <= 1  # of 180 draws


def test_a_resumed_sampler_goes_on():
    """As engine.reproducible moves it; workers may have run ahead."""
    def seeded():
        return SeededBatchSampler(sampler(), 3, seed=1)

    whole = list(islice(seeded(), 25))
    again = seeded()
    list(islice(again, 4))
    assert again.skip(11)
    rest = list(islice(again, 14))
    assert [list(b) for b in rest] == [list(b) for b in whole[11:]]
    assert [b.key for b in rest] == [b.key for b in whole[11:]]
    other = SeededBatchSampler(InfiniteSampler(joined(), seed=1), 3, seed=1)
    assert other.skip(3)
    assert not SeededBatchSampler(torch.utils.data.RandomSampler(joined()), 3, 1).skip(3)


def test_the_seed_of_mmengine_is_used():
    one = DATA_SAMPLERS.build(dict(type='AlternatingDomainSampler', batch_size=2),
                              default_args=dict(dataset=joined(), seed=9))
    assert one.seed == 9 and len(one) == TARGET + SOURCE
    one.set_epoch(3)
    assert isinstance(sampler(seed=None).seed, int)
    by_size = AlternatingDomainSampler(sizes=(2, 3), batch_size=1, seed=0)
    assert len(list(islice(by_size, 4))) == 4


@pytest.mark.parametrize('kwargs, text', [
    (dict(batch_size=None), 'needs batch_size, that of the data loader'),
    (dict(batch_size=0), 'batch_size must be at least 1'),
    (dict(start='both'), "start must be one of 'target', 'source'"),
    (dict(domains=('target', 'target')), "domains must be 'target' and 'source'"),
    (dict(dataset=[1, 2]), 'needs a ConcatDataset of the target and the source, got li'),
    (dict(dataset=ConcatDataset([[1]])), r'wants two data sets.* the sizes \(1,\)'),
    (dict(dataset=ConcatDataset([[1], []])), r'neither empty; got the sizes \(1, 0\)'),
    (dict(sizes=(2, 3)), r'sizes \(2, 3\) have the sum 5; the data set has 27'),
])
def test_wrong_arguments(kwargs, text):
    with pytest.raises(ValueError, match=text):
        sampler(**kwargs)


def test_what_a_training_must_not_do():
    one = sampler()
    for counts in (1, 2, 16):
        one.check_training(3, counts)
    with pytest.raises(ValueError, match=r'accumulative_counts=5 is odd.* Set 6, or 4'):
        one.check_training(3, 5)
    with pytest.raises(ValueError, match='batch_size=4, its AlternatingDomainSampler 3'):
        one.check_training(4, 2)


PACK = dict(type='PackSegInputs', meta_keys=(
    'img_path', 'image_labels', 'label_set', 'domain'))


def domains_of(root, crop=(32, 32)):
    """The options that turn the tiny config into one of two domains."""
    names = ('background', 'disc', 'bar', 'corner')
    loading = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
    part = dict(type='BaseSegDataset', data_root=str(root), img_suffix='.png',
                metainfo=dict(classes=names), pipeline=loading,
                data_prefix=dict(img_path='images/train',
                                 seg_map_path='annotations/train'))
    pipeline = [dict(type='RandomCrop', crop_size=crop), PACK]
    return {
        'train_dataloader.sampler': dict(_delete_=True, type='AlternatingDomainSampler'),
        'train_dataloader.dataset': dict(
            _delete_=True, type='ConcatDataset', datasets=[
                dict(type='ImageLabelDataset', dataset=part, classes=names,
                     keep=('disc', ), pipeline=pipeline),
                dict(type='MaskSubsetDataset', dataset=part, classes=names,
                     keep=('bar', 'corner'), pipeline=pipeline)])}


@pytest.fixture
def train(tmp_path, tiny_config, tiny_data):
    """Train the tiny config in two domains; ``train(name, *args, **options)``."""
    pytest.importorskip('mmseg')
    from segaware_mm.engine.train import main
    root = tiny_data(train=6)

    def run(name, *args, iters=6, **options):
        config = tiny_config(iters=iters, root=root, name=name, options={
            **domains_of(root), 'model.decode_head.loss_decode.avg_non_ignore': True,
            **options})
        return main([str(config), '--work-dir', str(tmp_path / name), *map(str, args),
                     '--cfg-options', f'experiment_name={name}'])
    return run


def test_a_training_alternates_and_resumes(tmp_path, train, losses):
    """Target batches have no mask, so the loss of a segmentor is 0 there alone."""
    assert train('whole') == 0
    whole = losses(tmp_path / 'whole')
    assert [whole[step] == 0 for step in range(1, 7)] == [True, False] * 3
    (tmp_path / 'cut').mkdir()
    shutil.copy(tmp_path / 'whole' / 'iter_4.pth', tmp_path / 'cut')
    assert train('cut', '--resume', tmp_path / 'cut' / 'iter_4.pth') == 0
    assert losses(tmp_path / 'cut') == {
        step: loss for step, loss in whole.items() if step > 4}
    log = next((tmp_path / 'cut').glob('*/*.log')).read_text()
    assert 'resumed at iteration 4: the data go on there' in log


def test_a_training_that_would_go_wrong_is_refused(train, capsys):
    assert train('wrong', **{'optim_wrapper.accumulative_counts': 3}) == 2
    assert 'accumulative_counts=3 is odd' in capsys.readouterr().err


def test_the_runner_tells_and_checks_the_batch_size():
    from segaware_mm.engine.errors import ConfigError
    from segaware_mm.engine.sampler_check import check_sampler, tell_batch_size
    config = dict(batch_size=4, sampler=dict(type='AlternatingDomainSampler'))
    assert tell_batch_size(config)['sampler']['batch_size'] == 4
    assert 'batch_size' not in config['sampler']
    # Where it is given, and for other samplers, nothing is changed.
    for other in (dict(type='AlternatingDomainSampler', batch_size=3),
                  dict(type='InfiniteSampler', shuffle=True)):
        same = dict(batch_size=4, sampler=other)
        assert tell_batch_size(same) is same
    data = joined()
    plain = DataLoader(data, batch_size=4, sampler=sampler(data))
    seeded = DataLoader(data, batch_sampler=SeededBatchSampler(sampler(data), 4, 0))
    for loader in (plain, seeded):
        with pytest.raises(ConfigError, match='batch_size=4, its Alternating'):
            check_sampler(loader, dict(accumulative_counts=2))
    fitting = DataLoader(data, batch_size=3, sampler=sampler(data))
    check_sampler(fitting, dict(type='OptimWrapper'))
    check_sampler(DataLoader(data, batch_size=4), dict(accumulative_counts=3))
