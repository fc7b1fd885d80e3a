"""The docs run: python blocks print what they say, commands name what exists."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from segaware_mm.datasets.flow.cli import build_parser as flow_parser
from segaware_mm.datasets.scenes.cli import build_parser as scenes_parser
from segaware_mm.engine.cli import test_parser as make_test_parser
from segaware_mm.engine.cli import train_parser
from segaware_mm.engine.config_file import merge_options, read_config
from segaware_mm.submission.cli import build_parser as submit_parser
from segaware_mm.submission.targets import TARGETS

REPO = Path(__file__).resolve().parents[1]
PAGES = [*sorted((REPO / 'docs').glob('*.md')), REPO / 'README.md']


def blocks(page: Path, kind: str) -> List[str]:
    """The code blocks of that kind."""
    return re.findall(rf'^```{kind}\n(.*?)^```$', page.read_text(), re.M | re.S)


def commands() -> Iterator[Tuple[str, str]]:
    """Every line of the bash blocks without a placeholder, with its page."""
    for page in PAGES:
        for block in blocks(page, 'bash'):
            for line in block.splitlines():
                line = line.partition(' #')[0]
                if line and not line.startswith('#') and ' CONFIG' not in line:
                    yield page.name, line


def links(page: Path) -> List[str]:
    """The relative links of a page."""
    found = re.findall(r'\]\(([^)\s]+)\)', page.read_text())
    return [link.split('#')[0] for link in found if not link.startswith(('http', '#'))]


def test_there_are_pages_and_commands():
    assert {page.name for page in PAGES} >= {'architecture.md', 'data.md', 'ranet.md'}
    assert len(list(commands())) > 5
    assert {page for page, _ in commands()} >= {'data.md', 'README.md'}


def own_lines(text: str) -> List[str]:
    """Lines, without what the forks of the toolboxes print when imported."""
    return [line for line in text.splitlines()
            if not line.startswith('Could not import OneDL')]


def test_the_architecture_page_names_what_is_registered():
    text = (REPO / 'docs' / 'architecture.md').read_text()
    section = text.split('## Registered names')[1].split('\n## ')[0]
    rows = [line for line in section.splitlines() if line.startswith('| `')]
    named = {name for row in rows for name in re.findall(r'`(\w+)`', row.split('|')[1])}
    # A process of its own: other tests import parts that only a tool registers.
    listed = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c',
         'import segaware_mm; print(*segaware_mm.list_modules(), sep="\\n")'],
        cwd=REPO, capture_output=True, text=True, check=True).stdout
    assert named == {line.split(': ')[1] for line in own_lines(listed)}


def test_the_architecture_page_shows_every_room():
    text = (REPO / 'docs' / 'architecture.md').read_text()
    rooms = [path.name for path in (REPO / 'segaware_mm').iterdir()
             if (path / '__init__.py').is_file()]
    assert rooms
    for room in rooms:
        assert re.search(rf'^  {room}/ .*$', text, re.M), room


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in links(page):
        assert (page.parent / link).exists(), f'{page.name}: {link}'


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_python_blocks_are_python(page):
    for block in blocks(page, 'python'):
        assert ast.parse(block).body


@pytest.mark.parametrize('page', [page for page in PAGES[:-1] if blocks(page, 'python')],
                         ids=lambda page: page.name)
def test_python_blocks_print_what_they_say(page):
    code = '\n'.join(blocks(page, 'python'))
    # A comment under a print is what it prints.
    wanted = re.findall(r'^print\(.*\n# (.*)$', code, re.M)
    assert len(wanted) == len(re.findall(r'^print\(', code, re.M)) > 0
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=REPO,
                          text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert own_lines(done.stdout) == wanted


@pytest.mark.parametrize('page, line', list(commands()))
def test_commands_name_what_exists(page, line):
    """Scripts and configs are there; arguments and options are known."""
    words = shlex.split(line)
    while '=' in words[0]:  # NAME=value in front of a command
        words.pop(0)
    if words[0] in ('make', 'export', 'source'):
        if words[0] == 'make':
            target = words[1]
            assert re.search(rf'^{target}:', (REPO / 'Makefile').read_text(), re.M), line
        return
    assert words[0] in ('python', 'bash'), line
    if words[1] == '-m':
        assert (REPO / (words[2].replace('.', '/') + '.py')).is_file(), line
        return
    assert (REPO / words[1]).is_file(), line
    tool, rest = Path(words[1]).name, words[2:]
    makers = {'make_flow.py': flow_parser, 'make_scenes.py': scenes_parser}
    if tool in makers:
        assert makers[tool]().parse_args(rest).out
        return
    if tool == 'submit.py':
        assert submit_parser().parse_args(rest).target in TARGETS
        return
    if tool.startswith('dist_'):  # CONFIG [CHECKPOINT] PROCESSES [arguments]
        place = 1 if tool == 'dist_train.sh' else 2
        assert int(rest.pop(place)) > 0, line
    if 'train' in tool:
        args = train_parser().parse_args(rest)
    elif 'test' in tool:
        args = make_test_parser().parse_args(rest)
    else:
        return
    cfg = read_config(str(REPO / args.config))
    notes = merge_options(cfg, args.cfg_options)
    assert not [note for note in notes if 'nothing reads it' in note], notes
