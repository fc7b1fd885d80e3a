"""Which stack is installed, and the repairs that it gets."""

import re
from pathlib import Path

import pytest

from segaware_mm.utils import config_packages, stack

REPO = Path(__file__).resolve().parents[2]


def pretend(monkeypatch, **installed):
    """Let exactly these distributions ('_' for '-') be installed."""
    known = {name.replace('_', '-'): version for name, version in installed.items()}

    def version(name):
        if name not in known:
            raise stack.metadata.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(stack.metadata, 'version', version)


def test_tested_versions_are_those_of_the_constraints():
    text = (REPO / 'constraints.txt').read_text()
    pins = dict(re.findall(r'^([\w.-]+)==([^\s#]+)', text, re.M))
    assert {name: pins.get(name) for name in stack.TESTED} == stack.TESTED
    toolboxes = {d for names in stack.DISTRIBUTIONS.values() for d in names.values()}
    assert toolboxes <= set(stack.TESTED)


@pytest.mark.stack
def test_the_installed_stack_is_recognised():
    found = stack.detect_stack()
    assert found.name in ('mm', 'onedl')
    assert set(found.versions) == {'mmcv', 'mmengine', 'mmseg', 'mmdet'}
    assert found.clashes == ()


def test_forks_alone(monkeypatch):
    pretend(monkeypatch, onedl_mmcv='2.3.6', onedl_mmengine='0.10.12')
    found = stack.detect_stack()
    assert found.name == 'onedl'
    assert found.versions == {'mmcv': ('onedl-mmcv', '2.3.6'),
                              'mmengine': ('onedl-mmengine', '0.10.12')}


def test_nothing(monkeypatch):
    pretend(monkeypatch)
    assert stack.detect_stack() == stack.Stack('none', {}, ())


def test_one_laid_over_the_other(monkeypatch):
    pretend(monkeypatch, mmsegmentation='1.2.2', onedl_mmsegmentation='1.4.2',
            mmcv='2.1.0')
    found = stack.detect_stack()
    assert found.name == 'mixed'
    assert found.clashes == ('mmseg', )


@pytest.mark.parametrize('version, tested', [
    ('2.13.0', True), ('2.13.0+cpu', True), ('2.14.0', False), ('2.13.0.1', False)])
def test_other_versions_are_told_and_not_refused(version, tested):
    assert stack.is_tested('torch', version) is tested
    assert stack.is_tested('unheard-of', version)


@pytest.mark.parametrize('installed, mapped', [
    (dict(onedl_mmsegmentation='1.4.2', onedl_mmdetection='3.5.1'),
     {'mmseg': 'onedl-mmsegmentation', 'mmdet': 'onedl-mmdetection'}),
    (dict(mmsegmentation='1.2.2', mmdet='3.3.0'), {}),
    (dict(mmsegmentation='1.2.2', onedl_mmsegmentation='1.4.2'), {}),
    ({}, {}),
])
def test_table_of_config_packages(monkeypatch, installed, mapped):
    utils = pytest.importorskip('mmengine.config.utils')
    table = dict(mmseg='mmsegmentation', mmdet='mmdet')
    monkeypatch.setattr(utils, 'MODULE2PACKAGE', table)
    pretend(monkeypatch, **installed)
    assert config_packages.map_config_packages() == mapped
    assert table == {**dict(mmseg='mmsegmentation', mmdet='mmdet'), **mapped}


@pytest.mark.parametrize('skip', [
    lambda iterator: iterator.skip_iter(3),  # the forks' loop
    lambda iterator: [next(iterator) for _ in range(3)]])  # the original one
def test_loops_of_both_stacks_skip_without_loading(skip):
    iterator = stack.ForwardedIterator(iter('ab'), 3)
    skip(iterator)
    assert [next(iterator), next(iterator)] == ['a', 'b']


@pytest.mark.stack
@pytest.mark.parametrize('base', [
    'mmseg::_base_/datasets/cityscapes.py', 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'])
def test_configs_of_the_toolboxes_are_found(tmp_path, base):
    """On the forks 'mmseg::' failed: "mmsegmentation is not installed"."""
    config = pytest.importorskip('mmengine.config')
    pytest.importorskip(base.partition('::')[0])
    stack.prepare_stack()
    path = tmp_path / 'a.py'
    path.write_text(f'_base_ = [{base!r}]\n')
    loaded = config.Config.fromfile(str(path))
    assert 'model' in loaded or 'train_dataloader' in loaded
