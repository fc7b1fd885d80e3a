"""Configs of another toolbox, and types that nothing registered."""

import importlib.util

import pytest
from mmengine.config import Config

from segaware_mm.engine import scope
from segaware_mm.engine.errors import ConfigError
from segaware_mm.engine.explain import explain
from segaware_mm.engine.scope import check_scope


def config(kind, **more):
    """Return a config of one model type."""
    return Config(dict(model=dict(type=kind), **more))


def error_of(cfg):
    """Return the message of the check."""
    with pytest.raises(ConfigError) as caught:
        check_scope(cfg)
    return str(caught.value)


@pytest.mark.parametrize('cfg', [
    config('EncoderDecoder', default_scope='mmseg'),
    config('mmseg.EncoderDecoder'),
    config('MaskRCNN', default_scope='mmdet'),
    config('mmdet.MaskRCNN', default_scope='mmseg'),
])
def test_models_of_both_toolboxes_are_known(cfg):
    assert check_scope(cfg) is None


def test_toolbox_that_is_absent(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        scope, 'find_spec', lambda name: None if name == 'mmdet' else find(name))
    text = error_of(config('MaskRCNN', default_scope='mmdet'))
    assert "default_scope='mmdet'" in text and 'not installed' in text
    assert 'onedl-mmdetection' in text and 'segaware_mm.doctor' in text


def test_toolbox_that_refuses_its_surroundings(monkeypatch):
    def refuse(name):
        raise AssertionError('MMCV==9.9 is used but incompatible')

    monkeypatch.setattr(scope, 'import_module', refuse)
    text = error_of(config('EncoderDecoder', default_scope='mmseg'))
    assert 'cannot be imported' in text and 'MMCV==9.9' in text


def test_model_of_the_other_toolbox():
    text = error_of(config('MaskRCNN', default_scope='mmseg'))
    assert "default_scope='mmdet'" in text and "type='mmdet.MaskRCNN'" in text


def test_config_without_scope():
    text = error_of(config('EncoderDecoder'))
    assert "'EncoderDecoder'" in text and "default_scope='mmseg'" in text
    assert 'has no default_scope' in text


def test_unknown_model_gets_a_near_name_and_custom_imports():
    text = error_of(config('EncoderDecodr', default_scope='mmseg'))
    assert 'Did you mean EncoderDecoder' in text and 'custom_imports' in text


def test_unknown_part_inside_a_model_is_explained():
    from mmseg.registry import MODELS
    with pytest.raises(KeyError) as caught:
        MODELS.build(dict(type='FCNHed'))
    text = explain(caught.value)
    assert "'FCNHed' is not registered under mmseg" in text
    assert 'Did you mean FCNHead' in text


def test_other_errors_are_left_alone():
    assert explain(KeyError('x')) is None
    assert explain(ValueError('FCNHed is not in the mmseg::model registry')) is None
