"""What the benchmarks write: environment, tables, files that appear whole."""

import os
import platform
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks' / 'results'


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a markdown table.

    Args:
        header: Titles. One that begins with ``>`` (dropped) is a column of
            numbers, set flush right.
        rows: Cells as text; as many in each row as there are titles.

    Raises:
        ValueError: A row has another number of cells than the header.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f'a row has {len(row)} cells, the header '
                             f'{len(header)}: {list(row)}')
    right = [title.startswith('>') for title in header]
    lines = [[title.lstrip('>') for title in header]]
    # A pipe inside a cell would end it; a line break would end the table.
    lines += [[' '.join(str(cell).replace('|', '\\|').split()) for cell in row]
              for row in rows]
    widths = [max(3, *(len(line[k]) for line in lines))
              for k in range(len(header))]

    def join(cells: Sequence[str]) -> str:
        return '| ' + ' | '.join(
            cell.rjust(w) if flush else cell.ljust(w)
            for cell, w, flush in zip(cells, widths, right)) + ' |'

    rule = ['-' * (w - 1) + ':' if flush else '-' * w
            for w, flush in zip(widths, right)]
    return '\n'.join([join(lines[0]), join(rule)] + [join(x) for x in lines[1:]])


def write_text(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        part.write_text(text, encoding='utf-8')
        os.replace(part, path)
    finally:
        if part.exists():
            part.unlink()


def slug(text: str) -> str:
    """Return ``text`` as a part of a file name: 'AMD EPYC' -> 'amd-epyc'."""
    return re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-') or 'unknown'


def today() -> str:
    """Return the date, YYYY-MM-DD."""
    return time.strftime('%Y-%m-%d')


def cpu_name() -> str:
    """Return the name of the processor."""
    try:
        found = re.search(r'^model name\s*:\s*(.+)$',
                          Path('/proc/cpuinfo').read_text(), re.M)
    except OSError:
        found = None
    return found.group(1).strip() if found else \
        platform.processor() or platform.machine()


def command_line(script: str, arguments: Sequence[str]) -> str:
    """Return the command of a run, as typed in the project's folder."""
    return shlex.join(['python', script, *arguments])


def revision() -> Optional[str]:
    """Return the commit of the project, '+' behind it where files differ."""
    try:
        found = [subprocess.run(
            ['git', '-C', str(ROOT), *words], capture_output=True, text=True,
            check=True, timeout=20).stdout.strip()
            for words in (['rev-parse', '--short', 'HEAD'],
                          ['status', '--porcelain', '--', 'segaware_mm',
                           'configs'])]
    except (OSError, subprocess.SubprocessError):
        return None
    return found[0] + ('+' if found[1] else '')


def versions() -> Dict[str, str]:
    """Return the versions that matter, by distribution. Imports the project."""
    import torch

    from segaware_mm.utils.stack import detect_stack, version_of
    from segaware_mm.version import __version__
    commit = revision()
    found = {
        'segaware_mm': __version__ + (f' ({commit})' if commit else ''),
        'python': platform.python_version(),
        'torch': str(torch.__version__),
    }
    for name in ('numba', 'numpy'):
        found[name] = version_of(name) or 'absent'
    found.update(detect_stack().versions.values())
    return found


def versions_line(found: Dict[str, str]) -> str:
    """Return versions on one line."""
    return ', '.join(f'{name} {version}' for name, version in found.items())


def bullet_list(lines: Sequence[str]) -> str:
    """Return a markdown list."""
    return '\n'.join(f'- {line}' for line in lines)


def page(*blocks: str) -> str:
    """Join the blocks of a page with blank lines."""
    kept: List[str] = [block.strip('\n') for block in blocks if block]
    return '\n\n'.join(kept) + '\n'
