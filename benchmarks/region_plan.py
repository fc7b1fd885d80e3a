"""Which rows region_ops.py measures."""

from fnmatch import fnmatch
from typing import Any, Dict, List, Sequence, Tuple

Row = Dict[str, Any]

#: (height, width, classes). The first one is that of the heads: 97x97 is a
#: 769 crop at stride 8; 128x256 a whole Cityscapes image; 45x60 is CamVid.
SIZES = ((97, 97, 19), (128, 256, 19), (45, 60, 11))
QUICK_SIZES = ((32, 40, 5), )
PLAIN = ('bernoulli', 'interpolated')
#: (maps, divergence, line) on the CPU kernels, at the first size ...
FIRST = (
    ('scene', *PLAIN),
    ('scene', 'bernoulli', 'tree'),
    ('scene', 'jensen_shannon', 'interpolated'),
    ('scene', 'jensen_shannon', 'tree'),
    ('uniform', *PLAIN),
    ('uniform', 'bernoulli', 'tree'),
    ('uniform', 'jensen_shannon', 'interpolated'),
    ('noise', *PLAIN),
    ('noise', 'jensen_shannon', 'interpolated'),
)
#: ... and at the others.
OTHER = (
    ('scene', *PLAIN),
    ('scene', 'jensen_shannon', 'interpolated'),
    ('uniform', *PLAIN),
    ('noise', *PLAIN),
)
#: The torch fallback, and what takes it minutes: large regions on large maps.
TORCH = {
    (97, 97): (('noise', *PLAIN), ),
    (45, 60): (('scene', *PLAIN), ('noise', *PLAIN),
               ('scene', 'jensen_shannon', 'interpolated')),
    (32, 40): (('scene', *PLAIN), ),
}
TORCH_SLOW = {
    (97, 97): (('scene', *PLAIN), ('scene', 'bernoulli', 'tree')),
    (45, 60): (('uniform', *PLAIN), ),
}
#: (head, maps). The rivals' time does not depend on the maps.
HEADS = (('DAHead', ''), ('NLHead', ''), ('CCHead', ''), ('OCRHead', '')) + tuple(
    (f'RANetHead {mode}', maps) for maps in ('scene', 'uniform', 'noise')
    for mode in ('released', 'paper'))


def plan(channels: Sequence[int], quick: bool = False,
         slow: bool = False) -> List[Row]:
    """Return the rows, each with a ``name`` of its own.

    Args:
        channels: Widths of the heads.
        quick: A trial: one small size, narrow heads.
        slow: Also rows that take minutes.
    """
    sizes = QUICK_SIZES if quick else SIZES
    rows: List[Row] = []
    for height, width, classes in sizes:
        first = (height, width, classes) == sizes[0]
        wanted = [('numba', *kinds) for kinds in (FIRST if first else OTHER)]
        for table in (TORCH, TORCH_SLOW) if slow else (TORCH, ):
            wanted += [('torch', *kinds)
                       for kinds in table.get((height, width), ())]
        for impl, maps, divergence, line in wanted:
            rows.append(dict(
                kind='regions', size=[height, width], classes=classes, maps=maps,
                impl=impl, divergence=divergence, line=line,
                name=f'regions/{height}x{width}/{maps}/{impl}/{divergence}/{line}'))
    height, width, classes = sizes[0]
    in_channels = 32 if quick else 512
    for width_of_head in ([16] if quick else channels):
        for part in ('whole', 'attention'):
            for head, maps in HEADS:
                rows.append(dict(
                    kind='head', size=[height, width], classes=classes,
                    maps=maps, head=head, part=part, channels=width_of_head,
                    in_channels=in_channels,
                    name=f'head/{height}x{width}/{width_of_head}/{part}/'
                    + head.replace(' ', '-') + (f'/{maps}' if maps else '')))
    return rows


def select(rows: Sequence[Row], patterns: Sequence[str]) -> List[Row]:
    """Return the rows whose name matches one of the patterns, all for none.

    A pattern is a shell pattern (``head/*/CCHead``) or a part of a name.

    Raises:
        ValueError: A pattern matches no row.
    """
    def fits(row: Row, pattern: str) -> bool:
        return pattern in row['name'] or fnmatch(row['name'], pattern)

    for pattern in patterns:
        if not any(fits(row, pattern) for row in rows):
            raise ValueError(f'--only {pattern}: no row has such a name; '
                             '--list shows them')
    return [row for row in rows
            if not patterns or any(fits(row, p) for p in patterns)]


def size_text(row: Row) -> str:
    """Return '97x97, 19 classes'."""
    height, width = row['size']
    return f'{height}x{width}, {row["classes"]} classes'


def fastest_rival(results: Sequence[Tuple[Row, Dict[str, Any]]], row: Row,
                  rivals: Sequence[str]) -> Dict[str, Tuple[str, float]]:
    """Return the rivals that a head's row is compared with.

    Args:
        results: Rows with what the worker printed.
        row: A head's row; rivals of its part, size and width are looked at.
        rivals: Names of heads.

    Returns:
        ``time`` and ``memory``, each (name, value) of the least; without the
        keys where no rival was measured.
    """
    best: Dict[str, Tuple[str, float]] = {}
    for other, answer in results:
        same = all(other.get(k) == row.get(k) for k in
                   ('kind', 'part', 'size', 'channels', 'in_channels'))
        if not same or other['head'] not in rivals or 'ok' not in answer:
            continue
        found = answer['ok']
        for key, value in (('time', found['total']['median']),
                           ('memory', found['peak_mb'])):
            if value and (key not in best or value < best[key][1]):
                best[key] = (other['head'], value)
    return best
