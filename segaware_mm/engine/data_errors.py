"""Errors of a data pipeline name the file; an empty split is found at once.

Upstream's loaders raise what the image library raises ('image file is
truncated'), without the file, from inside a worker process.
"""

import os
import os.path as osp
from typing import Any, List, Optional

from mmengine.dataset import Compose
from mmengine.registry import DATASETS

from .config_nodes import leaf_datasets
from .errors import DataError


class NamingPipeline(Compose):
    """A pipeline whose errors name image, label and transform.

    It also compares the size of a label with that of its image when the
    label has just been loaded.

    Args:
        pipeline (Compose): The built pipeline; its transforms are shared.
    """

    def __init__(self, pipeline: Compose) -> None:
        super().__init__(None)
        self.transforms = pipeline.transforms

    def __call__(self, data: dict) -> Optional[dict]:
        """Run the transforms.

        Args:
            data (dict): One entry of a dataset's list.

        Returns:
            dict or None: As the last transform returns it.

        Raises:
            DataError: Names the files, the transform and the cause.
        """
        image, label = data.get('img_path'), data.get('seg_map_path')
        sized = False
        for transform in self.transforms:
            try:
                data = transform(data)
            except DataError:
                raise
            except Exception as error:
                raise DataError(_explain(error, transform, image, label)) from error
            if data is None:
                return None
            if not sized and isinstance(data, dict) and 'gt_seg_map' in data:
                sized = True
                _check_size(data, image, label)
        return data


def _explain(error: Exception, transform: Any, image: Optional[str],
             label: Optional[str]) -> str:
    """Return the message for an error of one transform."""
    name = type(transform).__name__
    lines = [f'{name} failed: {type(error).__name__}: {error}']
    bad = None
    for kind, path in (('image', image), ('label', label)):
        if not isinstance(path, str):
            continue
        state = file_state(path)
        lines.append(f'  {kind}: {path}' + (f'   <- {state}' if state else ''))
        bad = bad or (kind, path, state) if state else bad
    if bad and bad[2] == 'does not exist':
        lines.append(_absent_hint(bad[0], bad[1]))
    elif bad:
        lines.append(f'Copy or write the {bad[0]} again, or take it out of '
                     'the split.')
    return '\n'.join(lines)


def file_state(path: str) -> str:
    """Return what is wrong with an image file, '' where it is whole.

    Args:
        path (str): A local file; other paths pass.
    """
    from PIL import Image
    if '://' in path:
        return ''
    if not osp.isfile(path):
        return 'does not exist'
    if osp.getsize(path) == 0:
        return 'is empty (0 bytes)'
    try:
        with Image.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        cut = 'truncated' in str(error)
        return ('is cut short (truncated)' if cut else 'is not readable') + (
            f' ({osp.getsize(path)} bytes): {error}')
    return ''


def _absent_hint(kind: str, path: str) -> str:
    """Say what lies in the folder where a file was wanted."""
    folder = osp.dirname(path)
    if not osp.isdir(folder):
        return f'The folder {folder} does not exist either: data_prefix?'
    there = sorted(os.listdir(folder))[:3]
    option = 'seg_map_suffix' if kind == 'label' else 'img_suffix'
    return (f'Its folder holds {", ".join(there) or "nothing"}, ...: is '
            f'{option} of the dataset right?')


def _check_size(data: dict, image: Optional[str], label: Optional[str]) -> None:
    """Compare a label with its image, right after the label was loaded."""
    wanted, got = data.get('ori_shape'), data['gt_seg_map'].shape[:2]
    if wanted is None or tuple(wanted[:2]) == tuple(got):
        return
    raise DataError(
        'a label has another size than its image.\n'
        f'  image: {image}   {wanted[1]} x {wanted[0]} (width x height)\n'
        f'  label: {label}   {got[1]} x {got[0]}\n'
        'Do they belong together? A label of another size is to be resized '
        'with nearest neighbour, or written anew.')


def name_files(dataset: Any) -> None:
    """Let the pipelines of a built dataset name the file in their errors."""
    for _, leaf in leaf_datasets(dataset):
        pipeline = getattr(leaf, 'pipeline', None)
        if type(pipeline) is Compose:
            leaf.pipeline = NamingPipeline(pipeline)


def check_not_empty(dataset: Any, key: str) -> None:
    """Check that a built dataset has images.

    mmengine's samplers loop for ever, or divide by zero, on an empty one.

    Args:
        dataset: A built dataset.
        key (str): Config key, for the message.

    Raises:
        DataError: Says where was looked for what, and what lies there.
    """
    for _, leaf in leaf_datasets(dataset):
        if hasattr(leaf, '__len__') and len(leaf) == 0:
            raise DataError(_empty(leaf, key))


def find_empty(node: Any, key: str) -> None:
    """Find the empty dataset in the config of one that cannot be built.

    Args:
        node (dict or list): Config of the dataset.
        key (str): Its config key.

    Raises:
        DataError: As :func:`check_not_empty`; nothing where none is empty.
    """
    for name, leaf in leaf_datasets(node, key):
        check_not_empty(DATASETS.build({**leaf, 'serialize_data': False}), name)


def _empty(dataset: Any, key: str) -> str:
    """Return the message for a dataset without images."""
    lines = [f'{key}: the dataset {type(dataset).__name__} has no images.']
    ann = getattr(dataset, 'ann_file', '')
    prefix = getattr(dataset, 'data_prefix', None) or {}
    folder = prefix.get('img_path') or prefix.get('img') or ''
    suffix = getattr(dataset, 'img_suffix', None)
    if ann:
        lines.append(f'  list of images: {osp.abspath(ann)}: no entry, or '
                     'filter_cfg left none')
    if folder:
        lines.append(f'  image folder:   {osp.abspath(folder)}')
    if folder and suffix and not ann:
        lines.append(f'  img_suffix:     {suffix!r}; {_suffixes(folder)}')
    lines.append('Point the split at its images: data_root, data_prefix, '
                 'ann_file, img_suffix of the dataset.')
    return '\n'.join(lines)


def _suffixes(folder: str) -> str:
    """Say which kinds of files lie in a folder."""
    counts: dict = {}
    for _, _, names in os.walk(folder):
        for name in names:
            suffix = osp.splitext(name)[1]
            counts[suffix] = counts.get(suffix, 0) + 1
    shown: List[str] = [f"{n} of '{s}'" for s, n in sorted(
        counts.items(), key=lambda item: -item[1])[:4]]
    return f'the folder holds {", ".join(shown) or "no file"}'
