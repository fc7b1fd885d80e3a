"""The page that refinement.py writes, from the results of its rows."""

from typing import Any, Dict, List, Sequence, Tuple

from bench_report import bullet_list, markdown_table, page
from camvid_table import environments, number
from refinement_plan import ROWS, Data
from refinement_score import RADII

Result = Dict[str, Any]

NOTES = (
    '*mIoU*: % of `IoUMetric`, single scale. *r px*: mIoU of the pixels within r '
    'pixels of a boundary of the ground truth (`TrimapIoUMetric`), void excluded.',
    '*refine s*: median seconds an image from logits at image size to refined ones, '
    'of the embedding too; the dense CRF runs on one core. *cpu s*: the same in '
    'seconds of all cores together, which other programs disturb less. *s/image*: '
    'refinement and the network that makes the logits, also medians, without loading.',
    'All rows but the last refine the same logits of one trained FCN. The last is '
    'trained anew, from the same start with the same data and iterations.',
    'A row is one seed.',
)


def gain(result: Result, plain: Result) -> str:
    """Return mIoU minus that of the plain logits, '-' for these."""
    if not plain or result is plain:
        return '-'
    return f'{result["scores"]["mIoU"] - plain["scores"]["mIoU"]:+.2f}'


def score_table(results: Dict[str, Result]) -> str:
    """Return the table of scores and times."""
    rows = []
    places = environments(list(results.values()))
    for name, r in results.items():
        s = r['scores']
        rows.append([
            f'`{name}`', ROWS[name], number(s['mIoU']), gain(r, results.get('none')),
            *(number(s[f'trimap/mIoU@{radius}']) for radius in RADII),
            number(r.get('refine_seconds'), '.3f'),
            number(r.get('refine_cpu'), '.3f'), number(r['seconds'], '.3f'),
            str(places.index(r['environment']) + 1)])
    return markdown_table(
        ['row', 'what', '>mIoU', '>gain', *(f'>{radius} px' for radius in RADII),
         '>refine s', '>cpu s', '>s/image', '>run on'], rows)


def tuning_notes(results: Dict[str, Result]) -> List[str]:
    """Return a line on the parameters of every row that has some."""
    lines = []
    for name, r in results.items():
        tuned = r.get('tuning')
        if tuned:
            found = ', '.join(f'{key} {value:g}'
                              for key, value in tuned['parameters'].items())
            lines.append(
                f'`{name}`: {found}; best of {tuned["trials"]} trials on '
                f'{tuned["images"]} training images, mIoU {tuned["score"]:.2f} there '
                f'({tuned["first"]:.2f} with the released values, '
                f'{tuned["plain"]:.2f} without refinement)')
    return lines


def make_page(data: Data, results: Dict[str, Result],
              missing: Sequence[Tuple[str, str]], command: str, date: str) -> str:
    """Return the whole page.

    Args:
        data: The dataset.
        results: Finished rows, by name, in the order of the table.
        missing: (row, why) of the others.
        command: What was typed last.
        date: Of the page.
    """
    blocks = [f'# Refinement on {data.label.split(" ")[0].rstrip(",")}',
              bullet_list([f'date: {date}', f'command: `{command}`'])]
    if results:
        images = ', '.join(sorted({str(r['images']) for r in results.values()}))
        blocks += [score_table(results),
                   bullet_list([f'{data.label}; {images} images.', *NOTES])]
        notes = tuning_notes(results)
        if notes:
            blocks += ['Parameters:', bullet_list(notes)]
    if missing:
        blocks += ['Rows without a result:',
                   bullet_list([f'`{name}`: {why}' for name, why in missing])]
    if results:
        commands = list(dict.fromkeys(
            line for r in results.values() for line in r['commands']))
        blocks += ['## Run on', '\n'.join(
            f'{k}. {place}' for k, place in enumerate(
                environments(list(results.values())), 1))]
        if commands:
            blocks += ['## Trainings', '```\n' + '\n'.join(commands) + '\n```']
    return page(*blocks)
