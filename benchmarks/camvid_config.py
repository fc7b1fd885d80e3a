"""What the config of a row says now: how long it trains, and a hash of it."""

import hashlib
import json
import os
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Sequence

#: Names the data's folder in the configs; another folder is no other config.
DATA = 'SEGAWARE_MM_DATA'


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Take a variable out of the environment."""
    value = os.environ.pop(name, None)
    try:
        yield
    finally:
        if value is not None:
            os.environ[name] = value


def config_facts(path: str, options: Sequence[str]) -> Dict[str, Any]:
    """Return ``iterations`` and ``config_hash``.

    The hash is that of the config with its bases, without the options, which
    are kept beside it. Comments and the place of the data do not count.

    Args:
        path: Of the config.
        options: ``KEY=VALUE``, as of ``--cfg-options``.
    """
    from mmengine.config import Config
    with _without(DATA):
        cfg = Config.fromfile(path, import_custom_modules=False)
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    given = dict(option.split('=', 1) for option in options)
    return dict(
        iterations=int(given.get('train_cfg.max_iters')
                       or cfg.train_cfg.max_iters),
        config_hash=hashlib.sha256(text.encode()).hexdigest()[:16])
