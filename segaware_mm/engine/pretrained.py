"""Weights that a config starts from: local files are there and fit, or a message.

Remote ones (``open-mmlab://``, ``torchvision://``, ``https://``) cannot be
checked beforehand; where their download fails the message says how to train
without them.
"""

import os.path as osp
import re
from contextlib import contextmanager
from typing import Any, Iterator, List, Tuple
from urllib.error import URLError

from mmengine.config import Config
from mmengine.model import BaseModule
from torch import nn

from ..utils.checkpoint import CheckpointFileError, is_remote, load_checkpoint
from .checkpoint_fit import bare_model
from .config_nodes import type_name
from .errors import CheckpointError

#: Names of the initialisation from a file.
TYPES = ('Pretrained', 'PretrainedInit')


def pretrained_weights(cfg: Config) -> Iterator[Tuple[str, str]]:
    """Yield ``(config key, path)`` of all weights that training starts from.

    Args:
        cfg (Config): A config: ``init_cfg`` of type 'Pretrained' anywhere in
            the model, the older key ``pretrained``, and ``load_from``.
    """
    if isinstance(cfg.get('load_from'), str):
        yield 'load_from', cfg.load_from
    stack: List[Tuple[str, Any]] = [('model', cfg.get('model'))]
    while stack:
        key, node = stack.pop()
        if isinstance(node, dict):
            if isinstance(node.get('pretrained'), str):
                yield f'{key}.pretrained', node['pretrained']
            if type_name(node) in TYPES and \
                    isinstance(node.get('checkpoint'), str):
                yield f'{key}.checkpoint', node['checkpoint']
            stack += [(f'{key}.{name}', value) for name, value in node.items()]
        elif isinstance(node, (list, tuple)):
            stack += [(f'{key}.{i}', value) for i, value in enumerate(node)]


def _how_without(key: str) -> str:
    """Return the option that trains without the weights under ``key``."""
    return f'--cfg-options {re.sub("[.]checkpoint$", "", key)}=None'


def missing_weights(cfg: Config) -> str:
    """Return a message on local weights of the model that are absent, or ''.

    Args:
        cfg (Config): A config. ``load_from`` is left to
            :func:`segaware_mm.engine.checkpoints.check_file`.
    """
    lines = []
    for key, path in pretrained_weights(cfg):
        if key == 'load_from' or is_remote(path) or osp.isfile(
                osp.expanduser(path)):
            continue
        lines.append(
            f'  {key} = {path}\n'
            f'    looked for: {osp.abspath(osp.expanduser(path))}\n'
            f'    another file:      --cfg-options {key}=/path/to/weights.pth\n'
            f'    without weights:   {_how_without(key)}')
    return '\n'.join(['weights that the model starts from are not there.',
                      *sorted(lines)]) if lines else ''


def check_readable(cfg: Config) -> None:
    """Check that the local weights of the model can be read.

    Args:
        cfg (Config): A config whose files are there.

    Raises:
        CheckpointError: Names the config key, the file and what is wrong.
    """
    for key, path in pretrained_weights(cfg):
        if key == 'load_from' or is_remote(path):
            continue
        try:
            load_checkpoint(osp.expanduser(path))
        except CheckpointFileError as error:
            raise CheckpointError(f'{key}: {error}\nwithout weights: '
                                  f'{_how_without(key)}') from error


def check_start(model: nn.Module) -> None:
    """Check that local start weights fit at least one weight of their module.

    mmengine loads what matches; from another file the training would start
    at random. Modules that rename weights as they load them are left out.

    Args:
        model (nn.Module): Built, not initialised.

    Raises:
        CheckpointError: Names the module, the file, and weights of both.
    """
    for name, module in bare_model(model).named_modules():
        plans = getattr(module, 'init_cfg', None) or ()
        for plan in [plans] if isinstance(plans, dict) else plans:
            path = plan.get('checkpoint')
            own_way = getattr(type(module), 'init_weights', None)
            if type_name(plan) in TYPES and isinstance(path, str) and \
                    not is_remote(path) and own_way is BaseModule.init_weights:
                _check_shared(name, module, path, plan.get('prefix') or '')


def _check_shared(name: str, module: nn.Module, path: str, prefix: str) -> None:
    """Check that module and file share a weight of equal name and shape."""
    content = load_checkpoint(osp.expanduser(path))
    weights = content.get('state_dict', content) if isinstance(content, dict) else {}
    start = prefix + '.' if prefix and not prefix.endswith('.') else prefix
    given = {re.sub(r'^module\.', '', key): getattr(value, 'shape', None)
             for key, value in weights.items()}
    own = {key: value.shape for key, value in module.state_dict().items()}
    if own and not any(given.get(start + key) == own[key] for key in own):
        raise CheckpointError(
            f'{path} holds no weight of {name or "the model"}.\n'
            f'  wanted: {", ".join(list(own)[:3])}, ...\n'
            f'  found:  {", ".join(map(str, list(weights)[:3])) or "nothing"}, ...\n'
            'Are they weights of another network? Where the names differ by a '
            "prefix: prefix='backbone.' in init_cfg.")


@contextmanager
def named_downloads(cfg: Config) -> Iterator[None]:
    """Turn a failed download inside the block into a message.

    Args:
        cfg (Config): The config whose remote weights are named.

    Raises:
        CheckpointError: Names the remote weights, and how to train without.
    """
    try:
        yield
    except (URLError, TimeoutError, ConnectionError) as error:
        remote = [(k, p) for k, p in pretrained_weights(cfg) if is_remote(p)]
        if not remote:
            raise
        lines = [
            f'  {key} = {path}\n'
            f'    a local file:      --cfg-options {key}=/path/to/weights.pth\n'
            f'    without weights:   {_how_without(key)}'
            for key, path in remote
        ]
        raise CheckpointError(
            f'weights could not be downloaded ({error}).\n' + '\n'.join(lines)
        ) from error
