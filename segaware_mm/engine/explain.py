"""Messages for errors of the upstream libraries that users meet often."""

import re
from typing import Dict, List, Optional

from mmengine import registry as root

from .near import did_you_mean, near_names

#: Toolboxes that are asked for a type that the config's own scope lacks.
TOOLBOXES = ('mmseg', 'mmdet')

_NOT_REGISTERED = re.compile(r'(\S+) is not in the (\S+)::(.+?) registry')


def explain(error: BaseException) -> Optional[str]:
    """Return a message for ``error``, or None where nothing useful is known.

    Args:
        error (BaseException): An error of mmengine or a toolbox.

    Returns:
        str or None: What is wrong and how to mend it.
    """
    if isinstance(error, KeyError) and error.args:
        found = _NOT_REGISTERED.search(str(error.args[0]))
        if found:
            return not_registered(*found.groups())
    return None


def not_registered(name: str, scope: str, registry: str) -> str:
    """Explain a type that the config's scope does not know.

    Args:
        name (str): The type, as in the config.
        scope (str): The scope that was searched: 'mmseg', 'mmengine'.
        registry (str): Name of the registry: 'model', 'dataset', 'hook'.

    Returns:
        str: The message.
    """
    known = registered_names(registry)
    owners = [s for s, names in known.items() if name in names and s != scope]
    text = f"the type '{name}' is not registered under {scope} ({registry})."
    if owners:
        return (f"{text} It is a part of {owners[0]}: write "
                f"type='{owners[0]}.{name}', or set "
                f"default_scope='{owners[0]}' where the whole config is of "
                'that toolbox.')
    every = [n for names in known.values() for n in names]
    return (f'{text}{did_you_mean(near_names(name, every))} A class of your '
            'own package is known after custom_imports=dict(imports='
            "['the_package'], allow_failed_imports=False) in the config. "
            '`python -m segaware_mm.doctor` says which parts of segaware_mm '
            'could not be registered.')


def registered_names(registry: str) -> Dict[str, List[str]]:
    """Return ``{scope: [name, ...]}`` of all registries of one kind.

    Args:
        registry (str): Name of the registry, as in mmengine: 'model', 'hook'.
    """
    for node in vars(root).values():
        if isinstance(node, root.Registry) and node.name == registry:
            return {
                scope: list(part.module_dict)
                for scope, part in {'mmengine': node, **node.children}.items()
            }
    return {}
