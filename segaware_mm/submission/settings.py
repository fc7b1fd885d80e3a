"""A config fitted to the images of a test set, whose labels nobody has."""

import sys
from copy import deepcopy
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, MODELS

from ..datasets.image_pipeline import (
    as_stored,
    dataset_meta,
    test_pipeline,
    without_truth,
)
from ..engine.checkpoints import check_file
from ..engine.config_nodes import leaf_datasets, type_name
from ..engine.errors import CheckpointError, ConfigError
from ..engine.preflight import check_inputs
from ..engine.test import use_tta
from ..utils.checkpoint import is_remote, load_checkpoint
from .images import TestImage, find_images, image_of, sorted_images
from .problem import SubmissionError
from .target import Target
from .work_folder import WorkFolder

#: What a task wants, and where the models lie that do not give it.
WANTED = {'semantic': ('a segmentor of mmseg', 'mmdet.models', 'BaseDetector'),
          'instance': ('a detector of mmdet with masks', 'mmseg.models',
                       'BaseSegmentor')}
#: mmdet's test time augmentation.
BOXES_ALONE = 'DetTTAModel'


class Settings(NamedTuple):
    """What decides the predictions of a run.

    Attributes:
        model: Config of the model, test time augmentation included.
        pipeline: Of an image, without labels.
        classes: Of the model, by index.
        loop: Settings of the test itself: precision, hooks, seed.
    """

    model: Mapping[str, Any]
    pipeline: List[dict]
    classes: List[str]
    loop: Mapping[str, Any]


def read_settings(cfg: Config, checkpoint: str, tta: bool, target: Target) -> Settings:
    """Return what decides the predictions.

    Args:
        cfg: With the options of the command line merged.
        checkpoint: File of weights.
        tta: Whether that is wanted.
        target: Which must take the model's classes.

    Raises:
        ConfigError: No pipeline, no classes, other classes than the checkpoint's, a
            model or test time augmentation that does not give what the target takes.
        SubmissionError: Classes that the server does not know.
        CheckpointError: A file that cannot be read.
    """
    if is_remote(checkpoint):
        raise CheckpointError(f'{checkpoint} is an address: download the file. It is '
                              'compared with that of the run that goes on.')
    check_file(checkpoint)
    given = {key: cfg[key] for key in ('default_scope', 'model', 'tta_model',
                                       'tta_pipeline') if key in cfg}
    fitted = Config(deepcopy(dict(given, test_dataloader=dict(
        dataset=dict(pipeline=test_pipeline(cfg))))))
    if tta:
        use_tta(fitted)
        _check_tta(fitted.model, target)
    _check_task(cfg.model, target)
    classes = _classes(cfg, checkpoint)
    target.class_ids(classes)
    return Settings(fitted.model,
                    as_stored(without_truth(fitted.test_dataloader.dataset.pipeline)),
                    classes, {key: cfg.get(key) for key in
                              ('test_cfg', 'custom_hooks', 'randomness')})


def _check_task(model: Mapping[str, Any], target: Target) -> None:
    """Raise where a model is known to predict for the other task."""
    wanted, module, base = WANTED[target.task]
    with MODELS.switch_scope_and_registry(None) as registry:
        kind = registry.get(type_name(model))
    # Where that toolbox is not there, the model is none of its own.
    other = getattr(sys.modules.get(module), base, ())
    if isinstance(kind, type) and issubclass(kind, other):
        raise ConfigError(f'{target.name} wants {wanted}; the model of the config, '
                          f'{kind.__name__}, is none.')


def _check_tta(model: Mapping[str, Any], target: Target) -> None:
    if target.task == 'instance' and type_name(model).endswith(BOXES_ALONE):
        raise ConfigError(
            f"--tta: {target.name} takes masks, and mmdet's {BOXES_ALONE} joins the "
            'boxes of the views alone. Leave --tta out, or give the config a tta_model '
            'that joins masks.')


