"""The page that camvid.py writes, from the results of its rows."""

import math
from typing import Any, Dict, List, Optional, Sequence, Tuple

from bench_report import bullet_list, markdown_table, page

Result = Dict[str, Any]

NOTES = (
    'CamVid val, 101 images, 11 classes, 360x480, single scale, % of '
    '`IoUMetric`. The validation images come from the drive that half of the '
    'training images come from, so these numbers read high.',
    '*to best peer*: mIoU minus that of the best peer (named) of as many '
    'iterations and the same seed; - until all of these are finished.',
    'RANet and its peers do not read the same maps: rows of RANet named A, B, '
    '... read maps of stride 8, and from B on features fused of layers 2 and 3; '
    'peers read layer 3 at stride 16 unless their label says otherwise.',
    'Which variant of RANet is best has been chosen on these same validation '
    'images, and a row is one seed: a point of difference means little.',
    '*s/iter*: median of the logged times of a training iteration, data '
    'loading included.',
)


def number(value: Optional[float], form: str = '.2f') -> str:
    """Return a number as text, '-' for None and NaN."""
    return '-' if value is None or math.isnan(value) else format(value, form)


def best_peer(result: Result, results: Sequence[Result],
              waiting: Sequence[Tuple[int, int]] = ()) -> Optional[Result]:
    """Return the peer of the highest mIoU that a row is compared with.

    Args:
        result: The row.
        results: All finished rows.
        waiting: (iterations, seed) of the peers that are not finished; among
            them may be the best one.
    """
    alike = (result['iterations'], result['seed'])
    found = [r for r in results
             if r['is_peer'] and (r['iterations'], r['seed']) == alike]
    if alike in waiting or not found:
        return None
    return max(found, key=lambda r: r['scores']['mIoU'])


def gain_text(result: Result, results: Sequence[Result],
              waiting: Sequence[Tuple[int, int]] = ()) -> str:
    """Return '+0.50 (da)', '-' for a peer and where there is no comparison."""
    peer = None if result['is_peer'] else best_peer(result, results, waiting)
    if peer is None:
        return '-'
    gain = result['scores']['mIoU'] - peer['scores']['mIoU']
    return f'{gain:+.2f} ({peer["name"]})'


def environments(results: Sequence[Result]) -> List[str]:
    """Return the distinct environments, in the order of the rows."""
    return list(dict.fromkeys(r['environment'] for r in results))


def score_table(results: Sequence[Result], places: Sequence[str],
                waiting: Sequence[Tuple[int, int]] = ()) -> str:
    """Return the table of scores, times and sizes."""
    rows = []
    for r in results:
        rows.append([
            f'`{r["name"]}`', r['label'], number(r['scores']['mIoU']),
            gain_text(r, results, waiting), number(r['scores']['aAcc']),
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
              command: str, date: str,
              waiting: Sequence[Tuple[int, int]] = ()) -> str:
    """Return the whole page.

    Args:
        results: Finished rows, as ``result.json`` holds them.
        missing: (row, why) of the others.
        command: What was typed last.
        date: Of the page.
        waiting: (iterations, seed) of the peers that are not finished.
    """
    places = environments(results)
    blocks = ['# CamVid', bullet_list([f'date: {date}', f'command: `{command}`'])]
    if results:
        blocks += [score_table(results, places, waiting), bullet_list(NOTES)]
    if missing:
        blocks += ['Rows without a result:',
                   bullet_list([f'`{name}`: {why}' for name, why in missing])]
    if results:
        blocks += [class_table(results), '## Run on', '\n'.join(
            f'{k}. {place}' for k, place in enumerate(places, 1)),
            '## Commands', '```\n' + '\n'.join(
                f'{r["command"]}  # {r["date"]}' for r in results) + '\n```']
    return page(*blocks)
