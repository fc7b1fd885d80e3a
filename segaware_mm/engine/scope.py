"""Is the toolbox of a config here, and does it know the model?"""

from importlib import import_module
from importlib.util import find_spec
from typing import Optional

from mmengine.config import Config
from mmengine.registry import MODELS

from .errors import ConfigError
from .explain import TOOLBOXES, not_registered

#: Package to install for a scope: the default stack, and the forks.
PACKAGES = {
    'mmseg': 'mmsegmentation (or onedl-mmsegmentation)',
    'mmdet': 'mmdet (or onedl-mmdetection)',
}


def check_scope(cfg: Config) -> None:
    """Check that the config's toolbox can be imported and knows the model.

    Args:
        cfg (Config): A config; ``default_scope`` may be absent.

    Raises:
        ConfigError: Names the toolbox or the type, and what to write.
    """
    scope = cfg.get('default_scope') or 'mmengine'
    reason = _import_failure(scope)
    if reason:
        raise ConfigError(
            f"the config has default_scope='{scope}', and {reason}\n"
            f'Install {PACKAGES.get(scope, scope)}, or take a config of a '
            'toolbox that is here. `python -m segaware_mm.doctor` prints what '
            'is installed.')
    kind = cfg.model.get('type')
    if not isinstance(kind, str) or _knows(scope, kind):
        return
    for other in TOOLBOXES:
        if other != scope and _import_failure(other) is None:
            _knows(other, kind)  # registers the other toolbox's models
    hint = '' if cfg.get('default_scope') else (
        '\nThe config has no default_scope: add default_scope=\'mmseg\' or '
        '\'mmdet\'.')
    raise ConfigError('model: ' + not_registered(kind, scope, 'model') + hint)


def _import_failure(scope: str) -> Optional[str]:
    """Return why ``scope`` cannot be imported, or None where it can."""
    try:
        if find_spec(scope) is None:
            return f'the package {scope} is not installed.'
        import_module(scope)
        import_module(f'{scope}.registry')
    except (ImportError, AssertionError) as error:
        return (f'the package {scope} cannot be imported: '
                f'{type(error).__name__}: {error}.')
    return None


def _knows(scope: str, kind: str) -> bool:
    """Say whether ``scope`` has a model of this type; import its models."""
    models = MODELS if scope == 'mmengine' else import_module(
        f'{scope}.registry').MODELS
    return models.get(kind) is not None
