"""What the nodes of a config are: their types, and the datasets among them."""

from typing import Any, Iterator, List, Tuple


def type_name(node: dict) -> str:
    """Return the name of a config's type, which may be a class (lazy configs)."""
    kind = node.get('type', '')
    return kind if isinstance(kind, str) else getattr(kind, '__name__', str(kind))


def leaf_datasets(node: Any, key: str = '') -> Iterator[Tuple[str, Any]]:
    """Yield ``(key, dataset)`` of the datasets that read files.

    Args:
        node: A dataset, a wrapper of one or more (``ConcatDataset``,
            ``RepeatDataset``, anything with ``dataset`` or ``datasets``), or a
            list of datasets; configs of them or built ones.
        key (str): Config key of ``node``.
    """
    if node is None or isinstance(node, str):
        return
    if isinstance(node, (list, tuple)):
        for index, part in enumerate(node):
            yield from leaf_datasets(part, f'{key}.{index}')
        return
    parts = node if isinstance(node, dict) else getattr(node, '__dict__', {})
    inner = [name for name in ('dataset', 'datasets')
             if not isinstance(parts.get(name), (str, type(None)))]
    for name in inner:
        yield from leaf_datasets(parts[name], f'{key}.{name}')
    if not inner:
        yield key, node


def dataset_chains(node: Any) -> Iterator[List[dict]]:
    """Yield every dataset of a config that reads files, behind its wrappers.

    Args:
        node: As of :func:`leaf_datasets`, configs alone.

    Yields:
        Configs from the outermost wrapper to the dataset that reads files.
    """
    if isinstance(node, (list, tuple)):
        for part in node:
            yield from dataset_chains(part)
        return
    if not isinstance(node, dict):
        return
    inner = [node[name] for name in ('dataset', 'datasets')
             if not isinstance(node.get(name), (str, type(None)))]
    for part in inner:
        for chain in dataset_chains(part):
            yield [node, *chain]
    if not inner:
        yield [node]
