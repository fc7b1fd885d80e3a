"""The boundary map as a step of a data pipeline."""

import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ..ops.checks import check_choice, check_number
from ..ops.region_attention import BOUNDARY_RULES, boundary_target


@TRANSFORMS.register_module()
class GenerateRegionBoundary(BaseTransform):
    """Make ``gt_edge_map`` from ``gt_seg_map``: 1 boundary, 0 not, 255 ignored.

    Without this transform RANetHead makes the map from the augmented labels
    itself. With it, placed before the geometric augmentation, the map is made
    at full resolution and resized, cropped and flipped with the labels, as the
    released system does; the band then grows and shrinks with the image.

    Required keys: gt_seg_map (H, W). Added keys: gt_edge_map (H, W) uint8.
    Modified keys: seg_fields.

    Args:
        radius (float): Euclidean distance in pixels to another label.
        ignore_index (int): Label of ignored pixels.
        rule (str): 'clean' or 'released', see
            :func:`segaware_mm.ops.region_attention.boundary_target`.
    """

    def __init__(self,
                 radius: float = 2,
                 ignore_index: int = 255,
                 rule: str = 'clean') -> None:
        check_number('radius', radius, 1)
        check_choice('rule', rule, BOUNDARY_RULES)
        self.radius = radius
        self.ignore_index = ignore_index
        self.rule = rule

    def transform(self, results: dict) -> dict:
        """Add the boundary map to the results."""
        if 'gt_seg_map' not in results:
            raise KeyError("GenerateRegionBoundary needs 'gt_seg_map': put it "
                           'after LoadAnnotations.')
        labels = torch.from_numpy(results['gt_seg_map'].astype('int64'))
        edges = boundary_target(labels[None], self.radius, self.ignore_index,
                                self.rule)[0]
        results['gt_edge_map'] = edges.numpy().astype('uint8')
        fields = results.setdefault('seg_fields', [])
        if 'gt_edge_map' not in fields:
            fields.append('gt_edge_map')
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(radius={self.radius}, '
                f'ignore_index={self.ignore_index}, rule={self.rule!r})')
