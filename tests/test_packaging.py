"""The package as setup.cfg describes it."""

import ast
import configparser
from pathlib import Path

import pytest

import segaware_mm

REPO = Path(__file__).resolve().parents[1]
PACKAGE = REPO / 'segaware_mm'
SOURCES = sorted(path.relative_to(REPO) for folder in ('segaware_mm', 'tools', 'configs')
                 for path in (REPO / folder).rglob('*.py'))


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(REPO / 'setup.cfg')
    return config


def test_version_stands_in_one_place():
    setuptools = pytest.importorskip('setuptools.config.expand')
    name = setup_cfg()['metadata']['version'].partition('attr:')[2].strip()
    assert setuptools.read_attr(name, root_dir=str(REPO)) == segaware_mm.__version__
    assert segaware_mm.__version__ in (REPO / 'CHANGELOG.md').read_text()


def test_every_folder_of_the_package_is_installed():
    """setuptools passes over folders without __init__.py, and says nothing."""
    folders = {path.parent for path in PACKAGE.rglob('*.py')}
    assert PACKAGE in folders
    assert [str(f) for f in folders if not (f / '__init__.py').is_file()] == []


@pytest.mark.parametrize('path', SOURCES, ids=str)
def test_syntax_is_that_of_the_oldest_python(path):
    oldest = setup_cfg()['options']['python_requires']
    assert oldest == '>=3.9'
    assert ast.parse((REPO / path).read_text(), str(path), feature_version=(3, 9))


def test_no_upper_bounds():
    """The stacks' own upper bounds are what users suffer from."""
    config = setup_cfg()
    texts = [config['options']['install_requires'], config['options']['python_requires'],
             *config['options.extras_require'].values()]
    assert not [text for text in texts if '<' in text or '==' in text or '~' in text]


def test_settings_need_no_plugin_that_is_not_installed():
    assert 'pytest-timeout' in setup_cfg()['options.extras_require']['test']
    assert '--import-mode=importlib' in setup_cfg()['tool:pytest']['addopts']
