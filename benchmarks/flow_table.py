"""The page that flow.py writes, from the results of its rows."""

from typing import Any, Dict, List, Optional, Sequence, Tuple

from bench_report import bullet_list, markdown_table, page
from camvid_table import environments, number

Result = Dict[str, Any]

NOTES = (
    'All rows: the same procedural pairs, seed, batches and iterations. *EPE*: mean '
    'end-point error in pixels over the held-out procedural pairs; *boundary*: of the '
    'pixels within 10 px of a motion boundary of the ground truth (docs/flow.md).',
    '*to plain*: EPE and boundary EPE less those of `plain`, in % of it; below 0 is '
    'better; - until `plain` of the same iterations and seed is finished.',
    'Aware rows have weights that plain ones have not (hardnesses, the embedding '
    'network) and take longer: `plain-w24` shows what more channels bring.',
    'A row is one seed: small differences mean little.',
    '*s/iter*: median of the logged times of a training iteration, data loading '
    'included.',
)
REAL_NOTE = (
    'EPE / boundary EPE in pixels at full size, by the networks above, which were '
    'trained on small procedural motions alone; *length* is the mean length of the '
    'true flow, the EPE of seeing no motion. Five pairs are no benchmark.')


def plain_of(result: Result, results: Sequence[Result]) -> Optional[Result]:
    """Return the plain row that a row is compared with, None without one."""
    alike = (result['iterations'], result['seed'])
    return next((r for r in results if r['is_peer'] and r is not result
                 and (r['iterations'], r['seed']) == alike), None)


def gain_text(result: Result, results: Sequence[Result]) -> str:
    """Return '-3.1 / -4.0', '-' where there is no comparison."""
    plain = plain_of(result, results)
    if plain is None or result['is_peer']:
        return '-'
    return ' / '.join(
        f'{100 * (result["scores"][key] / plain["scores"][key] - 1):+.1f}'
        for key in ('flow/EPE', 'flow/EPE_boundary'))


def score_table(results: Sequence[Result], places: Sequence[str]) -> str:
    """Return the table of scores on procedural pairs, times and sizes."""
    rows = [[
        f'`{r["name"]}`', r['label'], number(r['scores']['flow/EPE'], '.3f'),
        number(r['scores']['flow/EPE_boundary'], '.3f'), gain_text(r, results),
        number(r['scores']['flow/above_3px'], '.1f'),
        number(r['seconds_per_iteration']), number(r['params'], '.3f'),
        str(r['iterations']), str(r['seed']), str(places.index(r['environment']) + 1)
    ] for r in results]
    return markdown_table(
        ['row', 'what', '>EPE', '>boundary', '>to plain %', '>above 3 px %', '>s/iter',
         '>params M', '>iterations', '>seed', '>run on'], rows)


def real_table(results: Sequence[Result]) -> str:
    """Return the table of the real pairs, '' without scores on them."""
    names = list(dict.fromkeys(name for r in results for name in r['real']))
    if not names:
        return ''
    lengths = {name: scores['length'] for r in results
               for name, scores in r['real'].items()}
    rows: List[List[str]] = [['*length*', *(number(lengths[name]) for name in names)]]
    for r in results:
        cells = [r['real'].get(name, {}) for name in names]
        rows.append([f'`{r["name"]}`', *(
            f'{number(c.get("EPE"))} / {number(c.get("EPE_boundary"))}' for c in cells)])
    table = markdown_table(['row', *(f'>{name}' for name in names)], rows)
    return f'## Real pairs\n\n{REAL_NOTE}\n\n{table}'


def make_page(results: Sequence[Result], missing: Sequence[Tuple[str, str]],
              command: str, date: str,
              waiting: Sequence[Tuple[int, int]] = ()) -> str:
    """Return the whole page; see :class:`bench_trainings.Table`."""
    places = environments(results)
    blocks = ['# Optical flow', bullet_list([f'date: {date}', f'command: `{command}`'])]
    if results:
        length = number(results[0]['scores']['flow/length'])
        blocks += [f'Procedural pairs; the mean length of the true flow is {length} px.',
                   score_table(results, places), bullet_list(NOTES)]
    if missing:
        blocks += ['Rows without a result:',
                   bullet_list([f'`{name}`: {why}' for name, why in missing])]
    if results:
        blocks += [real_table(results), '## Run on', '\n'.join(
            f'{k}. {place}' for k, place in enumerate(places, 1)),
            '## Commands', '```\n' + '\n'.join(
                f'{r["command"]}  # {r["date"]}' for r in results) + '\n```']
    return page(*blocks)
