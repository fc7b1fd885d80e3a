"""Instances of SBD, or of VOC itself, as an mmdetection data set.

The data of SDS, Hypercolumns and MNC: all 11355 images of SBD, 5623 of which VOC 2012
lists to train (``ImageSets/Main/train.txt``) and 5732 to validate. That is neither
SBD's own split (8498 and 2857) nor the 10582 images of "train_aug".
"""

import functools
import os.path as osp
from typing import Any, Dict, List, Optional

from mmdet.datasets import BaseDetDataset, VOCDataset
from mmdet.registry import DATASETS
from mmengine.dist import is_main_process
from mmengine.fileio import exists, get, get_local_path, get_text
from PIL import Image

from ..engine.errors import DataError
from ..utils.rle import encode_mask
from .sbd_cache import fingerprint, load_cache, save_cache
from .sbd_files import Entry, Layout, parse_list, read_instances

#: Classes of VOC in the order of their numbers, 1 to 20.
VOC_CLASSES = VOCDataset.METAINFO['classes']
#: Folders below the root and the suffix of annotations.
LAYOUTS = {
    'sbd': (dict(img_path='img', inst_path='inst', cls_path='cls'), '.mat'),
    'voc': (dict(img_path='JPEGImages', inst_path='SegmentationObject',
                 cls_path='SegmentationClass'), '.png'),
}
#: From so many images on, progress is shown.
MANY = 500
PROTOCOL = (
    'The protocol of SDS has 5623 images to train and 5732 to validate: those of SBD '
    "that VOC 2012's ImageSets/Main/train.txt and val.txt list; docs/data.md says how to "
    'make both lists.')


