"""Read a config and merge ``--cfg-options``, with errors for people."""

import inspect
import os
import os.path as osp
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from mmengine.config import Config
from mmengine.runner import Runner

from .errors import ConfigError
from .near import did_you_mean, near_names

#: Top-level keys that the runner or these tools read even where the config
#: does not hold them yet.
EXTRA_KEYS = ('activation_checkpointing', 'compile', 'custom_imports',
              'efficient_conv_bn_eval', 'exact_resume',
              'find_unused_parameters', 'label_check', 'model_wrapper_cfg',
              'runner_type', 'sync_bn', 'tta_model', 'tta_pipeline')


def read_config(path: str) -> Config:
    """Read a config file.

    Args:
        path (str): Path of a ``.py``, ``.json`` or ``.yaml`` config.

    Returns:
        Config: The config, its ``custom_imports`` done.

    Raises:
        ConfigError: Where the file is absent (near names are given), cannot
            be read, holds no model, or is written for the 0.x toolboxes.
    """
    if not os.environ.get('SEGAWARE_MM_DATA'):
        # Set and empty is not set, else configs would look in the root folder.
        os.environ.pop('SEGAWARE_MM_DATA', None)
    if not osp.isfile(path):
        what = 'is a folder' if osp.isdir(path) else 'does not exist'
        raise ConfigError(f'the config {path} {what} (looked for '
                          f'{osp.abspath(path)}).{_near_configs(path)}')
    try:
        cfg = Config.fromfile(path)
    except Exception as error:
        raise ConfigError(
            f'the config {path} could not be read.\n  '
            f'{type(error).__name__}: {error}') from error
    if 'model' not in cfg:
        raise ConfigError(
            f'the config {path} has no `model`. Is it a part of a config '
            '(a file of configs/_base_) instead of a whole one?')
    if 'train_dataloader' not in cfg and 'data' in cfg and 'runner' in cfg:
        raise ConfigError(
            f'the config {path} is written for mmseg 0.x / mmdet 2.x (keys '
            '`data`, `runner`). The 1.x / 3.x form has `train_dataloader`, '
            '`train_cfg`, `optim_wrapper`; see the upstream migration guide.')
    return cfg


def _near_configs(path: str) -> str:
    """Return a suggestion of config files whose names resemble ``path``."""
    folders = {Path('configs')}
    parent = Path(path).parent
    # The nearest folder that exists, unless that is far too large to search.
    while not parent.is_dir() and parent != parent.parent:
        parent = parent.parent
    if parent.resolve() not in (Path.cwd(), Path('/'), Path.home()):
        folders.add(parent)
    names: Dict[str, str] = {}
    for folder in folders:
        for found in folder.rglob('*.py'):
            names.setdefault(found.stem, str(found))
    near = near_names(Path(path).stem, names, cutoff=0.5)
    return did_you_mean(names[stem] for stem in near)


def read_keys() -> List[str]:
    """Return the top-level keys that the runner or these tools read."""
    runner = inspect.signature(Runner.__init__).parameters
    return sorted({*runner, *EXTRA_KEYS} - {'self', 'cfg'})


def _unread(cfg: Config, key: str) -> str:
    """Return a remark on an option that changes nothing, or ''."""
    top = key.split('.')[0]
    known = read_keys()
    if top in known or top == 'data_root' and top in cfg:
        return ''
    if top not in cfg:
        return (f'--cfg-options {key}: the config has no key `{top}` and nothing '
                f'reads it.{did_you_mean(near_names(top, [*cfg, *known]))}')
    places = [place for name in known for place in _places(cfg.get(name), name, top)]
    more = ', ...' if len(places) > 3 else ''
    return (f'--cfg-options {key}: `{top}` is a variable of the config file and '
            'nothing reads it any more.'
            + (f' Set {", ".join(places[:3])}{more} instead.' if places else ''))


def _places(node: Any, key: str, name: str) -> Iterator[str]:
    """Yield the keys below ``node`` whose last part is ``name``."""
    parts = node.items() if isinstance(node, dict) else \
        enumerate(node) if isinstance(node, (list, tuple)) else ()
    for part, value in parts:
        if part == name:
            yield f'{key}.{part}'
        yield from _places(value, f'{key}.{part}', name)


def merge_options(cfg: Config, options: Optional[Dict[str, Any]]) -> List[str]:
    """Merge ``--cfg-options`` into ``cfg``.

    A new ``data_root`` is handed down to every dataset that has the old one:
    upstream's configs copy the variable into each dataset while the file is
    read, so that changing the variable alone would change nothing.

    Args:
        cfg (Config): The config, changed in place.
        options (dict, optional): ``{'a.b': value}``.

    Returns:
        list[str]: Remarks for the log.

    Raises:
        ConfigError: Where an option does not fit the structure of the config.
    """
    if not options:
        return []
    notes = [note for note in (_unread(cfg, key) for key in options) if note]
    old_root = cfg.get('data_root')
    try:
        cfg.merge_from_dict(options)
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError,
            ValueError) as error:
        raise ConfigError(
            f'--cfg-options {" ".join(f"{k}={v}" for k, v in options.items())} '
            f'does not fit the config: {error}') from error
    if 'data_root' in options and isinstance(old_root, str):
        changed = _replace_root(cfg, old_root, options['data_root'])
        notes.append(f'data_root={options["data_root"]} was handed down to '
                     f'{", ".join(changed) or "no dataset"}')
    return notes


def _replace_root(cfg: Config, old: str, new: str) -> List[str]:
    """Replace ``data_root=old`` in every dataloader; return the keys changed."""
    changed = []
    stack: List[Tuple[str, Any]] = [
        (key, cfg[key]) for key in cfg
        if key.endswith(('_dataloader', '_evaluator'))
    ]
    while stack:
        key, node = stack.pop()
        if isinstance(node, dict):
            if node.get('data_root') == old:
                node['data_root'] = new
                changed.append(f'{key}.data_root')
            ann = node.get('ann_file')
            if isinstance(ann, str) and ann.startswith(old.rstrip('/') + '/'):
                node['ann_file'] = osp.join(new, ann[len(old.rstrip('/')) + 1:])
                changed.append(f'{key}.ann_file')
            stack += [(f'{key}.{name}', value) for name, value in node.items()]
        elif isinstance(node, (list, tuple)):
            stack += [(f'{key}.{i}', value) for i, value in enumerate(node)]
    return sorted(changed)
