"""Pure tensor functions: the equations of the four papers.

No toolbox import, no registry, no module state. Every function with a fast
path takes ``impl`` (see :mod:`segaware_mm.ops.implementation`) and has a slow
twin in :mod:`segaware_mm.ops.reference`.
"""

from .instance_targets import mask_level_labels, mask_target, pasted_mask_iou
from .local_attention import (
                               embedding_loss,
                               local_attention_mask,
                               local_distance,
                               mask_from_distance,
                               masked_conv2d,
                               masked_mean,
)
from .mean_field import segaware_mean_field
from .region_attention import (
                               boundary_between,
                               boundary_target,
                               construct_regions,
                               region_membership,
                               region_representatives,
                               semantic_divergence,
)

__all__ = [
    'boundary_between', 'boundary_target', 'construct_regions', 'embedding_loss',
    'local_attention_mask', 'local_distance', 'mask_from_distance',
    'mask_level_labels', 'mask_target', 'masked_conv2d', 'masked_mean',
    'pasted_mask_iou', 'region_membership', 'region_representatives',
    'segaware_mean_field', 'semantic_divergence'
]