@DATASETS.register_module()
class SBDInstanceDataset(BaseDetDataset):
    """Instance masks of SBD (``.mat``) or VOC (PNG), 20 classes.

    Every entry has ``instances`` with ``bbox`` (tight; right and bottom exclusive),
    ``bbox_label``, ``mask`` (RLE) and ``ignore_flag`` 0, so upstream's
    ``LoadAnnotations(with_bbox=True, with_mask=True)`` reads it. Files are read one at a
    time and kept as run lengths: some MB for all of SBD. 255 is void and belongs to no
    instance; numbers without a pixel are dropped. An image without instances stays,
    unless ``filter_cfg=dict(filter_empty_gt=True)`` drops it from a training.

    ::

        layout='sbd':  ROOT/{img/ID.jpg, inst/ID.mat, cls/ID.mat}
        layout='voc':  ROOT/{JPEGImages/ID.jpg, SegmentationObject/ID.png,
                             SegmentationClass/ID.png}

    Args:
        ann_file (str): A list: an image id a line, or the paths of image and instances,
            relative to ``data_root``; their suffix says what the file is. Mind that
            ``train.txt`` and ``val.txt`` in SBD's archive are its own split.
        data_root (str): Root folder.
        data_prefix (dict): Folders ``img_path``, ``inst_path``, ``cls_path`` that differ
            from the layout's. ``cls_path`` is read for PNG alone, or where a ``.mat``
            has no Categories.
        layout (str): 'sbd' or 'voc'.
        img_suffix (str): Suffix of images.
        cache_file (str, optional): Where to keep what was read, a JSON file; it is
            written anew when a file has changed. For local files.
        filter_cfg (dict, optional): ``filter_empty_gt``, and ``min_size`` of an image's
            short side; neither counts in ``test_mode``.
        metainfo (dict, optional): ``classes``, some of VOC's: others are left out.
        **kwargs: As in mmdet's ``BaseDetDataset``.

    Raises:
        DataError: A file that is absent, damaged, of another size than its image, or
            holds classes that VOC has not. The text names it and says how to mend it.
    """

    METAINFO = dict(VOCDataset.METAINFO)

    def __init__(self,
                 ann_file: str = '',
                 data_root: Optional[str] = '',
                 data_prefix: Optional[Dict[str, str]] = None,
                 layout: str = 'sbd',
                 img_suffix: str = '.jpg',
                 cache_file: Optional[str] = None,
                 **kwargs: Any) -> None:
        if layout not in LAYOUTS:
            raise ValueError(f"layout must be 'sbd' or 'voc', got {layout!r}.")
        folders, self.ann_suffix = LAYOUTS[layout]
        unknown = set(data_prefix or ()) - set(folders)
        if unknown:
            raise ValueError(f'data_prefix has {sorted(unknown)}; its keys are '
                             f'{sorted(folders)}.')
        self.layout = layout
        self.img_suffix = img_suffix
        self.cache_file = cache_file
        super().__init__(ann_file=ann_file, data_root=data_root,
                         data_prefix={**folders, **(data_prefix or {})}, **kwargs)

    def load_data_list(self) -> List[dict]:
        """Read the list and every annotation.

        Returns:
            list[dict]: One entry an image.
        """
        classes = self.metainfo['classes']
        wrong = sorted(set(classes) - set(VOC_CLASSES))
        if wrong:
            raise DataError(f'SBDInstanceDataset has no classes {wrong}; those of VOC '
                            f'are {", ".join(VOC_CLASSES)}.')
        self.cat2label = {name: label for label, name in enumerate(classes)}
        entries = self._entries()
        local = (self.backend_args or {}).get('backend', 'local') == 'local'
        if not self.cache_file or not local:
            return self._read_all(entries)
        path = osp.join(self.data_root or '', self.cache_file)
        key = fingerprint((name for entry in entries for name in entry[1:4]),
                          [list(map(list, entries)), list(classes)])
        data_list = load_cache(path, key)
        if data_list is None:
            data_list = self._read_all(entries)
            if is_main_process():
                save_cache(path, key, data_list)
        return data_list

    def _entries(self) -> List[Entry]:
        """Return the images of the list."""
        if not self.ann_file:
            raise DataError('SBDInstanceDataset needs a list of images, ann_file. '
                            + PROTOCOL)
        if not exists(self.ann_file, backend_args=self.backend_args):
            raise DataError(
                f'the list of images {self.ann_file} does not exist. Set data_root and '
                f'ann_file. {PROTOCOL}')
        text = get_text(self.ann_file, backend_args=self.backend_args)
        return parse_list(text, Layout(self.data_root or '', **self.data_prefix,
                                       img_suffix=self.img_suffix,
                                       ann_suffix=self.ann_suffix), self.ann_file)

    def _read_all(self, entries: List[Entry]) -> List[dict]:
        """Read all annotations, showing progress where there are many."""
        from ..utils.progress import progress_bar
        hidden = len(entries) < MANY or not is_main_process()
        with progress_bar(desc=f'reading {osp.basename(self.ann_file)}', unit='image',
                          total=len(entries), disable=hidden) as bar:
            data_list = []
            for entry in entries:
                data_list.append(self.parse_data_info(entry))
                bar.update()
        return data_list

    def parse_data_info(self, raw_data_info: Entry) -> dict:
        """Read one image's size and instances.

        Args:
            raw_data_info (Entry): A line of the list.

        Returns:
            dict: ``img_id``, ``img_path``, ``inst_path``, ``height``, ``width``,
            ``instances``.
        """
        entry = raw_data_info
        for kind, key, path in (('image', 'img_path', entry.img_path),
                                ('annotation', 'inst_path', entry.inst_path)):
            if not exists(path, backend_args=self.backend_args):
                raise DataError(self._absent(kind, key, path, entry))
        width, height = self._image_size(entry.img_path)
        objects, owners = read_instances(
            entry.inst_path, entry.cls_path,
            functools.partial(get, backend_args=self.backend_args))
        if objects.shape != (height, width):
            raise DataError(
                'an annotation has another size than its image.\n'
                f'  image:      {entry.img_path}   {width} x {height} (width x height)\n'
                f'  annotation: {entry.inst_path}   {objects.shape[1]} x '
                f'{objects.shape[0]}\n'
                'Do they belong together? Copy both again from one source.')
        instances = []
        for number, voc in owners.items():
            if not 1 <= voc <= len(VOC_CLASSES):
                raise DataError(
                    f'the instance {number} of {entry.inst_path} has the class {voc}; '
                    f"VOC's are 1 ({VOC_CLASSES[0]}) to {len(VOC_CLASSES)} "
                    f'({VOC_CLASSES[-1]}), 0 background, 255 void.')
            label = self.cat2label.get(VOC_CLASSES[voc - 1])
            if label is not None:
                instances.append(_instance(objects == number, label))
        return dict(img_id=entry.img_id, img_path=entry.img_path,
                    inst_path=entry.inst_path, height=height, width=width,
                    instances=instances)

    def _image_size(self, path: str) -> Any:
        """Return width and height from the head of an image file."""
        try:
            with get_local_path(path, backend_args=self.backend_args) as local, \
                    Image.open(local) as picture:
                return picture.size
        except (OSError, SyntaxError, ValueError) as error:
            raise DataError(f'{path} is not readable as an image: {error}. Copy it '
                            'again, or take it out of the list.') from error

    def _absent(self, kind: str, key: str, path: str, entry: Entry) -> str:
        """Return the message for a file that is not there."""
        suffix = 'img_suffix' if kind == 'image' else 'layout'
        value = self.img_suffix if kind == 'image' else self.layout
        return (
            f'the {kind} of {entry.img_id} (line {entry.line} of {self.ann_file}) is '
            f'absent: {path}\n'
            f'Its folder {osp.dirname(path)} '
            f'{"is there" if osp.isdir(osp.dirname(path)) else "does not exist either"}. '
            f'Set data_root, or data_prefix=dict({key}=FOLDER); {suffix}={value!r} says '
            'how files are named. Or take the line out of the list.')

    def filter_data(self) -> List[dict]:
        """Drop images as ``filter_cfg`` says; none in ``test_mode``."""
        if self.test_mode or not self.filter_cfg:
            return self.data_list
        empty_too = not self.filter_cfg.get('filter_empty_gt', False)
        least = self.filter_cfg.get('min_size', 0)
        return [info for info in self.data_list
                if (empty_too or info['instances'])
                and min(info['width'], info['height']) >= least]


def _instance(mask: Any, label: int) -> dict:
    """Return an instance's entry; its mask is not empty."""
    from pycocotools import mask as coco
    rle = encode_mask(mask)
    x, y, w, h = coco.toBbox(rle).tolist()
    # LoadAnnotations ignores counts that are bytes.
    return dict(bbox=[x, y, x + w, y + h], bbox_label=label, ignore_flag=0,
                mask=dict(size=list(map(int, rle['size'])),
                          counts=rle['counts'].decode()))
