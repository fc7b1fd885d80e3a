"""Say what of this project works here, and how to mend the rest.

    python -m segaware_mm.doctor

Prints versions, devices, kernels, registered parts and data, then one line
for every problem with the command that mends it. Exit code 0 without a
problem, 1 otherwise. Every package may be missing; nothing is changed.
"""

import sys
from typing import List, NamedTuple, Optional, Sequence, Tuple

from .utils import probes
from .utils.probes import NOTE, OK, PROBLEM, Finding

TITLES = (
    ('Versions', probes.versions),
    ('Devices', probes.devices),
    ('Kernels', probes.kernels),
    ('Parts', probes.parts),
    ('Data', probes.data),
)


class Section(NamedTuple):
    """A title and what was found under it."""

    title: str
    findings: Tuple[Finding, ...]


def examine() -> List[Section]:
    """Look at everything.

    A probe that fails in a way nobody foresaw is itself a finding.
    """
    sections = []
    for title, probe in TITLES:
        try:
            findings = tuple(probe())
        except Exception as error:
            findings = (Finding(
                title.lower(), f'{type(error).__name__}: {error}', PROBLEM,
                'report this together with the whole output'), )
        sections.append(Section(title, findings))
    return sections


def render(sections: Sequence[Section]) -> str:
    """Return the report as text in aligned columns."""
    width = max((len(f.name) for s in sections for f in s.findings), default=0)
    marks = {OK: ' ', NOTE: '-', PROBLEM: '!'}
    lines: List[str] = []
    for title, findings in sections:
        lines += [title]
        lines += [f' {marks[f.status]} {f.name:<{width}}  {f.value}'.rstrip()
                  for f in findings]
        lines += ['']
    for title, status in (('Notes', NOTE), ('Problems', PROBLEM)):
        chosen = [f for s in sections for f in s.findings
                  if f.status == status and f.mend]
        if chosen:
            lines += [title]
            lines += [f' {marks[status]} {f.name}: {f.mend}' for f in chosen]
            lines += ['']
    count = problems(sections)
    lines += ['No problem.' if not count else
              f'{count} problem{"s" if count > 1 else ""}.']
    return '\n'.join(lines)


def problems(sections: Sequence[Section]) -> int:
    """Return the number of problems."""
    return sum(f.status == PROBLEM for s in sections for f in s.findings)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Print the report; return the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv:
        print(__doc__.strip())
        return 0 if argv[0] in ('-h', '--help') else 2
    sections = examine()
    print(render(sections))
    return 1 if problems(sections) else 0


if __name__ == '__main__':
    sys.exit(main())
