"""Pure tensor functions: the equations of the four papers.

No toolbox import, no registry, no module state. Every function with a fast
path takes ``impl`` (see :mod:`segaware_mm.ops.implementation`) and has a slow
twin in :mod:`segaware_mm.ops.reference`.
"""

from .region_attention import (
                               boundary_between,
                               boundary_target,
                               construct_regions,
                               region_membership,
                               region_representatives,
                               semantic_divergence,
)

__all__ = [
    'boundary_between', 'boundary_target', 'construct_regions',
    'region_membership', 'region_representatives', 'semantic_divergence'
]
