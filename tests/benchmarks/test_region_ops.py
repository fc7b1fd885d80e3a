"""The benchmark of regions and heads: plan, tables, and a run on small maps."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmseg')

BENCHMARKS = str(Path(__file__).resolve().parents[2] / 'benchmarks')
sys.path.insert(0, BENCHMARKS)
try:
    bench_heads = importlib.import_module('bench_heads')
    bench_maps = importlib.import_module('bench_maps')
    bench_measure = importlib.import_module('bench_measure')
    bench_report = importlib.import_module('bench_report')
    bench_worker = importlib.import_module('bench_worker')
    region_ops = importlib.import_module('region_ops')
    region_plan = importlib.import_module('region_plan')
finally:
    sys.path.remove(BENCHMARKS)


def timing(value):
    """Median, least and largest value."""
    return dict(median=value, min=value / 2, max=2 * value)


def head_result(total, peak):
    """What the worker says of a head."""
    return dict(ok={
        'total': timing(total), 'cpu': timing(total), 'peak_mb': peak, 'runs': 3,
        'parts.forward': timing(total / 3), 'params': 1.5,
        'parts.backward': timing(total * 2 / 3)})


def region_result(total, peak, **changes):
    """What the worker says of the operators."""
    parts = {f'parts.{name}': timing(total / 3)
             for name in ('regions', 'membership', 'backward')}
    return dict(ok={'total': timing(total), 'cpu': timing(total), 'runs': 3,
                    'peak_mb': peak, 'regions': 7, 'largest': 90,
                    'pairs': .25, 'source': 'scene', **parts, **changes})


@pytest.fixture
def few_rows():
    """A run of some rows, one of which failed."""
    rows = region_plan.plan([128])
    answers = {
        'head/97x97/128/whole/DAHead': head_result(4., 1000.),
        'head/97x97/128/whole/NLHead': {'error': 'given up after 1 s (--limit)'},
        'head/97x97/128/whole/CCHead': head_result(2., 2000.),
        'head/97x97/128/whole/RANetHead-paper/scene': head_result(3., 500.),
        'regions/97x97/scene/numba/bernoulli/interpolated':
            region_result(.5, 30.),
        'regions/97x97/uniform/numba/bernoulli/interpolated':
            region_result(1.6, 30.),
        'regions/128x256/noise/numba/bernoulli/interpolated':
            {'error': 'killed by signal 9'},
    }
    found = [(row, answers[row['name']]) for row in rows if row['name'] in answers]
    assert len(found) == len(answers)
    return found


def test_a_table_is_aligned_and_keeps_its_shape():
    text = bench_report.markdown_table(['a', '>b'], [['x|y', '1'], ['p\nq', '22']])
    assert text.splitlines() == [
        r'| a    |   b |', r'| ---- | --: |', r'| x\|y |   1 |', r'| p q  |  22 |']
    with pytest.raises(ValueError, match='1 cells, the header 2'):
        bench_report.markdown_table(['a', 'b'], [['x']])


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / 'new' / 'page.md'
    bench_report.write_text(path, 'one')

    def fail(*_):
        raise OSError('disk full')

    with monkeypatch.context() as patch:
        patch.setattr(bench_report.os, 'replace', fail)
        with pytest.raises(OSError):
            bench_report.write_text(path, 'two')
    assert path.read_text() == 'one'
    assert [p.name for p in path.parent.iterdir()] == ['page.md']


def test_names_of_devices_become_parts_of_file_names():
    assert bench_report.slug('AMD EPYC(tm) 7B13') == 'amd-epyc-tm-7b13'
    assert bench_report.slug('') == 'unknown'


def test_the_plan_holds_what_is_promised():
    rows = region_plan.plan([128, 512])
    names = [row['name'] for row in rows]
    assert len(set(names)) == len(names)
    kinds = {(tuple(r['size']), r['maps'], r['impl'], r['divergence'], r['line'])
             for r in rows if r['kind'] == 'regions'}
    for size in ((97, 97), (128, 256), (45, 60)):
        for maps in bench_maps.KINDS:
            assert (size, maps, 'numba', 'bernoulli', 'interpolated') in kinds
        assert (size, 'scene', 'numba', 'jensen_shannon', 'interpolated') in kinds
    assert ((97, 97), 'noise', 'torch', 'bernoulli', 'interpolated') in kinds
    assert ((45, 60), 'scene', 'torch', 'bernoulli', 'interpolated') in kinds
    more = region_plan.plan([128, 512], slow=True)
    assert {row['name'] for row in more} > set(names)
    assert ((97, 97), 'scene', 'numba', 'jensen_shannon', 'tree') in kinds
    heads = {(r['head'], r['part'], r['channels']) for r in rows
             if r['kind'] == 'head'}
    for head in region_ops.RIVALS + ('RANetHead released', 'RANetHead paper'):
        for part in ('whole', 'attention'):
            assert {(head, part, 128), (head, part, 512)} <= heads


def test_rows_are_selected_by_part_and_pattern():
    rows = region_plan.plan([128])
    found = region_plan.select(rows, ['head/*/attention/CCHead', '/noise/'])
    assert {r['name'].split('/')[0] for r in found} == {'head', 'regions'}
    assert all('noise' in r['name'] or 'CCHead' in r['name'] for r in found)
    with pytest.raises(ValueError, match='PPMHead'):
        region_plan.select(rows, ['PPMHead'])


def test_ratios_are_to_the_best_rival_of_the_run(few_rows):
    text = '\n'.join(region_ops.tables(few_rows))
    assert 'the time of CCHead' in text and 'the peak of DAHead' in text
    line = next(x for x in text.splitlines() if 'RANetHead paper' in x)
    cells = [cell.strip() for cell in line.split('|')[1:-1]]
    assert cells == ['RANetHead paper', 'scene', '1.50', '1', '2', '3 (1.5-6)',
                     '1.50', '500', '0.50', '3 runs']


def test_a_failed_row_stays_with_its_reason(few_rows):
    text = '\n'.join(region_ops.tables(few_rows))
    assert 'given up after 1 s (--limit)' in text
    assert 'killed by signal 9' in text


def test_targets_are_held_against_every_kind_of_map(few_rows):
    lines = region_ops.target_lines(few_rows)
    assert len(lines) == 3
    assert lines[0].endswith(': reached') and 'scene' in lines[0]
    assert lines[1].endswith('NOT reached') and '1.6 s' in lines[1]
    assert 'killed by signal 9' in lines[2]


@pytest.mark.parametrize('kind', bench_maps.KINDS)
def test_maps_are_probabilities_and_always_the_same(kind):
    maps = bench_maps.make_maps(kind, 32, 40, 5)
    again = bench_maps.make_maps(kind, 32, 40, 5)
    assert maps.probs.shape == (1, 5, 32, 40)
    assert maps.boundary.shape == (1, 32, 40)
    assert torch.allclose(maps.probs.sum(1), torch.ones(1, 32, 40))
    assert 0 <= maps.boundary.min() and maps.boundary.max() <= 1
    assert torch.equal(maps.probs, again.probs)
    with pytest.raises(ValueError, match='scene, uniform, noise'):
        bench_maps.make_maps('other', 32, 40, 5)


def test_maps_fall_into_the_regions_they_stand_for():
    from segaware_mm.ops.region_attention import construct_regions
    count = {}
    for kind in bench_maps.KINDS:
        maps = bench_maps.make_maps(kind, 48, 48, 11)
        count[kind] = int(construct_regions(maps.probs, maps.boundary).max()) + 1
    assert count['uniform'] == 1
    assert 5 <= count['scene'] <= 100
    assert count['noise'] > 500


def test_labels_without_scenes_are_cells():
    maps = bench_maps.make_maps('scene', 8, 9, 4)  # too small for a scene
    assert maps.source == 'cells' and len(maps.probs.argmax(1).unique()) > 1


def test_peak_memory_is_that_beyond_the_start():
    before = torch.ones(2_000_000)
    memory = bench_measure.PeakMemory()
    memory.start()
    held = before + 1  # 8 MB
    assert held.sum() > 0
    del held
    peak = memory.stop()
    if peak is None:
        pytest.skip('no /proc/self/clear_refs on this system')
    assert 7 < peak < 40


def test_runs_are_as_many_as_the_budget_allows():
    runs = []

    def step(clock):
        with clock('part'):
            runs.append(sum(range(1000)))

    found = bench_measure.measure(step, budget=10, most=4)
    assert len(runs) == 5 and found['runs'] == 4  # the first one warms up
    assert found['parts.part']['median'] <= found['total']['max']
    assert bench_measure.measure(step, budget=0, most=4)['runs'] == 1
    assert bench_measure.spread([3., 1., 2.]) == dict(median=2., min=1., max=3.)


@pytest.mark.parametrize('head', region_ops.RIVALS + (
    'RANetHead released', 'RANetHead paper'))
@pytest.mark.parametrize('part', ['whole', 'attention'])
def test_every_head_can_be_measured(head, part):
    row = dict(kind='head', part=part, size=[32, 33], classes=4, maps='',
               head=head, in_channels=12, channels=8, budget=0, repeats=1)
    found = bench_worker.measure_head(row)
    assert found['total']['median'] > 0 and found['params'] >= 0
    assert {'parts.forward', 'parts.backward'} <= set(found)


def test_random_weights_get_the_regions_of_the_maps():
    maps = bench_maps.make_maps('scene', 32, 40, 5)
    head, inputs, forward = bench_heads.whole_head(
        'RANetHead paper', 8, 8, (32, 40), maps)
    scores = forward()[2]
    assert torch.equal(scores.argmax(1), maps.probs.argmax(1))
    scores.square().sum().backward()
    assert head.aux_conv_seg.weight.grad.abs().sum() > 0
    assert inputs[0].grad.abs().sum() > 0


def test_a_row_that_fails_says_why():
    row = dict(region_plan.plan([8], quick=True)[0], threads=1, budget=0,
               repeats=1, impl='fpga')
    threads = torch.get_num_threads()
    try:
        assert 'fpga' in bench_worker.measure_row(row)['error']
    finally:
        torch.set_num_threads(threads)
    dead = region_ops.bench_rows.run_row(
        [str(region_ops.WORKER)], dict(row, threads='none'), 100)['error']
    assert dead.startswith('exit code 1')


def test_a_quick_run_writes_the_page(tmp_path, capsys):
    out = tmp_path / 'page.md'
    code = region_ops.main([
        '--quick', '--threads', '1', '--out', str(out), '--only',
        'regions/32x40/scene/numba/bernoulli/interpolated'])
    assert code == 0, capsys.readouterr()
    text = out.read_text()
    assert '32x40, 5 classes' in text and 'torch' in text
    assert 'command: `python benchmarks/region_ops.py --quick' in text
    assert 'the numbers mean nothing' in text


def test_the_list_of_rows_is_printed_and_nothing_run(capsys, monkeypatch):
    monkeypatch.setattr(region_ops.bench_rows, 'run_row',
                        lambda *_: pytest.fail('measured'))
    assert region_ops.main(['--list', '--only', 'CCHead']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [row['name'] for row in region_plan.plan([128])
                     if 'CCHead' in row['name']]
