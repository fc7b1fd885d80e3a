"""The page that mnc.py writes, from the results of its rows."""

from typing import Any, Dict, List, Sequence, Tuple

from bench_report import bullet_list, markdown_table, page
from camvid_table import environments, number
from mnc_job import KEYS

Result = Dict[str, Any]

NOTES = (
    '*AP*: COCO\'s, IoU .5 to .95; *AP50*, *box AP* likewise. *mAP^r*: area of '
    '`VOCInstanceMetric`, 11 points, at mask IoU .5 and .7, and *vol* the mean of .1 '
    'to .9. All in %.',
    'Rows of one data set have the same backbone, neck, RPN, images, iterations, batch '
    'and seed; few iterations of small networks on few images: a check that '
    'training works, no comparison of methods. A row is one seed.',
    '*s/iter*: median of the logged times of a training iteration; *s/image*: of the '
    'last validation; *peak*: resident memory of the process that trains and validates, '
    'without its data loaders.',
)
SHORT = ('AP', 'AP50', 'box AP', 'mAP^r .5', '.7', 'vol')


def scores(found: Dict[str, float]) -> List[str]:
    """Return the scores as percent."""
    return [number(100 * found[key] if found[key] <= 1 else found[key]) for key in KEYS]


def score_table(results: Sequence[Result], places: Sequence[str]) -> str:
    """Return the table of the rows."""
    rows = [[
        f'`{r["name"]}`', r['label'], *scores(r['scores']),
        ' '.join(f'{100 * ap:.2f}' for ap in r['history'].values()),
        number(r['seconds_per_iteration'], '.3f'), number(r['seconds_per_image'], '.3f'),
        number(r.get('peak_mb'), '.0f'),
        number(r['params']), str(r['iterations']), str(r['seed']),
        str(places.index(r['environment']) + 1)] for r in results]
    return markdown_table(
        ['row', 'what', *(f'>{name}' for name in SHORT), '>AP as it grew', '>s/iter',
         '>s/image', '>peak MB', '>params M', '>iterations', '>seed', '>run on'], rows)


def variant_table(results: Sequence[Result]) -> str:
    """Return the table of other ways to test the same weights."""
    rows = []
    for r in results:
        if r['variants']:
            rows.append([f'`{r["name"]}`', 'five stages, voting', *scores(r['scores'])])
            rows += [[f'`{r["name"]}`', name, *scores(found)]
                     for name, found in r['variants'].items()]
    if not rows:
        return ''
    return '## Stages and voting\n\n' + markdown_table(
        ['row', 'tested with', *(f'>{name}' for name in SHORT)], rows)


def make_page(results: Sequence[Result], missing: Sequence[Tuple[str, str]],
              command: str, date: str,
              waiting: Sequence[Tuple[int, int]] = ()) -> str:
    """Return the whole page; see :class:`bench_trainings.Table`."""
    places = environments(results)
    blocks = ['# MNC beside Mask R-CNN',
              bullet_list([f'date: {date}', f'command: `{command}`'])]
    if results:
        blocks += [score_table(results, places), bullet_list(NOTES),
                   variant_table(results)]
    if missing:
        blocks += ['Rows without a result:',
                   bullet_list([f'`{name}`: {why}' for name, why in missing])]
    if results:
        blocks += ['## Run on', '\n'.join(
            f'{k}. {place}' for k, place in enumerate(places, 1)),
            '## Commands', '```\n' + '\n'.join(
                f'{r["command"]}  # {r["date"]}' for r in results) + '\n```']
    return page(*[block for block in blocks if block])
