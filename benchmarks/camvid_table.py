"""The page that camvid.py writes, from the results of its rows."""

import math
from typing import Any, Dict, List, Optional, Sequence, Tuple

from bench_report import bullet_list, markdown_table, page

Result = Dict[str, Any]

NOTES = (
    'CamVid val, 101 images, 11 classes, 360x480, single scale, % of '
    '`IoUMetric`. The validation images come from the drive that half of the '
    'training images come from, so these numbers read high.',
    '*to best peer*: mIoU minus that of the best peer of as many iterations '
    'and the same seed. One seed says little about differences of a point.',
    '*s/iter*: median of the logged times of a training iteration, data '
    'loading included.',
)


def number(value: Optional[float], form: str = '.2f') -> str:
    """Return a number as text, '-' for None and NaN."""
    return '-' if value is None or math.isnan(value) else format(value, form)


def best_peer(result: Result, results: Sequence[Result]) -> Optional[float]:
    """Return the highest mIoU of the peers that a row is compared with."""
    found = [r['scores']['mIoU'] for r in results
             if r['is_peer'] and r['iterations'] == result['iterations']
             and r['seed'] == result['seed']]
    return max(found) if found else None


def environments(results: Sequence[Result]) -> List[str]:
    """Return the distinct environments, in the order of the rows."""
    return list(dict.fromkeys(r['environment'] for r in results))


def score_table(results: Sequence[Result], places: Sequence[str]) -> str:
    """Return the table of scores, times and sizes."""
    rows = []
    for r in results:
        peer = best_peer(r, results)
        gain = None if r['is_peer'] or peer is None else \
            r['scores']['mIoU'] - peer
        rows.append([
            f'`{r["name"]}`', r['label'], number(r['scores']['mIoU']),
            number(gain, '+.2f'), number(r['scores']['aAcc']),
            number(r['scores']['mAcc']), number(r['seconds_per_iteration']),
            number(r['params']), str(r['iterations']), str(r['seed']),
            str(places.index(r['environment']) + 1)])
    return markdown_table(
        ['row', 'what', '>mIoU', '>to best peer', '>aAcc', '>mAcc', '>s/iter',
         '>params M', '>iterations', '>seed', '>run on'], rows)


def class_table(results: Sequence[Result]) -> str:
    """Return the table of the IoU of every class."""
    names = list(dict.fromkeys(
        name for r in results for name in r['classes']))
    if not names:
        return ''
    return '## IoU of every class\n\n' + markdown_table(
        ['row', *(f'>{name}' for name in names)],
        [[f'`{r["name"]}`', *(number(r['classes'].get(name)) for name in names)]
         for r in results])


def make_page(results: Sequence[Result], missing: Sequence[Tuple[str, str]],
              command: str, date: str) -> str:
    """Return the whole page.

    Args:
        results: Finished rows, as ``result.json`` holds them.
        missing: (row, why) of the others.
        command: What was typed last.
        date: Of the page.
    """
    places = environments(results)
    blocks = ['# CamVid', bullet_list([f'date: {date}', f'command: `{command}`'])]
    if results:
        blocks += [score_table(results, places), bullet_list(NOTES)]
    if missing:
        blocks += ['Rows without a result:',
                   bullet_list([f'`{name}`: {why}' for name, why in missing])]
    if results:
        blocks += [class_table(results), '## Run on', '\n'.join(
            f'{k}. {place}' for k, place in enumerate(places, 1)),
            '## Commands', '```\n' + '\n'.join(
                f'{r["command"]}  # {r["date"]}' for r in results) + '\n```']
    return page(*blocks)
