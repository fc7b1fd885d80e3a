"""Which pairs of image and label a batch has, and their masks.

The unit of TransferNet's training and test is a pair. The data pipeline says in the
metainfo of a sample: ``image_labels``, the ids of the classes in the image;
``condition_label``, the one that was sampled for this item, where one was;
``label_set``, the ids that the data set annotates; ``binary_label``, set where the map
has been turned into the figure of that label already. Ids are 1..N.

Shapes: B images, P pairs, H x W pixels.
"""

from operator import index
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

import torch
from torch import Tensor

from .targets import binary_target, foreign_pixels

WANTED = (
    "'image_labels' (the ids of the classes in the image) is not in the metainfo of "
    '{name}. Add a transform that sets it, such as LoadImageLabels, and its name to '
    'meta_keys of PackSegInputs.')


class Pairs(NamedTuple):
    """Pairs of image and label.

    Attributes:
        images: (P,) int64, rows of the batch, ascending.
        labels: (P,) int64, ids 1..N.
        present: (P,) bool, whether the image has the label.
    """

    images: Tensor
    labels: Tensor
    present: Tensor

    def part(self, start: int, stop: int) -> 'Pairs':
        """Return some of them, in their order."""
        return Pairs(*[one[start:stop] for one in self])

    def of_present(self) -> 'Pairs':
        """Return those whose label is there, in their order."""
        return Pairs(*[one[self.present] for one in self])


def name_of(meta: Mapping[str, Any]) -> str:
    """Return what to call an image in a message."""
    return str(meta.get('img_path') or 'an image (img_path is not in meta_keys)')


def labels_of(meta: Mapping[str, Any], num_labels: int, sampled: bool = True
              ) -> List[int]:
    """Return the label ids of an image.

    Args:
        meta: Of the sample.
        num_labels: N.
        sampled: ``condition_label`` alone, where there is one.

    Raises:
        KeyError: The metainfo has no labels.
        TypeError: A label is no integer.
        ValueError: An id is not in 1..N.
    """
    if sampled and meta.get('condition_label') is not None:
        found = [meta['condition_label']]
    elif meta.get('image_labels') is not None:
        found = meta['image_labels']
    elif sampled and 'condition_label' in meta:
        found = []  # asked for, and the image has none
    else:
        raise KeyError(WANTED.format(name=name_of(meta)))
    try:
        found = [index(one) for one in found]
    except TypeError as error:
        raise TypeError(f'labels of {name_of(meta)} must be ids of classes, got '
                        f'{found!r}; LoadImageLabels(classes=...) turns names into '
                        'ids.') from error
    wrong = [one for one in found if not 1 <= one <= num_labels]
    if wrong:
        raise ValueError(
            f'label {wrong[0]} of {name_of(meta)} is not in 1..{num_labels}, the labels '
            f'of a head with num_classes={num_labels + 1}; 0 is the background, which '
            'is no label.')
    return found


def absent_labels(meta: Mapping[str, Any], num_labels: int, count: int) -> List[int]:
    """Draw labels that the data set annotates and the image has not.

    Args:
        meta: Of the sample; without ``label_set`` all labels are annotated.
        num_labels: N.
        count: How many; fewer where there are fewer.

    Raises:
        KeyError, ValueError: As :func:`labels_of`.
    """
    there = set(labels_of(meta, num_labels, sampled=False))
    known = meta.get('label_set')
    known = range(1, num_labels + 1) if known is None else \
        sorted({int(one) for one in known if 1 <= int(one) <= num_labels})
    absent = [one for one in known if one not in there]
    return [absent[k] for k in torch.randperm(len(absent))[:count].tolist()]


def collect_pairs(metas: Sequence[Mapping[str, Any]], num_labels: int,
                  device: torch.device, num_absent: int = 0) -> Pairs:
    """Return the pairs of a batch of samples; there may be none.

    Args:
        metas: Of the samples.
        num_labels: N.
        device: Where the model is.
        num_absent: Labels that an image has not, drawn for each, by torch's generator.

    Raises:
        KeyError, ValueError: As :func:`labels_of`.
    """
    images, labels, present = [], [], []
    for row, meta in enumerate(metas):
        found = labels_of(meta, num_labels)
        absent = absent_labels(meta, num_labels, num_absent) if num_absent else []
        images += [row] * (len(found) + len(absent))
        labels += found + absent
        present += [True] * len(found) + [False] * len(absent)
    return Pairs(torch.tensor(images, dtype=torch.int64, device=device),
                 torch.tensor(labels, dtype=torch.int64, device=device),
                 torch.tensor(present, dtype=torch.bool, device=device))


