"""What a config says of test images: its data sets, and how an image is prepared."""

from typing import Any, Dict, Iterator, List

from mmengine.config import Config
from mmengine.fileio import list_from_file
from mmengine.registry import DATASETS

from ..engine.config_nodes import dataset_chains, type_name
from ..engine.errors import ConfigError
from .class_names import class_list


def config_chains(cfg: Config) -> Iterator[List[dict]]:
    """Yield the datasets that read files behind their wrappers: test, val, train."""
    for split in ('test', 'val', 'train'):
        loader = cfg.get(f'{split}_dataloader') or {}
        yield from dataset_chains(loader.get('dataset'))


def dataset_meta(cfg: Config) -> Dict[str, Any]:
    """Return the metainfo of the first dataset: of its class, and of the config.

    ``classes`` and ``palette`` are those of a wrapper's joint list, where it has one.
    """
    chain = next(config_chains(cfg), None)
    if chain is None:
        return {}
    for node in chain[:-1]:
        if node.get('classes'):
            found = class_list(node['classes'])
            return dict(classes=found.names,
                        palette=node.get('palette') or found.palette)
    meta = {**(getattr(dataset_class(chain[-1]), 'METAINFO', None) or {}),
            **(chain[-1].get('metainfo') or {})}
    if isinstance(meta.get('classes'), str):  # a file with one in a line
        meta['classes'] = list_from_file(meta['classes'])
    return meta


def dataset_class(node: dict) -> Any:
    """Return the class of a dataset's config, None where it is not registered."""
    # The toolbox of the config has the dataset, not the root registry.
    with DATASETS.switch_scope_and_registry(None) as registry:
        return registry.get(type_name(node))


def test_pipeline(cfg: Config) -> List[dict]:
    """Return the test pipeline, loading of labels included.

    What a wrapper does comes behind what the dataset in it does.

    Raises:
        ConfigError: The config has none.
    """
    pipelines = ([step for node in chain[::-1] for step in node.get('pipeline') or ()]
                 for chain in config_chains(cfg))
    pipeline = next(filter(None, pipelines), cfg.get('test_pipeline'))
    if not pipeline:
        raise ConfigError('the config has no test_dataloader with a pipeline, so '
                          'it does not say how an image is to be prepared.')
    return list(pipeline)


test_pipeline.__test__ = False  # pytest takes the name for a test


def reads_truth(step: dict) -> bool:
    """Say whether a transform loads labels."""
    return any(part in type_name(step) for part in ('LoadAnnotations', 'ImageLabels'))


def as_stored(pipeline: List[dict]) -> List[dict]:
    """Return a pipeline that takes the pixels of images as they are stored.

    Loaders turn an image as its EXIF says; ground truth lies on the stored one.
    """
    steps = []
    for step in pipeline:
        color = step.get('color_type', 'color')
        if (type_name(step).endswith('LoadImageFromFile') and
                color in ('color', 'grayscale') and
                step.get('imdecode_backend') in (None, 'cv2', 'pillow')):
            step = {**step, 'color_type': f'{color}_ignore_orientation'}
        steps.append(step)
    return steps


def without_truth(pipeline: List[dict]) -> List[dict]:
    """Return a pipeline for images alone, test time augmentation included."""
    steps = []
    for step in pipeline:
        if reads_truth(step):
            continue
        views = step.get('transforms')
        if views and all(isinstance(view, (list, tuple)) for view in views):
            # Every list is a choice; one that is left empty would leave no view.
            kept = [without_truth(view) for view in views]
            step = {**step, 'transforms': [view for view in kept if view]}
        steps.append(step)
    return steps
