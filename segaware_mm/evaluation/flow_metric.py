"""End-point error of optical flow, everywhere and near motion boundaries."""

import logging
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from mmengine.registry import METRICS
from prettytable import PrettyTable
from torch import Tensor

from ..ops.flow import end_point_error, motion_boundary


class Errors(NamedTuple):
    """Sums over the known pixels of one pair.

    Attributes:
        name: Data set of the pair.
        total: Sum of the end-point errors, pixels.
        known: Number of known pixels.
        large: Of these, with an error above the limit.
        near_total, near_known: As ``total`` and ``known``, near boundaries.
        length: Sum of the lengths of the true flow, pixels.
    """
    name: str
    total: float
    known: int
    large: int
    near_total: float
    near_known: int
    length: float


@METRICS.register_module()
class EndPointErrorMetric(BaseMetric):
    """Mean end-point error of the known pixels, also near motion boundaries.

    A motion boundary is where the ground-truth flow of two neighbouring pixels
    differs by more than ``boundary_threshold``
    (:func:`segaware_mm.ops.flow.motion_boundary`). This definition is ours, so
    the boundary error compares with no published number. Where the ground truth
    is sparse (KITTI) few boundaries are known.

    Sums run over all pixels of a data set before the division: a large image
    counts more than a small one.

    Args:
        boundary_radius (float): Pixels within this Euclidean distance of a
            pixel on a boundary are near it.
        boundary_threshold (float): Pixels of flow per pixel.
        large_error (float): Limit of ``above``, pixels.
        collect_device, prefix: As in mmengine's ``BaseMetric``; the prefix is
            'flow'.

    Metrics: ``flow/EPE`` and ``flow/EPE_boundary`` in pixels, ``flow/above_3px``
    in percent, ``flow/length``, the mean length of the true flow in pixels, which
    is the EPE of a model that sees no motion; and, where samples of several data
    sets come (``dataset_name`` of the sample), ``flow/NAME/EPE`` and so on for
    each. A mean over no pixel is NaN, with a warning.
    """

    default_prefix: Optional[str] = 'flow'

    def __init__(self,
                 boundary_radius: float = 10.,
                 boundary_threshold: float = 1.,
                 large_error: float = 3.,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        for name, value in (('boundary_radius', boundary_radius),
                            ('boundary_threshold', boundary_threshold),
                            ('large_error', large_error)):
            if value < 0:
                raise ValueError(f'{name} must be 0 or more, got {value}.')
        self.boundary_radius = boundary_radius
        self.boundary_threshold = boundary_threshold
        self.large_error = large_error

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Add the sums of every pair of a batch.

        Raises:
            ValueError: A prediction of another size than its ground truth.
        """
        for sample in data_samples:
            flow, target = (sample[key]['data'].detach().cpu().float()
                            for key in ('pred_flow', 'gt_flow'))
            if flow.shape != target.shape:
                raise ValueError(
                    f'the flow predicted for {sample.get("img_path", "a pair")} has '
                    f'shape {tuple(flow.shape)}, the ground truth '
                    f'{tuple(target.shape)}.')
            known = sample['gt_flow']['valid'].cpu().squeeze(0)
            found = self.errors(flow, target, known,
                                str(sample.get('dataset_name', '')))
            if not np.isfinite(found.total):
                print_log(f'the flow predicted for {sample.get("img_path", "a pair")} '
                          'is not finite (NaN or inf); so is its error',
                          MMLogger.get_current_instance(), logging.WARNING)
            self.results.append(found)

    def errors(self, flow: Tensor, target: Tensor, known: Tensor,
               name: str = '') -> Errors:
        """Return the sums of one pair.

        Args:
            flow, target: (2, H, W).
            known: (H, W) bool.
            name: Data set of the pair.
        """
        target = target.masked_fill(~known, 0)
        error = end_point_error(flow[None], target[None])[0].double().numpy()
        edges = motion_boundary(target[None], known[None], self.boundary_threshold)
        mask = known.numpy()
        near = mask & self._near(edges[0].numpy())
        return Errors(name, float(error[mask].sum()), int(mask.sum()),
                      # not <=, so that NaN counts as an error
                      int((~(error[mask] <= self.large_error)).sum()),
                      float(error[near].sum()), int(near.sum()),
                      float(np.linalg.norm(target.double().numpy(), axis=0).sum()))

    def _near(self, edges: np.ndarray) -> np.ndarray:
        """Return the pixels (H, W) near a boundary (H, W)."""
        if not edges.any():
            return edges
        distance = cv2.distanceTransform((~edges).astype(np.uint8), cv2.DIST_L2,
                                         cv2.DIST_MASK_PRECISE)
        return distance <= self.boundary_radius

    def compute_metrics(self, results: List[Errors]) -> Dict[str, float]:
        """Return the means over all pairs and over each data set."""
        names = list(dict.fromkeys(one[0] for one in results))
        groups = {'': results}
        if len(names) > 1:
            groups.update({f'{name or "unnamed"}/': [
                one for one in results if one[0] == name] for name in names})
        metrics: Dict[str, float] = {}
        table = PrettyTable(['data set', 'pairs', *self._means([])])
        for prefix, group in groups.items():
            means = self._means(group)
            title = prefix[:-1] or (names[0] if len(names) == 1 else '') or 'all'
            table.add_row([title, len(group), *(f'{v:.3f}' for v in means.values())])
            metrics.update({prefix + key: value for key, value in means.items()})
        print_log(f'end-point errors:\n{table.get_string()}',
                  MMLogger.get_current_instance())
        unknown = [prefix[:-1] or 'all' for prefix, group in groups.items()
                   if not sum(one[2] for one in group)]
        if unknown:
            print_log(f'{", ".join(unknown)}: no pixel has a known flow, so the '
                      'end-point error is NaN', MMLogger.get_current_instance(),
                      logging.WARNING)
        return metrics

    def _means(self, group: Sequence[Errors]) -> Dict[str, float]:
        """Return the means of some pairs; NaN over no pixel."""
        total, known, large, near_total, near_known, length = (
            sum(one[k] for one in group) for k in range(1, 7))
        return {
            'EPE': _divide(total, known),
            'EPE_boundary': _divide(near_total, near_known),
            f'above_{self.large_error:g}px': _divide(100 * large, known),
            'length': _divide(length, known),
        }


def _divide(total: float, count: int) -> float:
    return float(total) / count if count else float('nan')
