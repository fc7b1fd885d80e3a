"""Ways to refine logits: each takes an image and logits, and gives new logits.

Shapes: C classes, H x W image; logits (1, C, H, W).
"""

import math
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np
import torch
from mmseg.models.utils import resize
from refinement_data import Sample
from torch import Tensor, nn

Parameters = Dict[str, float]
Method = Callable[[Sample, Tensor], Tensor]

ABSENT = (
    'pydensecrf2 is not installed, which the row densecrf needs:\n'
    '    python -m pip install -c constraints.txt pydensecrf2\n'
    '(compiled on installation; a C++ compiler must be there). The other rows: '
    '--rows none rgb learned aware')


class Span(NamedTuple):
    """Values that a search may try.

    Attributes:
        low, high: Ends, both positive; in between they are log-uniform.
        whole: Only whole numbers.
    """
    low: float
    high: float
    whole: bool = False

    def clip(self, value: float) -> float:
        """Return the nearest value of the span."""
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else float(f'{value:.4g}')

    def draw(self, rng: np.random.Generator) -> float:
        """Return a random value."""
        return self.clip(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))

    def near(self, value: float, rng: np.random.Generator) -> float:
        """Return a random value near another: a fifth of the span, in logarithms."""
        width = 0.2 * math.log(self.high / self.low)
        return self.clip(value * math.exp(width * rng.standard_normal()))


#: Of the dense CRF: pixels, grey values of 0..255, factors, iterations.
CRF_SPANS = dict(
    bilateral_xy=Span(10, 160), bilateral_rgb=Span(2, 30), bilateral_weight=Span(.5, 12),
    spatial_xy=Span(.5, 8), spatial_weight=Span(.2, 12), iterations=Span(2, 10, True))
#: In the authors' release, for the dense CRF that they compare with.
CRF_RELEASED = dict(bilateral_xy=77., bilateral_rgb=4., bilateral_weight=3.,
                    spatial_xy=2., spatial_weight=2., iterations=10)
#: Of the mean field guided by colour; colours are in standard deviations.
RGB_SPANS = dict(
    color_scale=Span(.5, 30), bilateral_xy_scale=Span(.003, .3),
    spatial_xy_scale=Span(.02, 1.5), bilateral_weight=Span(.1, 10),
    spatial_weight=Span(.05, 5), filter_hardness=Span(.05, 20))
#: The released baseline: 0.13 for colours of 0..255; the rest as for embeddings.
RGB_RELEASED = dict(color_scale=7.4, bilateral_xy_scale=.05, spatial_xy_scale=.05,
                    bilateral_weight=1., spatial_weight=1., filter_hardness=7.4)


def import_crf() -> Any:
    """Return pydensecrf's module.

    Raises:
        RuntimeError: It is not installed; the text says how to.
    """
    try:
        from pydensecrf import densecrf
    except ImportError as error:
        raise RuntimeError(ABSENT) from error
    return densecrf


def dense_crf(parameters: Parameters) -> Method:
    """Return a dense CRF (Kraehenbuehl, Koltun, NIPS 2011) with Gaussian kernels."""
    densecrf = import_crf()

    def refine(sample: Sample, logits: Tensor) -> Tensor:
        classes, (height, width) = logits.shape[1], logits.shape[2:]
        unary = -logits[0].log_softmax(0).flatten(1).numpy()
        crf = densecrf.DenseCRF2D(width, height, classes)
        crf.setUnaryEnergy(np.ascontiguousarray(unary, np.float32))
        crf.addPairwiseGaussian(sxy=parameters['spatial_xy'],
                                compat=parameters['spatial_weight'])
        crf.addPairwiseBilateral(
            sxy=parameters['bilateral_xy'], srgb=parameters['bilateral_rgb'],
            rgbim=sample.pixels, compat=parameters['bilateral_weight'])
        out = np.array(crf.inference(int(parameters['iterations'])), np.float32)
        return torch.from_numpy(out).view(1, classes, height, width)

    return refine


def rgb_mean_field(parameters: Parameters, classes: int, windows: Dict[str, int],
                   filters: Dict[str, int]) -> Method:
    """Return mean field and filters whose masks come from colours.

    Args:
        parameters: As in :data:`RGB_SPANS`.
        classes: C.
        windows, filters: Sizes and steps, those of the learned refinement.
    """
    from segaware_mm.segaware.embedding_net import ColorEmbedding
    from segaware_mm.segaware.logit_refinement import LogitRefinement
    colors = ColorEmbedding(color_scale=1., stride=2)
    refinement = LogitRefinement(
        classes,
        dict(windows, embedding_scale=parameters['color_scale'],
             bilateral_xy_scale=parameters['bilateral_xy_scale'],
             spatial_xy_scale=parameters['spatial_xy_scale']),
        dict(filters, hardness=parameters['filter_hardness']), True).eval()
    field = refinement.mean_field
    with torch.no_grad():
        field.bilateral_weight.mul_(parameters['bilateral_weight'])
        field.spatial_weight.mul_(parameters['spatial_weight'])
    return _at_image_size(colors, refinement)


def learned_mean_field(model: nn.Module) -> Method:
    """Return the refinement of a trained ``SegAwareRefinedSegmentor``."""
    return _at_image_size(model.source.module, model.refinement)


def _at_image_size(embed: nn.Module, refinement: nn.Module) -> Method:
    """Return ``embed`` and ``refinement`` as one method."""

    def refine(sample: Sample, logits: Tensor) -> Tensor:
        with torch.no_grad():
            out = refinement(logits, embed(sample.inputs))
            return resize(out, logits.shape[2:], mode='bilinear', align_corners=True)

    return refine


def learned_sizes(model: Any) -> Tuple[Dict[str, int], Dict[str, int]]:
    """Return windows and steps of mean field and filters of a config's model."""
    keys: List[str] = ['num_iters', 'bilateral_kernel', 'bilateral_dilation',
                       'spatial_kernel', 'spatial_dilation']
    return ({key: model.mean_field[key] for key in keys if key in model.mean_field},
            {key: model.filters[key] for key in ('kernel_size', 'dilation', 'passes')
             if key in model.filters})
