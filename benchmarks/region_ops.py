#!/usr/bin/env python
"""Measure RANet's regions and membership, and its head beside its rivals.

On the CPU; every row in a process of its own. See benchmarks/README.md.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bench_rows  # noqa: E402
from bench_report import ROOT, bullet_list, markdown_table, page  # noqa: E402
from region_plan import Row, fastest_rival, plan, select, size_text  # noqa: E402
from tqdm import tqdm  # noqa: E402

WORKER = ROOT / 'benchmarks' / 'bench_worker.py'
RIVALS = ('DAHead', 'NLHead', 'CCHead', 'OCRHead')
#: What the CPU kernels of the default divergence and line are to reach on two
#: cores: size -> (seconds or None, MB).
TARGETS = {(97, 97): (1.5, 200), (128, 256): (None, 2000)}
MAPS = (
    'The maps are made up, none is of a trained model. *scene*: the labels of '
    'a procedural scene, with noise; *uniform*: all classes equally likely, one '
    'region, the worst case of membership; *noise*: random numbers.')
NOTES = {
    'regions': (
        'Regions (`construct_regions`), membership and its backward pass; one '
        'image, threshold 0.8, float32. *regions*: their number; *largest*: '
        'pixels of the largest one; *pairs*: share of all pairs of pixels that '
        'lie in one region, which is what membership visits. *peak*: resident '
        'memory beyond the inputs, the gradients included. ' + MAPS),
    'whole': (
        'Whole heads: one image, {in_channels} input channels, training mode, '
        'float32. *peak*: resident memory beyond the inputs and the weights, '
        'the gradients of both included. OCRHead with the FCNHead whose scores '
        'it refines; RANetHead with its auxiliary branch and boundary maps, '
        'the outputs of which are replaced. ' + MAPS),
    'attention': (
        'Attention alone: what stands between the 3x3 convolutions of a head. '
        'For RANetHead that is regions, membership, representatives and the '
        'three exchanges.'),
}

Result = Tuple[Row, Dict[str, Any]]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = bench_rows.rows_parser('region_ops.py', __doc__, budget=6,
                               unsaved_with='--quick or --only')
    p.add_argument('--channels', type=int, nargs='+', default=[128],
                   help='widths of the heads (default: 128; the paper has 512)')
    p.add_argument('--limit', type=float, default=150, metavar='S',
                   help='seconds after which a row is given up (default: 150)')
    p.add_argument('--only', nargs='+', default=[], metavar='PATTERN',
                   help='rows of these names; parts and shell patterns will do')
    p.add_argument('--slow', action='store_true',
                   help='also rows of minutes (torch on large regions); give '
                   'them a higher --limit')
    p.add_argument('--list', action='store_true', help='print the rows and stop')
    return p


def seconds(found: Dict[str, float], spread: bool = False) -> str:
    """Return a median, with least and largest value where ``spread``."""
    text = f'{found["median"]:.3g}'
    return text + f' ({found["min"]:.3g}-{found["max"]:.3g})' if spread else text


def peak_text(result: Dict[str, Any]) -> str:
    """Return the peak memory in MB, '-' where it could not be measured."""
    return '-' if result['peak_mb'] is None else f'{result["peak_mb"]:.0f}'


def region_cells(row: Row, answer: Dict[str, Any]) -> List[str]:
    """Return the cells of a row of the table of operators."""
    start = [size_text(row), row['maps'], row['impl'], row['divergence'],
             row['line']]
    if 'error' in answer:
        return start + ['-'] * 8 + [answer['error']]
    r = answer['ok']
    remark = 'labels: random cells' if r['source'] == 'cells' else ''
    return start + [
        f'{r["regions"]}', f'{r["largest"]}', f'{100 * r["pairs"]:.1f} %',
        seconds(r['parts.regions']), seconds(r['parts.membership']),
        seconds(r['parts.backward']), seconds(r['total'], True), peak_text(r),
        remark or bench_rows.runs_text(r)]


def head_cells(row: Row, answer: Dict[str, Any],
               results: Sequence[Result]) -> List[str]:
    """Return the cells of a row of a table of heads."""
    start = [row['head'], row['maps'] or 'any']
    if 'error' in answer:
        return start + ['-'] * 7 + [answer['error']]
    r = answer['ok']
    best = fastest_rival(results, row, RIVALS)

    def ratio(value: Optional[float], key: str) -> str:
        known = value is not None and key in best
        return f'{value / best[key][1]:.2f}' if known else '-'

    return start + [
        f'{r["params"]:.2f}', seconds(r['parts.forward']),
        seconds(r['parts.backward']), seconds(r['total'], True),
        ratio(r['total']['median'], 'time'), peak_text(r),
        ratio(r['peak_mb'], 'memory'), bench_rows.runs_text(r)]


def target_lines(results: Sequence[Result]) -> List[str]:
    """Say of every target whether the slowest kind of maps reaches it."""
    lines = []
    for size, (most_s, most_mb) in TARGETS.items():
        found = [
            (row, answer) for row, answer in results
            if row['kind'] == 'regions' and tuple(row['size']) == size
            and row['impl'] == 'numba' and row['divergence'] == 'bernoulli'
            and row['line'] == 'interpolated']
        for row, answer in found:
            title = f'{size_text(row)}, {row["maps"]}: '
            if 'error' in answer:
                lines.append(f'{title}NOT reached: {answer["error"]}')
                continue
            took, peak = answer['ok']['total']['median'], answer['ok']['peak_mb']
            wanted = f'{most_mb} MB' + (f' and {most_s} s' if most_s else '')
            good = (peak is None or peak < most_mb) and \
                (most_s is None or took < most_s)
            lines.append(
                f'{title}{took:.3g} s, {peak_text(answer["ok"])} MB; wanted '
                f'below {wanted}: {"reached" if good else "NOT reached"}')
    return lines


def tables(results: Sequence[Result]) -> List[str]:
    """Return titles, notes and tables of the rows that were measured."""
    blocks = []
    found = [x for x in results if x[0]['kind'] == 'regions']
    if found:
        blocks += ['## Operators', NOTES['regions'], markdown_table(
            ['map', 'classes and boundary', 'impl', 'divergence', 'line',
             '>regions', '>largest', '>pairs', '>regions s', '>membership s',
             '>backward s', '>all s (least-most)', '>peak MB', 'remark'],
            [region_cells(*x) for x in found])]
        reached = target_lines(found)
        blocks += ['Targets of the default:', bullet_list(reached)] \
            if reached else []
    heads = [x for x in results if x[0]['kind'] == 'head']
    groups = dict.fromkeys((r['part'], r['channels']) for r, _ in heads)
    for part, channels in groups:
        group = [x for x in heads
                 if (x[0]['part'], x[0]['channels']) == (part, channels)]
        row = group[0][0]
        title = 'Whole heads' if part == 'whole' else 'Attention alone'
        note = NOTES[part].format(in_channels=row['in_channels'])
        best = fastest_rival(results, row, RIVALS)
        if best:
            note += ' *x*: times ' + ' and '.join(
                f'the {word} of {best[key][0]}' for key, word in
                (('time', 'time'), ('memory', 'peak')) if key in best) + \
                ', the best of the upstream heads in this run.'
        blocks += [
            f'## {title}, {channels} channels, {size_text(row)}', note,
            markdown_table(
                ['head', 'maps', '>params M', '>forward s', '>backward s',
                 '>all s (least-most)', '>x time', '>peak MB', '>x peak',
                 'remark'],
                [head_cells(r, a, results) for r, a in group])]
    return blocks


def progress_line(row: Row, answer: Dict[str, Any]) -> str:
    """Return one line for the screen."""
    if 'error' in answer:
        return f'{row["name"]}: {answer["error"]}'
    found = answer['ok']
    return (f'{row["name"]}: {seconds(found["total"], True)} s, '
            f'{seconds(found["cpu"])} CPU s, {peak_text(found)} MB')


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the benchmark; return the exit code: 0, 1 where a row failed."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(argv)
    if args.quick:
        args.repeats, args.budget = min(args.repeats, 2), min(args.budget, 0.5)
    try:
        rows = select(plan(args.channels, args.quick, args.slow), args.only)
    except ValueError as error:
        parser().error(str(error))
    if args.list:
        print('\n'.join(row['name'] for row in rows))
        return 0
    for row in rows:
        row.update(threads=args.threads, budget=args.budget,
                   repeats=args.repeats)
    out = bench_rows.place('region_ops', args.out, save=not args.quick and not args.only)
    started = time.perf_counter()
    facts = [
        *bench_rows.machine('region_ops.py', args.threads, argv),
        f'timed runs: at most {args.repeats} after a warm-up, or as many as fit '
        f'into {args.budget:g} s (where one does not: that one); the median, and '
        'the least and largest',
    ]
    print(bullet_list(facts))
    results: List[Result] = []
    with tqdm(rows, unit='row', smoothing=0) as bar:
        for row in bar:
            results.append((row, bench_rows.run_row([str(WORKER)], row, args.limit)))
            bar.write(progress_line(*results[-1]))
    facts.append(f'took: {(time.perf_counter() - started) / 60:.1f} minutes')
    text = page(bench_rows.title('Regions, membership and heads', args.quick),
                bullet_list(facts), *tables(results))
    bench_rows.finish(text, out)
    return int(any('error' in answer for _, answer in results))


if __name__ == '__main__':
    sys.exit(main())
