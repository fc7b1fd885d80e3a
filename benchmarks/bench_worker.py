"""Measure one row of region_ops.py in this process; a program of its own.

``python benchmarks/bench_worker.py '{"kind": "regions", ...}'`` prints the
result as JSON on its last line: ``{"ok": ...}`` or ``{"error": "why"}``.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict

ROOT = Path(__file__).resolve().parents[1]
#: Compilation and the first use of a library happen on a map this small.
WARM_UP = (6, 7)


def measure_regions(row: Dict[str, Any]) -> Dict[str, Any]:
    """Regions, membership and its gradient.

    Args:
        row: As from ``region_ops.plan``: maps, size, classes, impl, divergence,
            line, budget, repeats.

    Returns:
        As :func:`bench_measure.measure`, with the number of ``regions``, the
        ``largest`` one and the share of all ``pairs`` that are in one region.
    """
    import torch
    from bench_maps import Maps, make_maps
    from bench_measure import Clock, measure

    from segaware_mm.ops.region_attention import (
        construct_regions,
        region_membership,
    )
    kinds = dict(divergence=row['divergence'], line=row['line'],
                 impl=row['impl'])
    last = {}

    def step(maps: Maps, clock: Clock) -> None:
        probs, boundary = maps.probs, maps.boundary
        with clock('regions'):
            labels = construct_regions(probs, boundary, **kinds)
        with clock('membership'):
            fit = region_membership(probs, boundary, labels, **kinds)
        with clock('backward'):
            fit.backward(torch.ones_like(fit))
        last['labels'] = labels
        probs.grad = boundary.grad = None

    def maps_of(kind: str, size: Any) -> Maps:
        maps = make_maps(kind, *size, row['classes'])
        maps.probs.requires_grad_()
        maps.boundary.requires_grad_()
        return maps

    step(maps_of('noise', WARM_UP), Clock())
    maps = maps_of(row['maps'], row['size'])
    result = measure(lambda clock: step(maps, clock), row['budget'],
                     row['repeats'])
    counts = torch.bincount(last['labels'][0]).double()
    result.update(
        regions=len(counts), largest=int(counts.max()), source=maps.source,
        pairs=float((counts**2).sum() / counts.sum()**2))
    return result


def measure_head(row: Dict[str, Any]) -> Dict[str, Any]:
    """Forward and backward of a decode head, or of its attention alone.

    Args:
        row: As from ``region_ops.plan``: head, part, size, classes,
            in_channels, channels, maps, budget, repeats.

    Returns:
        As :func:`bench_measure.measure`, with the ``params`` (M).
    """
    import torch
    from bench_heads import attention_only, whole_head
    from bench_maps import make_maps
    from bench_measure import Clock, measure
    build = whole_head if row['part'] == 'whole' else attention_only

    def job(size: Any) -> Any:
        maps = make_maps(row['maps'] or 'scene', *size, row['classes'])
        return build(row['head'], row['in_channels'], row['channels'],
                     tuple(size), maps)

    def step(module: Any, inputs: Any, forward: Any, clock: Clock) -> None:
        with clock('forward'):
            out = forward()
        with clock('backward'):
            torch.autograd.backward(list(out), [torch.ones_like(o) for o in out])
        for tensor in [*inputs, *module.parameters()]:
            tensor.grad = None

    step(*job(WARM_UP), Clock())
    work = job(row['size'])
    result = measure(lambda clock: step(*work, clock), row['budget'],
                     row['repeats'])
    result['params'] = sum(p.numel() for p in work[0].parameters()) / 1e6
    return result


def measure_row(row: Dict[str, Any]) -> Dict[str, Any]:
    """Return ``{'ok': result}``, or ``{'error': why}`` where the row fails."""
    import torch
    start = time.perf_counter()
    torch.set_num_threads(row['threads'])
    torch.manual_seed(0)
    try:
        work = measure_regions if row['kind'] == 'regions' else measure_head
        result = work(row)
    except Exception as error:  # the table says why
        text = str(error).strip().splitlines()
        return {'error': f'{type(error).__name__}: {text[0] if text else ""}'}
    result['wall'] = time.perf_counter() - start
    return {'ok': result}


def main() -> None:
    """Measure the row of the command line."""
    sys.path.insert(0, str(ROOT))  # from a clone that is not installed
    row = json.loads(sys.argv[1])
    os.environ.pop('SEGAWARE_MM_IMPL', None)  # a row names its own
    print(json.dumps(measure_row(row)))


if __name__ == '__main__':
    main()
