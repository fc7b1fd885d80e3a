"""Entries of COCO's result files, and what can be wrong with them.

An entry is ``{"image_id": 42, "category_id": 18, "segmentation": {"size": [H, W],
"counts": "..."}}`` and what a target adds. They are looked at one by one: a file has
millions. Flaws of one kind are told once, with their number.
"""

import sys
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from ..utils.rle import Rle, rle_counts
from .images import TestImage
from .problem import SubmissionError

#: What is wrong, in words that stay the same from entry to entry; the words for this
#: entry; how to mend it.
Flaw = Tuple[str, str, str]


class ResultsFormat(NamedTuple):
    """What a server of result files takes.

    Attributes:
        server: Its name, for messages.
        file: Name of the file, with ``{}`` for that of the submission.
        keys: Of an entry.
        optional: Keys that an entry may have too.
        categories: Ids of classes.
        count: Images of the test set, or None.
        every_image: Every image must have an entry.
        check_entry: ``(entry) -> flaws`` beside those of all formats.
        check_images: ``({image id: [(category, RLE), ...]}) -> (what, mend), ...`` about
            all masks of images; None where masks need not be kept for it.
        most: Entries of an image that count, or None.
    """

    server: str
    file: str
    keys: FrozenSet[str]
    optional: FrozenSet[str]
    categories: FrozenSet[int]
    count: Optional[int]
    every_image: bool
    check_entry: Callable[[Dict[str, Any]], Iterator[Flaw]]
    check_images: Optional[Callable[[Dict[int, List[Tuple[int, Rle]]]],
                                    Iterator[Tuple[str, str]]]]
    most: Optional[int]


def coco_id(image: TestImage) -> int:
    """Return COCO's number of an image.

    Raises:
        SubmissionError: It is not known.
    """
    if image.image_id is None:
        raise SubmissionError(
            f'the image {image.name} has no COCO id. Give image_info_test-dev2017.json '
            'as the images, or files that are named by their ids (000000000001.jpg).')
    return image.image_id


