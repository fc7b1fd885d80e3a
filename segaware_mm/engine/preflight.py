"""Are the datasets of a config on the disk? Asked before anything is built.

One message lists everything that is absent, with the config key, the path
looked for, what SEGAWARE_MM_DATA says, and how to get or make the data.
"""

import os.path as osp
from typing import List, NamedTuple, Sequence

from mmengine.config import Config

from ..utils.checkpoint import is_remote
from .config_nodes import leaf_datasets, type_name
from .errors import DataError
from .hints import data_root_line, how_to_get
from .pretrained import check_readable, missing_weights


class Missing(NamedTuple):
    """One thing that is not there.

    Attributes:
        key (str): Config key: 'train_dataloader.dataset.data_root'.
        kind (str): Name of the dataset class.
        what (str): 'folder' or 'file'.
        path (str): As the config says it, joined with the data root.
        root (str): The data root of the dataset.
    """
    key: str
    kind: str
    what: str
    path: str
    root: str


def _is_local(dataset: dict, path: str) -> bool:
    """Say whether a path of this dataset lies on the disk."""
    backend = (dataset.get('backend_args') or {}).get('backend', 'local')
    return backend == 'local' and not is_remote(path)


def missing_parts(key: str, dataset: dict) -> List[Missing]:
    """Return what one dataset needs and has not.

    Args:
        key (str): Config key of the dataset.
        dataset (dict): Its config; only what the config says is checked,
            not the defaults of its class.
    """
    kind = type_name(dataset)
    root = dataset.get('data_root') or ''
    if root and not _is_local(dataset, root):
        return []
    if root and not osp.isdir(osp.expanduser(root)):
        return [Missing(f'{key}.data_root', kind, 'folder', root, root)]
    parts = []
    prefix = dataset.get('data_prefix') or {}
    for name, value in (prefix.items() if isinstance(prefix, dict) else ()):
        if isinstance(value, str):
            path = osp.join(root, value)
            if path and _is_local(dataset, path) and not osp.isdir(path):
                parts.append(Missing(f'{key}.data_prefix.{name}', kind,
                                     'folder', path, root))
    ann = dataset.get('ann_file')
    if isinstance(ann, str) and ann:
        path = osp.join(root, ann)
        if _is_local(dataset, path) and not osp.exists(path):
            parts.append(Missing(f'{key}.ann_file', kind, 'file', path, root))
    return parts


def _evaluator_parts(cfg: Config, split: str) -> List[Missing]:
    """Return the annotation files that a split's metrics want and lack."""
    key = f'{split}_evaluator'
    node = cfg.get(key)
    parts = []
    for metric in node if isinstance(node, (list, tuple)) else [node]:
        ann = metric.get('ann_file') if isinstance(metric, dict) else None
        if isinstance(ann, str) and ann and _is_local(metric, ann) \
                and not osp.isfile(ann):
            parts.append(Missing(f'{key}.ann_file', type_name(metric), 'file',
                                 ann, ''))
    return parts


def find_missing(cfg: Config, splits: Sequence[str]) -> List[Missing]:
    """Return all that the given splits need and lack.

    Args:
        cfg (Config): A config.
        splits (sequence of str): Out of 'train', 'val', 'test'.
    """
    parts: List[Missing] = []
    for split in splits:
        key = f'{split}_dataloader'
        loader = cfg.get(key)
        if not isinstance(loader, dict):
            continue
        for name, dataset in leaf_datasets(loader.get('dataset'), f'{key}.dataset'):
            parts += missing_parts(name, dataset)
        parts += _evaluator_parts(cfg, split)
    return parts


def missing_datasets(cfg: Config, splits: Sequence[str]) -> str:
    """Return a message on what the datasets lack and how to get it, or ''.

    Args:
        cfg (Config): A config.
        splits (sequence of str): Out of 'train', 'val', 'test'.
    """
    parts = find_missing(cfg, splits)
    if not parts:
        return ''
    lines = ['the dataset is not there.']
    for part in parts:
        lines += [f'  {part.key} = {part.path}   ({part.kind})',
                  f'    looked for the {part.what} {osp.abspath(part.path)}']
    lines += [data_root_line(), 'What helps, one of:']
    kinds = {part.kind: part.root or part.path for part in parts}
    for kind, root in kinds.items():
        lines.append(how_to_get(kind, root, _options(cfg, parts, kind)))
    return '\n'.join(lines)


def check_inputs(cfg: Config, splits: Sequence[str], weights: bool) -> None:
    """Check that datasets and start weights are on the disk.

    Args:
        cfg (Config): A config.
        splits (sequence of str): Out of 'train', 'val', 'test'.
        weights (bool): Whether the model's start weights are wanted.

    Raises:
        DataError: One message for everything that is absent.
        CheckpointError: Start weights that cannot be read.
    """
    data = missing_datasets(cfg, splits)
    start = missing_weights(cfg) if weights else ''
    if start and not data:
        start = f'{start}\n{data_root_line()}'
    if data or start:
        raise DataError('\nAnd '.join(text for text in (data, start) if text))
    if weights:
        check_readable(cfg)


def _options(cfg: Config, parts: Sequence[Missing], kind: str) -> List[str]:
    """Return the ``--cfg-options`` that say where a dataset lies instead."""
    mine = [part for part in parts if part.kind == kind]
    if all(part.root and part.root == cfg.get('data_root') for part in mine):
        # merge_options hands the top-level variable down to the datasets.
        return [f'data_root=/path/to/{osp.basename(mine[0].root.rstrip("/"))}']
    return list(dict.fromkeys(
        (part.key.split('.data_prefix.')[0] + '.data_root'
         if '.data_prefix.' in part.key else part.key) + '=/path/to/it'
        for part in mine))
