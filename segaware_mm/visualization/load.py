"""Load what pictures are made of: a trained model, and an image as it wants it."""

import os.path as osp
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, MODELS, init_default_scope
from torch import Tensor, nn

from ..datasets.image_pipeline import (
    config_chains,
    dataset_class,
    dataset_meta,
    test_pipeline,
    without_truth,
)
from ..engine.checkpoint_fit import CheckpointFitHook
from ..engine.config_file import merge_options, read_config
from ..engine.data_errors import NamingPipeline, file_state
from ..engine.errors import CheckpointError, DataError
from ..engine.prepare import use_plain_batchnorm
from ..engine.scope import check_scope
from ..utils.checkpoint import CheckpointFileError, load_checkpoint
from .colors import class_palette


class Loaded(NamedTuple):
    """A model that is ready to look at images.

    Attributes:
        model: In evaluation mode, on the device.
        cfg: Its config.
        classes: Names of the classes.
        palette: (C, 3) uint8 RGB.
        checkpoint: Path of the weights.
    """
    model: nn.Module
    cfg: Config
    classes: Sequence[str]
    palette: np.ndarray
    checkpoint: str


class Image(NamedTuple):
    """An image, and the form in which the model takes it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, as on the disk.
        inputs: (1, 3, h, w), resized and normalised.
        meta: ``metainfo`` of the sample.
        truth: (H, W) labels, None where the dataset does not know the image, or
            knows its instances alone.
    """
    pixels: np.ndarray
    inputs: Tensor
    meta: Dict[str, Any]
    truth: Optional[np.ndarray]


class _Holder(NamedTuple):
    """What the hook reads of a runner."""
    model: nn.Module
    logger: MMLogger


def load_model(config: str, checkpoint: str,
               options: Optional[Dict[str, Any]] = None) -> Loaded:
    """Build the model of a config and load its weights.

    Args:
        config: Config file.
        checkpoint: File of weights.
        options: As of ``--cfg-options``.

    Raises:
        ConfigError: The config cannot be read or built.
        CheckpointError: The file cannot be read, or belongs to another model.
    """
    cfg = read_config(config)
    merge_options(cfg, options)
    cfg.launcher = 'none'
    use_plain_batchnorm(cfg)
    check_scope(cfg)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    try:
        content = load_checkpoint(osp.expanduser(checkpoint))
    except CheckpointFileError as error:
        raise CheckpointError(str(error)) from error
    model = MODELS.build(cfg.model)
    # The comparison loads what fits, and an error says where that is not all.
    CheckpointFitHook('test', checkpoint).after_load_checkpoint(
        _Holder(model, MMLogger.get_current_instance()), content)
    classes, palette = _class_names(model, cfg, content.get('meta') or {})
    return Loaded(model.to(get_device()).eval(), cfg, classes, palette, checkpoint)


def _class_names(model: nn.Module, cfg: Config,
                 meta: Dict[str, Any]) -> Tuple[List[str], np.ndarray]:
    """Return names and colours: of the checkpoint, else of the dataset."""
    known = dict(meta.get('dataset_meta') or {})
    if not known.get('classes'):
        known = dataset_meta(cfg)
    head = getattr(model, 'decode_head', None)
    if head is None:
        head = getattr(getattr(model, 'roi_head', None), 'bbox_head', None)
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    count = getattr(head, 'num_classes', None) or len(known.get('classes') or ())
    names = [str(name) for name in known.get('classes') or ()]
    names = names[:count] + [f'class {i}' for i in range(len(names), count)]
    return names, class_palette(known.get('palette') or (), count)


def check_image(path: str) -> None:
    """Check that an image is there and whole.

    Raises:
        DataError: Names the file and what is wrong with it.
    """
    if osp.isdir(path):
        raise DataError(f'{path} is a folder; wanted are image files.')
    state = file_state(path)
    if state:
        raise DataError(f'the image {path} {state} (looked for '
                        f'{osp.abspath(path)}).')


def load_image(loaded: Loaded, path: str) -> Image:
    """Load an image through the test pipeline of the config.

    Args:
        loaded: The model.
        path: The image.

    Raises:
        DataError: The image cannot be read or prepared.
    """
    check_image(path)
    steps = test_pipeline(loaded.cfg)
    annotations = [step for step in steps if 'LoadAnnotations' in str(step['type'])]
    steps = without_truth(steps)
    first = NamingPipeline(Compose(steps[:1]))(dict(img_path=path))
    pixels = np.ascontiguousarray(first['img'][..., ::-1])
    sample = NamingPipeline(Compose(steps))(dict(img_path=path))
    with torch.no_grad():
        batch = loaded.model.data_preprocessor(
            dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']]),
            False)
    meta = dict(batch['data_samples'][0].metainfo)
    meta.setdefault('ori_shape', pixels.shape[:2])
    truth = _truth(loaded.cfg, path, annotations[0]) if annotations else None
    if truth is not None and truth.shape != pixels.shape[:2]:
        truth = None
    if truth is not None and meta.get('image_labels') is None:
        # Models that are told the labels of an image: classes but the background.
        present = np.unique(truth)
        meta['image_labels'] = present[(present > 0) & (present < len(loaded.classes))]
    return Image(pixels, batch['inputs'], meta, truth)


def _tells_all(wrapper: dict) -> bool:
    """Return whether a wrapper's maps may stand as the truth of an image."""
    some = wrapper.get('keep') or wrapper.get('exclude')
    return hasattr(dataset_class(wrapper), 'joint_map') and not (
        some and wrapper.get('domain', 'source') == 'source')


def _truth(cfg: Config, path: str, step: dict) -> Optional[np.ndarray]:
    """Return the labels of an image of the config's datasets, else None.

    None too where the dataset has instances: a picture's labels are a class for
    every pixel. Such a dataset is not read; nor is one of which a wrapper lets no
    mask out, or in training those of some classes alone: they are not all that is in
    the image. Ids are those of the wrapper's joint list, where there is one.
    """
    steps = Compose([step])
    # mmdet's loading tells; mmseg's has nothing but class labels.
    if not getattr(steps.transforms[0], 'with_seg', True):
        return None
    place = osp.realpath(path)
    for *wrappers, leaf in config_chains(cfg):
        mapping = [node for node in wrappers[::-1] if node.get('classes')]
        if not all(map(_tells_all, mapping)):
            continue
        root = osp.realpath(leaf.get('data_root') or '.')
        if not place.startswith(root + osp.sep):
            continue
        try:
            dataset = DATASETS.build({**leaf, 'lazy_init': True})
            entries = dataset.load_data_list()
        except (OSError, ValueError, TypeError, AssertionError):
            continue  # that split is not here; the picture goes without
        for entry in entries:
            if entry.get('seg_map_path') and \
                    osp.realpath(entry.get('img_path', '')) == place:
                entry.setdefault('seg_fields', [])
                found = np.asarray(NamingPipeline(steps)(entry)['gt_seg_map'])
                for node in mapping:
                    dataset = DATASETS.build(
                        {**node, 'dataset': dataset, 'lazy_init': True})
                    found = dataset.joint_map(found, path)
                return found.astype(np.int64)
    return None
