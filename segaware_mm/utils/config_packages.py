"""Let ``mmseg::path`` and ``mmdet::path`` find the configs of the forks.

mmengine looks a config of another toolbox up through a table from import name
to distribution name. The fork of mmengine kept the original names there, so
``_base_ = ['mmseg::...']`` fails on a pure onedl install, and
``mmengine.hub.get_config('mmseg::...')`` installs the original package over
the files of the fork.

Configs are parsed before their ``custom_imports`` run: the repair reaches
``_base_`` only where segaware_mm was imported first, as tools/ does. The
configs of this project therefore inherit from each other alone.
"""

from importlib import metadata
from typing import Dict

#: Import name -> (original distribution, fork).
FORKS = {
    'mmseg': ('mmsegmentation', 'onedl-mmsegmentation'),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
}


def map_config_packages() -> Dict[str, str]:
    """Name the forks in mmengine's table where only they are installed.

    Returns:
        dict[str, str]: Import name -> distribution of every entry that names
        a fork now. Empty for the original stack, or without mmengine.
    """
    try:
        from mmengine.config.utils import MODULE2PACKAGE
    except ImportError:
        return {}
    mapped = {}
    for module, (original, fork) in FORKS.items():
        if _is_installed(fork) and not _is_installed(original):
            MODULE2PACKAGE[module] = mapped[module] = fork
    return mapped


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