def _classes(cfg: Config, checkpoint: str) -> List[str]:
    """Return the classes: those of the checkpoint, which must be the config's."""
    own = [str(name) for name in dataset_meta(cfg).get('classes') or ()]
    content = load_checkpoint(checkpoint)
    meta = content.get('meta') or {}
    saved = [str(name) for name in
             (meta.get('dataset_meta') or {}).get('classes') or ()]
    if own and saved and own != saved:
        place = next((i for i, pair in enumerate(zip(own, saved)) if pair[0] != pair[1]),
                     min(len(own), len(saved)))
        first = [repr(names[place]) if place < len(names) else 'none'
                 for names in (saved, own)]
        raise ConfigError(
            f'{checkpoint} was trained with {len(saved)} classes, the config has '
            f'{len(own)}; class {place} is {first[0]} there and {first[1]} here. Set '
            'test_dataloader.dataset.metainfo.classes to the classes of the training.')
    if not (own or saved):
        raise ConfigError('neither the checkpoint nor the config names the classes: set '
                          'test_dataloader.dataset.metainfo.classes.')
    return saved or own


def test_images(cfg: Config, target: Target, path: Optional[str]) -> List[TestImage]:
    """Return the images of the test set, with their files.

    Args:
        cfg: Its test dataset is read where no path is given.
        target: Whose names they have.
        path: A folder, a list of names, or COCO's image information.

    Raises:
        SubmissionError, DataError: As their readers.
    """
    if path is not None:
        return find_images(path, target.pattern, files=True)
    loader = cfg.get('test_dataloader')
    if not loader:
        raise ConfigError('the config has no test_dataloader. Say where the images are '
                          '(--images).')
    leaves = [leaf for _, leaf in leaf_datasets(loader.get('dataset'))]
    check_inputs(_images_alone(loader), ('test', ), weights=False)
    images = []
    for leaf in leaves:
        dataset = DATASETS.build({**leaf, 'test_mode': True, 'pipeline': [],
                                  'lazy_init': False})
        for index in range(len(dataset)):
            entry = dataset.get_data_info(index)
            number = entry.get('img_id')
            images.append(image_of(entry['img_path'], target.pattern,
                                   number if isinstance(number, int) else None))
    if not images:
        raise SubmissionError('the test dataset of the config has no images. Say where '
                              'they are (--images).')
    return sorted_images(images, 'the test dataset of the config')


test_images.__test__ = False  # pytest takes the name for a test


def _images_alone(loader: Mapping[str, Any]) -> Config:
    """Return a config whose test datasets have images and lists, but no labels."""
    cfg = Config(dict(test_dataloader=ConfigDict(loader).to_dict()))
    for _, leaf in leaf_datasets(cfg.test_dataloader.get('dataset')):
        prefix = leaf.get('data_prefix') or {}
        leaf['data_prefix'] = {key: value for key, value in prefix.items()
                               if key.startswith('img')}
    return cfg


def fit_config(cfg: Config, settings: Settings, folder: WorkFolder,
               metric: Dict[str, Any]) -> None:
    """Let the config test the images that are to be done, one at a time.

    Alone, since a batch pads its images: predictions would depend on the neighbours, and
    a run that goes on would not give the bytes of one that was never stopped.

    Args:
        cfg: Changed.
        settings: Of the same config.
        folder: Holds the list of images.
        metric: Config of the metric.
    """
    cfg.model = settings.model
    given = cfg.get('test_dataloader') or {}
    workers = given.get('num_workers', 2)
    cfg.test_dataloader = ConfigDict(
        batch_size=1, num_workers=workers, persistent_workers=workers > 0,
        drop_last=False, sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='mmengine.SubmissionImages', ann_file=str(folder.todo),
                     metainfo=dict(classes=str(folder.classes)),
                     pipeline=settings.pipeline, test_mode=True))
    if given.get('collate_fn'):
        cfg.test_dataloader.collate_fn = given['collate_fn']
    cfg.test_evaluator = ConfigDict(metric)
    cfg.test_cfg = cfg.get('test_cfg') or ConfigDict(type='TestLoop')
    # The rest of a training's config is of no use here, and may not be buildable.
    for key in ('train', 'val'):
        for part in ('dataloader', 'cfg', 'evaluator'):
            cfg.pop(f'{key}_{part}', None)
    for key in ('optim_wrapper', 'param_scheduler'):
        cfg.pop(key, None)
    randomness = cfg.get('randomness') or {}
    cfg.randomness = ConfigDict({**randomness, 'seed': randomness.get('seed') or 0})
    cfg.merge_from_dict({'env_cfg.cudnn_benchmark': False})
