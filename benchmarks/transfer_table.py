"""The page that transfer.py writes, from the results of its rows."""

from typing import Any, Dict, List, Optional, Sequence, Tuple

from bench_report import bullet_list, markdown_table, page
from camvid_table import environments, number
from transfer_job import ALL, SOURCE, TARGET
from transfer_rows import CAM_THRESHOLDS, DATA

Result = Dict[str, Any]

NOTES = (
    'Mean IoU in % over the validation images: of the *target* classes, whose masks '
    'only the first row of a data set has seen, of the *source* classes where the '
    'validation has them, and of all classes with the background.',
    '*labels found*: the network says which classes an image has; *labels given*: it '
    'is told, so that what is left is where they are.',
    '*of full*: target mIoU in % of that of the row with all masks, same data set, '
    'iterations and seed.',
    'Of activation maps stands the best of the thresholds '
    f'{", ".join(map(str, CAM_THRESHOLDS))}, chosen on these very images with labels '
    'given.',
    'A row is one seed; *s/iter*: median of the logged times of a training iteration.',
)


def full_of(result: Result, results: Sequence[Result]) -> Optional[Result]:
    """Return the fully supervised row that a row is compared with."""
    name = result['name']
    data = next((d for d in DATA if f'-{d}' in name), None)
    alike = (result['iterations'], result['seed'])
    return next((r for r in results if r['name'].startswith(f'full-{data}')
                 and (r['iterations'], r['seed']) == alike), None)


def share(result: Result, results: Sequence[Result], where: str) -> str:
    """Return a score as percent of full supervision, '-' without that."""
    full = full_of(result, results)
    if full is None or not full[where][TARGET] > 0:
        return '-'
    return f'{100 * result[where][TARGET] / full[where][TARGET]:.0f}'


def score_table(results: Sequence[Result], places: Sequence[str]) -> str:
    """Return the table of the rows."""
    rows: List[List[str]] = []
    for r in results:
        cells = []
        for where in ('found', 'given'):
            cells += [*(number(r[where].get(key)) for key in (TARGET, SOURCE, ALL)),
                      share(r, results, where)]
        label = r['label'] if r['threshold'] is None else \
            f'{r["label"]}, threshold {r["threshold"]}'
        rows.append([
            f'`{r["name"]}`', label, *cells,
            number(r['seconds_per_iteration']), number(r['params']),
            str(r['iterations']), str(r['seed']),
            str(places.index(r['environment']) + 1)])
    names = ('target', 'source', 'all', 'of full %')
    return markdown_table(
        ['row', 'what', *(f'>{name}, labels {how}' for how in ('found', 'given')
                          for name in names),
         '>s/iter', '>params M', '>iterations', '>seed', '>run on'], rows)


def make_page(results: Sequence[Result], missing: Sequence[Tuple[str, str]],
              command: str, date: str,
              waiting: Sequence[Tuple[int, int]] = ()) -> str:
    """Return the whole page; see :class:`bench_trainings.Table`."""
    places = environments(results)
    blocks = ['# TransferNet: classes whose masks were never seen',
              bullet_list([f'date: {date}', f'command: `{command}`'])]
    if results:
        blocks += [score_table(results, places), bullet_list(NOTES)]
    if missing:
        blocks += ['Rows without a result:',
                   bullet_list([f'`{name}`: {why}' for name, why in missing])]
    if results:
        blocks += ['## Run on', '\n'.join(
            f'{k}. {place}' for k, place in enumerate(places, 1)),
            '## Commands', '```\n' + '\n'.join(
                f'{r["command"]}  # {r["date"]}' for r in results) + '\n```']
    return page(*blocks)
