"""Pure tensor functions: the equations of the four papers.

No toolbox import, no registry, no module state. Every function with a fast
path takes ``impl`` (see :mod:`segaware_mm.ops.implementation`) and has a slow
twin in :mod:`segaware_mm.ops.reference`.
"""

from .attention_map import (
                               attended_feature,
                               densify,
                               position_softmax,
                               similarity_map,
)
from .bilinear import bilinear_sample
from .instance_targets import mask_level_labels, mask_target, pasted_mask_iou
from .local_attention import (
                               embedding_loss,
                               local_attention_mask,
                               local_distance,
                               mask_from_distance,
                               masked_conv2d,
                               masked_mean,
)
from .mask_voting import mask_nms, mask_voting, paste_masks, soft_paste
from .mean_field import segaware_mean_field
from .region_attention import (
                               boundary_between,
                               boundary_target,
                               construct_regions,
                               region_membership,
                               region_representatives,
                               semantic_divergence,
)
from .roi_warp import mask_gate, resize_mask, roi_warp
from .spatial_transforms import transform_points

__all__ = [
    'attended_feature', 'bilinear_sample', 'boundary_between', 'boundary_target',
    'construct_regions', 'densify', 'embedding_loss', 'local_attention_mask',
    'local_distance', 'mask_from_distance', 'mask_gate', 'mask_level_labels', 'mask_nms',
    'mask_target', 'mask_voting', 'masked_conv2d', 'masked_mean', 'paste_masks',
    'pasted_mask_iou', 'position_softmax', 'region_membership', 'region_representatives',
    'resize_mask', 'roi_warp', 'segaware_mean_field', 'semantic_divergence',
    'similarity_map', 'soft_paste', 'transform_points'
]
