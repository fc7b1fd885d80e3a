"""Which modules register parts, and what happens when one cannot.

A family module imports the toolbox it extends. Where that toolbox (or mmcv's
compiled operators, which mmseg's heads import) is missing, the module is left
out and the reason is kept for the doctor, so that ``import segaware_mm`` and
everything that does not need the toolbox go on working.
"""

import importlib
from typing import Dict, List, Set

#: Modules whose import registers parts.
PARTS = (
    'segaware_mm.datasets.alternating_sampler',
    'segaware_mm.datasets.camvid',
    'segaware_mm.datasets.coco_exclusive',
    'segaware_mm.datasets.flow.loading',
    'segaware_mm.datasets.flow.pairs',
    'segaware_mm.datasets.flow.preprocessor',
    'segaware_mm.datasets.flow.transforms',
    'segaware_mm.datasets.image_label_dataset',
    'segaware_mm.datasets.instance_map',
    'segaware_mm.datasets.labelmefacade',
    'segaware_mm.datasets.mask_subset',
    'segaware_mm.datasets.sbd',
    'segaware_mm.datasets.scenes_dataset',
    'segaware_mm.engine.amp',
    'segaware_mm.engine.label_check',
    'segaware_mm.engine.runner',
    'segaware_mm.evaluation.boundary_coco_metric',
    'segaware_mm.evaluation.boundary_iou_metric',
    'segaware_mm.evaluation.cityscapes_class_metric',
    'segaware_mm.evaluation.class_group_metric',
    'segaware_mm.evaluation.embedding_metric',
    'segaware_mm.evaluation.flow_metric',
    'segaware_mm.evaluation.multi_label_metric',
    'segaware_mm.evaluation.trimap_metric',
    'segaware_mm.evaluation.voc_instance_metric',
    'segaware_mm.mnc.mnc',
    'segaware_mm.mnc.mnc_bbox_head',
    'segaware_mm.mnc.mnc_mask_head',
    'segaware_mm.mnc.mnc_roi_head',
    'segaware_mm.mnc.mnc_rpn_head',
    'segaware_mm.mnc.roi_warp_extractor',
    'segaware_mm.mnc.spatial_transformer',
    'segaware_mm.mnc.vgg16_c5',
    'segaware_mm.ranet.aspp_neck',
    'segaware_mm.ranet.ranet_head',
    'segaware_mm.ranet.region_attention',
    'segaware_mm.ranet.region_boundary',
    'segaware_mm.ranet.region_construction',
    'segaware_mm.ranet.region_interaction',
    'segaware_mm.segaware.deeplab_v2',
    'segaware_mm.segaware.embedding_head',
    'segaware_mm.segaware.embedding_loss',
    'segaware_mm.segaware.embedding_net',
    'segaware_mm.segaware.flow.flow_net',
    'segaware_mm.segaware.flow.loss',
    'segaware_mm.segaware.hypercolumn',
    'segaware_mm.segaware.hypercolumn_head',
    'segaware_mm.segaware.seg_aware_backbone',
    'segaware_mm.segaware.seg_aware_conv',
    'segaware_mm.segaware.seg_aware_filter',
    'segaware_mm.segaware.seg_aware_head',
    'segaware_mm.segaware.seg_aware_mean_field',
    'segaware_mm.segaware.seg_aware_refiner',
    'segaware_mm.segaware.vgg_large_fov',
    'segaware_mm.segaware.vgg_taps',
    'segaware_mm.submission.image_dataset',
    'segaware_mm.submission.metric',
    'segaware_mm.transfernet.atrous_resnet',
    'segaware_mm.transfernet.deconvnet_head',
    'segaware_mm.transfernet.dense_crf',
    'segaware_mm.transfernet.fcn_skip_head',
    'segaware_mm.transfernet.image_labels',
    'segaware_mm.transfernet.label_attention',
    'segaware_mm.transfernet.label_masks',
    'segaware_mm.transfernet.multi_label_classifier',
    'segaware_mm.transfernet.pad_to_square',
    'segaware_mm.transfernet.proposal_aggregation',
    'segaware_mm.transfernet.switched_backbone',
    'segaware_mm.transfernet.transfernet',
    'segaware_mm.transfernet.transfernet_head',
    'segaware_mm.transfernet.unpool_decoder',
    'segaware_mm.transfernet.vgg16_fc',
    'segaware_mm.transfernet.vgg16_switch',
    'segaware_mm.visualization.flow_hook',
)

_failures: Dict[str, str] = {}
_registered: Set[str] = set()
_ROOT = __name__.partition('.')[0]


def register_all() -> None:
    """Import every module of :data:`PARTS`; keep the reason where one fails.

    Only errors of the environment are kept: a package that is missing or
    refuses its neighbours' versions. An error of ours is raised.
    """
    for name in PARTS:
        if name in _registered:
            continue
        try:
            importlib.import_module(name)
        except Exception as error:
            if _is_ours(error):
                raise
            _failures[name] = f'{type(error).__name__}: {error}'
        else:
            _registered.add(name)
            _failures.pop(name, None)


def _is_ours(error: BaseException) -> bool:
    """Whether an error met on import was made here, not in the environment.

    An ``ImportError`` is ours where it is about one of our own modules, any
    other error where it was raised by our own code.
    """
    if isinstance(error, ImportError):
        return (error.name or '').partition('.')[0] == _ROOT
    place = error.__traceback__
    while place.tb_next is not None:
        place = place.tb_next
    module = place.tb_frame.f_globals.get('__name__', '')
    return module.partition('.')[0] == _ROOT


def import_failures() -> Dict[str, str]:
    """Return ``{module: reason}`` for the parts that could not be imported."""
    return dict(_failures)


def list_modules() -> List[str]:
    """Return the registered parts as ``REGISTRY: Name`` lines, sorted.

    A part of a toolbox's registry has its scope in front, as in
    ``mmseg.MODELS: RANetHead``. Empty without mmengine.
    """
    try:
        from mmengine import registry as root
    except ImportError:
        return []
    lines = set()
    for kind, parent in vars(root).items():
        if not isinstance(parent, root.Registry) or parent.parent is not None:
            continue
        for scope, node in {'': parent, **parent.children}.items():
            prefix = f'{scope}.' if scope else ''
            for key, value in node.module_dict.items():
                owner = getattr(value, '__module__', None) or ''
                if owner.partition('.')[0] == _ROOT:
                    lines.add(f'{prefix}{kind}: {key}')
    return sorted(lines)
