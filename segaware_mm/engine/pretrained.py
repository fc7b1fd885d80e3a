"""Weights that a config starts from: local files are there, or a message.

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

from .errors import CheckpointError

_REMOTE = re.compile(r'^[\w.+-]+:(\w+:)?//')


def is_remote(path: str) -> bool:
    """Say whether ``path`` has a scheme such as 'https://'."""
    return bool(_REMOTE.match(path))


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
            if node.get('type') in ('Pretrained', 'PretrainedInit') and \
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
