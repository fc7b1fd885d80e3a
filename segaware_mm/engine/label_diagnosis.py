"""What is probably wrong with a label, told from its values.

Pure functions on histograms ``{value: pixels}``; no model, no runner.
"""

import os.path as osp
from typing import Dict, List, Optional, Sequence, Set

import numpy as np
from PIL import Image

Histogram = Dict[int, int]


def histogram_of(label: np.ndarray) -> Histogram:
    """Return ``{value: number of pixels}`` of an integer array."""
    values, counts = np.unique(label, return_counts=True)
    return {int(v): int(c) for v, c in zip(values, counts)}


def outside(histogram: Histogram, num_classes: int,
            ignore_index: Optional[int]) -> List[int]:
    """Return the values that are neither a class nor ignored, sorted."""
    return sorted(v for v in histogram
                  if not 0 <= v < num_classes and v != ignore_index)


def is_mask_255(values: Sequence[int]) -> bool:
    """Say whether a label holds nothing but 0 and 255."""
    return set(values) == {0, 255}


def likely_cause(histogram: Histogram,
                 num_classes: int,
                 ignore_index: int = 255,
                 path: str = '',
                 dataset_classes: Optional[int] = None,
                 reduce_zero_label: bool = False) -> str:
    """Return the most likely cause of values outside the classes.

    Args:
        histogram (dict): Values of one label, as training sees them.
        num_classes (int): Classes of the model.
        ignore_index (int): The value that the loss leaves out.
        path (str): The label's file; its name can tell.
        dataset_classes (int, optional): Classes of the dataset's metainfo.
        reduce_zero_label (bool): Whether the dataset counts down by one.

    Returns:
        str: The cause and what to change.
    """
    seen = sorted(v for v in histogram if v != ignore_index)
    bad = outside(histogram, num_classes, ignore_index)
    top = max(seen, default=0)
    name = osp.basename(path).lower()
    if bad == [255]:
        text = (f'255 is in the labels and the loss ignores {ignore_index}. '
                'Set ignore_index=255 in the heads and the dataset')
        return text + (', or map 255 to 1 where it is the foreground of a '
                       '0/255 mask.' if is_mask_255(seen) else '.')
    if min(seen, default=0) < 0:
        return ('negative values: a label of a signed type, or one reduced '
                'by one twice. Map "no class" to '
                f'{ignore_index} (the ignored value).')
    if name.endswith(('.jpg', '.jpeg')):
        return ('the label is a JPEG: its compression changes values. Write '
                'labels as PNG.')
    if 'labelids' in name:
        return ('the file holds Cityscapes\' labelIds (0..33), not trainIds. '
                'Set seg_map_suffix=\'_gtFine_labelTrainIds.png\' and write '
                'those files with upstream\'s cityscapes converter.')
    if dataset_classes is not None and dataset_classes > num_classes and \
            top < dataset_classes:
        return (f'the dataset has {dataset_classes} classes and the model '
                f'{num_classes}. Set num_classes={dataset_classes} in '
                'decode_head and auxiliary_head.')
    if top == num_classes and not reduce_zero_label:
        if min(seen) >= 1:
            return (f'the labels count from 1 to {num_classes}. Set '
                    'reduce_zero_label=True in the dataset: 1..'
                    f'{num_classes} become 0..{num_classes - 1}, and 0 is '
                    'ignored.')
        return (f'the labels hold 0..{num_classes}, one value too many. If 0 '
                'means "no class", set reduce_zero_label=True in the dataset; '
                f'if it is a class, set num_classes={num_classes + 1} in the '
                'heads.')
    if len(bad) > 20:
        return ('very many values: an instance map, grey levels or a picture '
                'instead of a map of classes. Is seg_map_path the right '
                'folder?')
    if len(bad) >= 2 and len(seen) <= top / 4:
        return ('few values far apart: colours or grey levels instead of '
                'class numbers. Convert the labels to 0..'
                f'{num_classes - 1}.')
    return ('another list of classes than the model\'s. Compare the classes '
            'of the dataset (metainfo) with num_classes of the heads, and the '
            'label files with both.')


def raw_values(path: str) -> Optional[Set[int]]:
    """Return the values of a label file, or None where it cannot be read."""
    try:
        with Image.open(path) as image:
            return set(np.unique(np.asarray(image)).tolist())
    except (OSError, ValueError):
        return None


def describe_file(path: str) -> str:
    """Return one line on a label file as it lies on the disk, '' if absent."""
    if not path or not osp.isfile(path):
        return ''
    try:
        with Image.open(path) as image:
            mode, (width, height) = image.mode, image.size
            values = np.unique(np.asarray(image))
    except (OSError, ValueError) as error:
        return f'the file on the disk: not readable ({error})'
    shown = ', '.join(str(v) for v in values[:12])
    more = f', ... {values[-1]}' if len(values) > 12 else ''
    text = f'the file on the disk: {width}x{height}, mode {mode}, values {shown}{more}'
    if mode in ('RGB', 'RGBA', 'CMYK'):
        text += (f'\n  It is a colour picture ({mode}); a label is one channel '
                 'of class numbers.')
    return text


def show_histogram(histogram: Histogram, limit: int = 24) -> str:
    """Return the histogram as lines ``value: pixels (share)``."""
    total = max(sum(histogram.values()), 1)
    lines = [f'    {value:>5}: {count:>9} pixels  {100 * count / total:5.1f} %'
             for value, count in sorted(histogram.items())]
    if len(lines) > limit:
        rest = len(lines) - limit
        lines = lines[:limit] + [f'    ... and {rest} more values']
    return '\n'.join(lines)
