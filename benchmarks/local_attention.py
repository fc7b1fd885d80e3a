#!/usr/bin/env python
"""Measure the segmentation-aware operators beside their rivals.

On the CPU; every row in a process of its own, forward and backward. The
masked convolution is to take at most 1.7 times the time of ``F.conv2d``.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bench_rows  # noqa: E402
from bench_measure import Clock, measure  # noqa: E402
from bench_report import bullet_list, markdown_table, page  # noqa: E402
from tqdm import tqdm  # noqa: E402

#: Times the time of F.conv2d that the masked convolution may take.
TARGET = 1.7
#: Work -> its rows, the one that the others are compared with first.
ROWS = {
    'conv': ('F.conv2d', 'tap', 'unfold', 'dcn'),
    'mean': ('tap', 'unfold'),
    'mask': ('tap', 'unfold'),
    'mean field': ('tap', ),
}
NOTES = {
    'conv': '`masked_conv2d`, 256 to 256 channels, 3x3, {size}x{size}',
    'mean': '`masked_mean`, 21 channels, 9x9, {size}x{size}',
    'mask': '`local_attention_mask`, L1, 64 dimensions, 3x3, {size}x{size}',
    'mean field': '`segaware_mean_field`, 21 classes, 64 dimensions, 2 iterations '
                  'of 13x13 (dilation 9) and 5x5, {size}x{size}',
}
SIZES = {'conv': 97, 'mean': 257, 'mask': 321, 'mean field': 257}


def build(work: str, rival: str, size: int) -> Tuple[Callable, List[Any]]:
    """Return a function and its tensors, all of which need gradients."""
    import torch
    import torch.nn.functional as F

    from segaware_mm.ops import (
        local_attention_mask,
        masked_conv2d,
        masked_mean,
        segaware_mean_field,
    )
    from segaware_mm.ops.reference import local_attention as reference
    torch.manual_seed(0)

    def leaves(*shapes: Sequence[int]) -> List[Any]:
        return [torch.rand(1, *s, size, size).requires_grad_() for s in shapes]

    if work == 'conv':
        x, mask = leaves([256], [9])
        weight = (torch.randn(256, 256, 3, 3) * 0.02).requires_grad_()
        if rival == 'F.conv2d':
            return lambda x, w: F.conv2d(x, w, padding=1), [x, weight]
        if rival == 'unfold':
            def unfolded(x: Any, w: Any, m: Any) -> Any:
                columns = F.unfold(x, 3, padding=1).view(1, 256, 9, -1)
                masked = columns * m.flatten(2).unsqueeze(1)
                return w.flatten(1) @ masked.flatten(1, 2)
            return unfolded, [x, weight, mask]
        return lambda x, w, m: masked_conv2d(x, w, m, impl=rival), [x, weight, mask]
    if work == 'mean':
        function = masked_mean if rival == 'tap' else reference.masked_mean
        return function, leaves([21], [81])
    if work == 'mask':
        function = local_attention_mask if rival == 'tap' else \
            reference.local_attention_mask
        return lambda e: function(e, 3), leaves([64])
    return segaware_mean_field, leaves([21], [64])


def work_on(row: Dict[str, Any]) -> Dict[str, Any]:
    """Measure one row in this process; as :func:`bench_measure.measure`."""
    import torch
    torch.set_num_threads(row['threads'])

    def step(job: Tuple[Callable, List[Any]], clock: Clock) -> None:
        function, tensors = job
        with clock('forward'):
            out = function(*tensors)
        with clock('backward'):
            torch.autograd.grad(out, tensors, torch.ones_like(out))

    step(build(row['work'], row['rival'], 5), Clock())
    job = build(row['work'], row['rival'], row['size'])
    return measure(lambda clock: step(job, clock), row['budget'], row['repeats'])


def cells(row: Dict[str, Any], found: Dict[str, Any],
          base: Dict[str, Any]) -> List[str]:
    """Return the cells of a row."""
    if 'error' in found:
        return [row['rival']] + ['-'] * 6 + [found['error']]
    total, cpu = found['total'], found['cpu']
    ratios = ['-', '-'] if 'error' in base else [
        f'{found[key]["median"] / base[key]["median"]:.2f}' for key in ('total', 'cpu')]
    peak = found['peak_mb']
    return [row['rival'], f'{found["parts.forward"]["median"]:.3g}',
            f'{total["median"]:.3g} ({total["min"]:.3g}-{total["max"]:.3g})',
            ratios[0], f'{cpu["median"]:.3g}', ratios[1],
            '-' if peak is None else f'{peak:.0f}', bench_rows.runs_text(found)]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = bench_rows.rows_parser('local_attention.py', __doc__, budget=10, repeats=9,
                               unsaved_with='--quick or --only')
    p.add_argument('--only', nargs='+', choices=list(ROWS), default=list(ROWS),
                   help='these works (default: all)')
    p.add_argument('--row', help=argparse.SUPPRESS)
    return p


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the benchmark; return the exit code: 0, 1 where a row failed."""
    argv = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(argv)
    if args.row:
        os.environ.pop('SEGAWARE_MM_IMPL', None)  # a row names its own
        print(json.dumps(work_on(json.loads(args.row))))
        return 0
    out = bench_rows.place('local_attention', args.out,
                           save=not args.quick and args.only == list(ROWS))
    facts = [
        *bench_rows.machine('local_attention.py', args.threads, argv),
        'forward and backward to all inputs, one image, float32; median, least and '
        'largest; *x*: times the first row of the table',
    ]
    blocks, failed = [], False
    with tqdm(total=sum(len(ROWS[w]) for w in args.only), unit='row') as bar:
        for work in args.only:
            size = 16 if args.quick else SIZES[work]
            lines, base = [], None
            for rival in ROWS[work]:
                row = dict(work=work, rival=rival, size=size, threads=args.threads,
                           budget=args.budget, repeats=2 if args.quick else args.repeats)
                found = bench_rows.run_row([__file__, '--row'], row)
                base = base or found
                failed |= 'error' in found
                lines.append(cells(row, found, base))
                bar.update()
            blocks += [f'## {work}', NOTES[work].format(size=size), markdown_table(
                ['', '>forward s', '>all s (least-most)', '>x', '>CPU s', '>x CPU',
                 '>peak MB', 'remark'], lines)]
            if work == 'conv':
                blocks.append(f'Target: *tap* below {TARGET} times `F.conv2d`.')
    title = bench_rows.title('Local attention', args.quick)
    text = page(title, bullet_list(facts), *blocks)
    bench_rows.finish(text, out)
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