class Entries:
    """What is found in the entries of a file so far."""

    def __init__(self, form: ResultsFormat,
                 images: Optional[Sequence[TestImage]]) -> None:
        self.form = form
        self.known = None if images is None else {coco_id(one): one for one in images}
        self.sizes: Dict[int, Tuple[int, int]] = {
            number: (one.height, one.width)
            for number, one in (self.known or {}).items()}
        self.counts: Dict[int, int] = {}
        self.masks: Dict[int, List[Tuple[int, Rle]]] = {}
        self.entries: set = set()
        #: By kind: the words for the first entry that has it, how many have it.
        self.flaws: Dict[Tuple[str, str], List[Any]] = {}

    def add(self, number: int, entry: Any) -> None:
        """Look at an entry."""
        image = entry.get('image_id') if isinstance(entry, dict) else None
        where = f'entry {number}' + (f' (image {image})' if _is_int(image) else '')
        for kind, words, mend in self._flaws(entry):
            flaw = self.flaws.setdefault((kind, mend), [f'{where} {words}', 0])
            flaw[1] += 1

    def problems(self) -> Iterator[Tuple[str, str]]:
        """Yield what is wrong with entries and images, and how to mend it."""
        for (_, mend), (words, count) in self.flaws.items():
            more = f', and so in {count - 1} entries more' if count > 1 else ''
            yield words + more, mend
        most = self.form.most
        many = {one: n for one, n in self.counts.items() if most and n > most}
        if many:
            one = min(many)
            others = f', and so {len(many) - 1} images more' if len(many) > 1 else ''
            yield (f'image {one} has {many[one]} entries, {self.form.server} takes '
                   f'{most} an image{others}', f'keep the {most} of the highest scores')
        if self.form.check_images is not None:
            yield from self.form.check_images(self.masks)

    def whole_file(self) -> Iterator[Tuple[str, str]]:
        """Yield what is missing or too much in a file that was read to its end."""
        if not self.counts and not self.flaws:
            yield 'has no entry', 'predict the test set and pack again'
        elif self.known is None:
            count = self.form.count
            if count is not None and len(self.counts) > count:
                yield (f'has entries of {len(self.counts)} images, the test set has '
                       f'{count}', 'predict the test set and nothing else')
        elif self.form.every_image:
            for one in sorted(set(self.known) - set(self.counts)):
                yield (f'image {one} ({self.known[one].name}) has no entry',
                       'predict this image and pack again')

    def _flaws(self, entry: Any) -> Iterator[Flaw]:
        if not isinstance(entry, dict):
            yield ('type', f'is {_kind(entry)}, not an object',
                   f'write objects of {", ".join(sorted(self.form.keys))}')
            return
        yield from self._key_flaws(entry)
        yield from self.form.check_entry(entry)
        image, category = entry.get('image_id'), entry.get('category_id')
        if 'image_id' in entry:
            yield from self._image_flaws(image)
        if 'category_id' in entry:
            yield from self._category_flaws(category)
        if 'segmentation' in entry:
            flaws = list(self._mask_flaws(image, entry['segmentation']))
            yield from flaws
            if not flaws and _is_int(image) and _is_int(category):
                yield from self._twin(image, category, entry)

    def _key_flaws(self, entry: Dict[str, Any]) -> Iterator[Flaw]:
        form = self.form
        for key in sorted(form.keys - set(entry)):
            yield f'no {key}', f'has no {key}', f'add {key}'
        for key in sorted(set(entry) - form.keys - form.optional):
            why = (': sizes of objects would be those of boxes' if key == 'bbox' else
                   ', which is not in the format')
            yield f'key {key}', f'has the key {key}{why}', f'leave {key} out'

    def _image_flaws(self, image: Any) -> Iterator[Flaw]:
        if not _is_int(image):
            yield ('image type', f'has image_id {_kind(image)}, not an integer',
                   'write the id of COCO as a number')
            return
        self.counts[image] = self.counts.get(image, 0) + 1
        if self.known is not None and image not in self.known:
            yield ('image', 'is of an image that is not in the test set',
                   'take the ids of image_info_test-dev2017.json')

    def _category_flaws(self, category: Any) -> Iterator[Flaw]:
        categories = self.form.categories
        if not _is_int(category):
            yield ('category type', f'has category_id {_kind(category)}, not an integer',
                   'write the id of COCO as a number')
        elif category not in categories:
            yield ('category', f'has category_id {category}, which is none of the '
                   f'{len(categories)} classes ({min(categories)}..{max(categories)})',
                   'write category ids of COCO, not the indices of the model')

    def _mask_flaws(self, image: Any, mask: Any) -> Iterator[Flaw]:
        encode = 'encode masks with pycocotools.mask.encode, counts as text'
        if isinstance(mask, list):
            yield 'polygon', 'has polygons for a mask, not an RLE', encode
            return
        if not isinstance(mask, dict) or set(mask) != {'size', 'counts'}:
            yield 'rle', 'has a mask that is no RLE of size and counts', encode
            return
        size, counts = mask['size'], mask['counts']
        if not (isinstance(size, list) and len(size) == 2 and
                all(_is_int(n) and 0 < n < 2**31 for n in size)):
            yield ('rle size', f'has the size {str(size)[:60]}, not [height, width]',
                   encode)
            return
        if not isinstance(counts, str):
            yield ('rle counts', f'has counts that are {_kind(counts)}, not compressed '
                   'text', encode)
            return
        yield from self._size_flaws(image, tuple(size))
        try:
            runs = rle_counts(counts)
        except ValueError as error:
            yield 'rle text', f'has a broken RLE: it {error}', encode
            return
        if runs.min(initial=0) < 0 or runs.sum() != size[0] * size[1]:
            yield ('rle sum', f'has a broken RLE: its runs have {runs.sum()} pixels, its '
                   f'size {size[0] * size[1]}', encode)
        elif not runs[1::2].any():
            yield 'empty', 'has an empty mask', 'leave empty masks out'

    def _size_flaws(self, image: Any, size: Tuple[int, int]) -> Iterator[Flaw]:
        if not _is_int(image):
            return
        wanted = self.sizes.setdefault(image, size)
        if size == wanted:
            return
        given = self.known is not None and image in self.known
        other = (f'the image {wanted[0]} x {wanted[1]}' if given else
                 f'another of this image {wanted[0]} x {wanted[1]}')
        swapped = size[::-1] == wanted
        yield (f'size {swapped}', f'has a mask of {size[0]} x {size[1]}, {other} '
               '(height x width)', 'write size as [height, width]' if swapped else
               'resize masks to the original image')

    def _twin(self, image: int, category: int, entry: Dict[str, Any]) -> Iterator[Flaw]:
        """Yield a flaw where the same mask was there before; keep it."""
        mask = entry['segmentation']
        mark = hash((image, category, mask['counts'], entry.get('score')))
        if mark in self.entries:
            yield 'twin', 'repeats an entry', 'keep one of them'
        self.entries.add(mark)
        if self.form.check_images is not None:
            self.masks.setdefault(image, []).append((category, mask))


def check_score(entry: Dict[str, Any]) -> Iterator[Flaw]:
    """Yield what is wrong with the score of an entry, where it has one."""
    if 'score' not in entry:
        return
    score = entry['score']
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        yield ('score type', f'has a score that is {_kind(score)}, not a number',
               'write numbers')
    elif not abs(score) <= sys.float_info.max:
        yield ('score', f'has the score {str(score)[:60]}, which is no finite number',
               'write finite numbers; see to the model')


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    """Return the kind of a value of JSON."""
    names = {dict: 'an object', list: 'a list', str: 'text', bool: 'true or false',
             int: 'a number', float: 'a number with a point', type(None): 'null'}
    return names.get(type(value), type(value).__name__)
