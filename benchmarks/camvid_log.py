"""Read what a training left in its work dir: scores, times, settings.

mmengine writes ``TIME/vis_data/scalars.json`` (a JSON object a line) and
``TIME/TIME.log`` for every start of a run; ``tools/test.py`` writes
``TIME/TIME.json``. A resumed run has several TIME folders.
"""

import json
import re
import statistics
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

SCORES = ('mIoU', 'aAcc', 'mAcc')


def read_json_lines(path: Path) -> List[Dict[str, Any]]:
    """Return the objects of a file; a last line cut short is left out."""
    found = []
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


def training_entries(work_dir: Path) -> List[Dict[str, Any]]:
    """Return the logged entries of a training, all its starts in order."""
    return [entry for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
            for entry in read_json_lines(path)]


def iterations_done(work_dir: Path) -> int:
    """Return the last iteration that was logged, 0 for none."""
    return max([int(e['step']) for e in training_entries(work_dir)
                if 'loss' in e] or [0])


def scores_at(work_dir: Path, iteration: int,
              keys: Sequence[str] = SCORES) -> Optional[Dict[str, float]]:
    """Return the scores of the validation at an iteration: mIoU, ... in %.

    Where the training was killed between its last checkpoint and the
    validation, the scores are those of a ``tools/test.py`` run there.
    """
    found = [e for e in training_entries(work_dir)
             if keys[0] in e and int(e.get('step', -1)) == iteration]
    if not found:
        found = [e for path in sorted(work_dir.glob('test/*/*.json'))
                 for e in read_json_lines(path) if keys[0] in e]
    if not found:
        return None
    return {key: float(found[-1][key]) for key in keys}


def class_scores(log: str) -> Dict[str, float]:
    """Return the IoU (in %) of every class from the last table of a log.

    Args:
        log: Text with mmseg's tables 'per class results'.

    Returns:
        Class -> IoU in the order of the table; NaN where a class is absent;
        empty where there is no table.
    """
    _, found, after = log.rpartition('per class results:')
    if not found:
        return {}
    scores: Dict[str, float] = {}
    for line in after.splitlines():
        cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
        if scores and line.startswith('+'):
            break
        if line.startswith('|') and len(cells) >= 2 and cells[0] != 'Class':
            scores[cells[0]] = float(cells[1])
    return scores


def last_class_scores(work_dir: Path) -> Dict[str, float]:
    """Return the IoU of every class from the newest log that has them."""
    logs = sorted([*work_dir.glob('*/*.log'), *work_dir.glob('test/*/*.log')],
                  key=lambda path: path.name)
    for path in reversed(logs):
        scores = class_scores(path.read_text(errors='replace'))
        if scores:
            return scores
    return {}


def seconds_per_iteration(work_dir: Path) -> Optional[float]:
    """Return the median of the logged times of an iteration, s."""
    times = [float(e['time']) for e in training_entries(work_dir)
             if 'loss' in e and 'time' in e]
    return statistics.median(times) if times else None


def dumped_config(work_dir: Path) -> Optional[Path]:
    """Return the config that the run wrote into its work dir."""
    found = sorted(work_dir.glob('*.py'))
    return found[-1] if found else None


def whole_checkpoint(work_dir: Path, iteration: int) -> Optional[Path]:
    """Return the checkpoint of an iteration, or None."""
    path = work_dir / f'iter_{iteration}.pth'
    return path if path.is_file() and path.stat().st_size else None


def last_error(console: str) -> str:
    """Return the line of a program's output that says what went wrong."""
    lines = [line.strip() for line in console.splitlines() if line.strip()]
    for line in reversed(lines):
        if re.match(r'(error: |[\w.]*(Error|Exception|Interrupt)\b)', line):
            return line
    return lines[-1] if lines else 'no output'