def stack_maps(samples: Sequence[Any], ignore_index: int) -> Optional[Tensor]:
    """Return the maps (B, H, W) of samples; those without one are all ignored.

    None where no sample has a map.

    Raises:
        ValueError: The sizes differ.
    """
    maps = [getattr(getattr(sample, 'gt_sem_seg', None), 'data', None)
            for sample in samples]
    there = [one for one in maps if one is not None]
    if not there:
        return None
    empty = torch.full_like(there[0], ignore_index)
    maps = [empty if one is None else one for one in maps]
    sizes = {tuple(one.shape) for one in maps}
    if len(sizes) > 1 or there[0].dim() != 3 or there[0].shape[0] != 1:
        raise ValueError('gt_sem_seg must be (1, H, W) of one size in a batch, got '
                         f'{sorted(sizes)}; crop or pad in the pipeline, or set size in '
                         'the data preprocessor.')
    return torch.cat(maps)


def check_maps(seg: Tensor, metas: Sequence[Mapping[str, Any]], num_labels: int,
               ignore_index: int) -> None:
    """Raise where a map holds what it must not.

    A map of classes may hold the background and, of the ids 1..N, those of
    ``label_set`` where that is known; a map that is binary already 0 and 1.

    Args:
        seg: (B, H, W).
        metas: Of the B samples.
        num_labels: N.
        ignore_index: Id of ignored pixels.

    Raises:
        ValueError: Names image and class.
    """
    tables = [_allowed(meta, num_labels) for meta in metas]
    foreign = torch.stack([
        foreign_pixels(one, table.to(seg.device), ignore_index).any()
        for one, table in zip(seg, tables)])
    if not bool(foreign.any()):  # the one wait for the device
        return
    row = int(foreign.nonzero()[0])
    bad = seg[row][foreign_pixels(seg[row], tables[row].to(seg.device), ignore_index)]
    values = torch.unique(bad).tolist()
    meta = metas[row]
    text = f'the mask of {name_of(meta)} has class {values[0]}'
    if meta.get('binary_label') is not None:
        raise ValueError(f'{text}; binary_label {meta["binary_label"]} says that it is '
                         f'a figure of 0 and 1 (and {ignore_index}) already.')
    if 0 <= values[0] <= num_labels:
        raise ValueError(
            f'{text}, which is not of the label_set of its data set, '
            f'{tuple(int(one) for one in meta["label_set"])}. A class that is not '
            f'annotated there must be 0 or {ignore_index} in its masks.')
    raise ValueError(f'{text}; the head has the classes 0..{num_labels}, and '
                     f'{ignore_index} for pixels without one. Map the ids of the data '
                     'set, or set num_classes.')


def _allowed(meta: Mapping[str, Any], num_labels: int) -> Tensor:
    """Return (N + 1,) bool, the ids that a map may hold."""
    allowed = torch.ones(num_labels + 1, dtype=torch.bool)
    if meta.get('binary_label') is not None:
        allowed[2:] = False
    elif meta.get('label_set') is not None:
        allowed[:] = False
        ids = [int(one) for one in meta['label_set']]
        allowed[[0, *(one for one in ids if 0 <= one <= num_labels)]] = True
    return allowed


def pair_targets(seg: Tensor, pairs: Pairs, metas: Sequence[Mapping[str, Any]],
                 ignore_index: int) -> Tensor:
    """Return the targets (P, H, W) of pairs: 1 figure, 0 ground, or ignored.

    Args:
        seg: (B, H, W).
        pairs: Of the batch, or a part of them.
        metas: Of the B samples.
        ignore_index: Id of ignored pixels.

    Raises:
        ValueError: A map is the figure of another label than the pair's.
    """
    ids = pairs.labels.tolist()
    for k, row in enumerate(pairs.images.tolist()):
        binary = metas[row].get('binary_label')
        if binary is None:
            continue
        if int(binary) != ids[k]:
            raise ValueError(
                f'the mask of {name_of(metas[row])} is the figure of label {binary}, '
                f'the pair has label {ids[k]}; BinaryMaskFromLabel and '
                'SampleConditionLabel must agree on one label.')
        ids[k] = 1
    labels = torch.tensor(ids, dtype=torch.int64, device=seg.device)
    return binary_target(seg.index_select(0, pairs.images), labels, ignore_index)
