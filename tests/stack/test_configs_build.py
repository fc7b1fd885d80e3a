"""Every config of the project loads, names only known parts, and builds."""

import ast
from pathlib import Path
from typing import Any, Iterator, List

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.registry import (  # noqa: E402
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    OPTIM_WRAPPERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    DefaultScope,
    Registry,
)

from segaware_mm.datasets.class_names import class_list  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
CONFIGS = sorted(
    path.relative_to(REPO) for path in (REPO / 'configs').rglob('*.py')
    if '_base_' not in path.parts)
BASES = sorted(
    path.relative_to(REPO) for path in (REPO / 'configs').rglob('*.py'))

pytestmark = pytest.mark.stack


@pytest.fixture
def config(path: Path) -> Iterator[Config]:
    """Load a config and enter its scope."""
    loaded = Config.fromfile(str(REPO / path))
    with DefaultScope.overwrite_default_scope(loaded.get('default_scope', 'mmengine')):
        yield loaded


def strip_weights(node: Any) -> None:
    """Remove what would be loaded or downloaded when a model is built."""
    if isinstance(node, dict):
        if (node.get('init_cfg') or {}) and isinstance(node['init_cfg'], dict):
            if node['init_cfg'].get('type') == 'Pretrained':
                node['init_cfg'] = None
        if 'pretrained' in node:
            node['pretrained'] = None
        for value in node.values():
            strip_weights(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            strip_weights(value)


def build(model: dict) -> torch.nn.Module:
    """Build a model; without memory for its weights where its parts allow it."""
    strip_weights(model)
    try:
        with torch.device('meta'):
            return MODELS.build(model)
    except (NotImplementedError, RuntimeError):
        return MODELS.build(model)


def find(registry: Registry, name: str) -> Any:
    """Return a part by its name, as the Runner would in the current scope."""
    with registry.switch_scope_and_registry(None) as scoped:
        return scoped.get(name)


def datasets(dataset: dict) -> List[dict]:
    """Return a dataset, a wrapper before what it wraps."""
    inner = dataset.get('dataset', dataset.get('datasets'))
    if inner is None:
        return [dataset]
    inner = inner if isinstance(inner, (list, tuple)) else [inner]
    return [dataset, *(one for part in inner for one in datasets(part))]


def classes(dataset: dict) -> Any:
    """Return the class names of a dataset, which a wrapper may have chosen."""
    for one in datasets(dataset):
        if 'classes' in one:
            return class_list(one['classes']).names
        meta = one.get('metainfo') or getattr(find(DATASETS, one['type']), 'METAINFO', {})
        if 'classes' in meta:
            return meta['classes']
    return None


def test_configs_are_found():
    assert len(CONFIGS) >= 4


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_model_builds(config: Config):
    model = build(config.model)
    assert sum(weight.numel() for weight in model.parameters()) > 0
    assert hasattr(model, 'data_preprocessor')


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_config_registers_the_project_and_names_its_scope(config: Config):
    assert config.default_scope in ('mmseg', 'mmdet')
    assert 'segaware_mm' in config.custom_imports['imports']
    assert config.custom_imports['allow_failed_imports'] is False


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_every_named_part_is_registered(config: Config):
    wanted = [(LOOPS, config[key]) for key in ('train_cfg', 'val_cfg', 'test_cfg')
              if (config.get(key) or {}).get('type')]
    wanted += [(HOOKS, hook) for hook in (config.get('default_hooks') or {}).values()]
    wanted += [(HOOKS, hook) for hook in config.get('custom_hooks') or []]
    schedulers = config.get('param_scheduler') or []
    wanted += [(PARAM_SCHEDULERS, one) for one in (
        schedulers if isinstance(schedulers, list) else [schedulers])]
    if config.get('optim_wrapper'):
        wanted.append((OPTIM_WRAPPERS, dict(
            type=config.optim_wrapper.get('type', 'OptimWrapper'))))
    for split in ('train', 'val', 'test'):
        loader = config.get(f'{split}_dataloader')
        if loader:
            wanted.append((DATA_SAMPLERS, loader['sampler']))
            parts = datasets(loader['dataset'])
            wanted += [(DATASETS, part) for part in parts]
            wanted += [(TRANSFORMS, step) for part in parts
                       for step in part.get('pipeline', [])]
        metrics = config.get(f'{split}_evaluator') or []
        wanted += [(METRICS, one) for one in (
            metrics if isinstance(metrics, list) else [metrics])]
    assert wanted
    unknown = [part['type'] for registry, part in wanted
               if isinstance(part.get('type'), str)
               and find(registry, part['type']) is None]
    assert unknown == []


def heads(node: Any) -> Iterator[dict]:
    """Yield the parts of a model that name a number of classes."""
    if isinstance(node, dict):
        if 'num_classes' in node:
            yield node
        for value in node.values():
            yield from heads(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from heads(value)


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_heads_have_the_classes_of_the_dataset(config: Config):
    names = classes(config.train_dataloader['dataset'])
    if names is None:
        # Flow: a head that counts classes would count nothing.
        assert list(heads(config.model)) == []
        return
    wanted = len(names)
    found = {head['type']: head['num_classes'] for head in heads(config.model)
             if 'type' in head}
    # An embedding alone has no classes.
    head = config.model.get('decode_head')
    assert found or head.type == 'EmbeddingHead'
    assert set(found.values()) <= {wanted}, f'{wanted} classes'


@pytest.mark.parametrize('path', BASES, ids=str)
def test_config_opens_with_what_it_is_and_inherits_from_the_project_alone(path: Path):
    text = (REPO / path).read_text()
    assert ast.get_docstring(ast.parse(text)), f'{path} has no first line'
    assert '::' not in text.split('"""', 2)[2], f'{path} needs another package'
