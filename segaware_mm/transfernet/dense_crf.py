"""Figures that end where the image has edges: a CRF on the probability of a figure.

Kraehenbuehl, Koltun (NIPS 2011), with the settings of TransferNet's release: unary
-log p of figure and ground, and two Gaussian kernels, w the weights, sd the deviations::

    k(p, q) = w_s exp(-|xy_p - xy_q|^2 / (2 sd_s^2))
            + w_b exp(-|xy_p - xy_q|^2 / (2 sd_xy^2) - |rgb_p - rgb_q|^2 / (2 sd_rgb^2))

Both are normalised, so that a weight is the most that neighbours can say. Shapes: K
labels, each by itself, H x W pixels.
"""

from typing import Any

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor

from ..ops.checks import check_choice, check_number, check_same, check_tensor
from ..ops.mean_field import segaware_mean_field

IMPLEMENTATIONS = ('mean_field', 'pydensecrf')
ABSENT = (
    "pydensecrf2 is not installed, which impl='pydensecrf' needs:\n"
    '    python -m pip install pydensecrf2\n'
    "(compiled on installation; a C++ compiler must be there). impl='mean_field' needs "
    'nothing.')
#: Probabilities keep this distance from 0 and 1, whose logarithms are not finite.
EPSILON = 1e-6


@MODELS.register_module()
class DenseCRF(BaseModule):
    """Say for every pixel whether it is figure, given probabilities and the image.

    Two implementations of the same mean field:

    * 'mean_field', the default: this package's local mean field
      (:func:`segaware_mm.ops.mean_field.segaware_mean_field`) with colours as the
      embedding. A pixel hears a window of taps instead of all pixels. The default
      because it needs no compiler, runs on any device, and gives the same everywhere.
    * 'pydensecrf': all pixels, filtered on a permutohedral lattice, by the package
      pydensecrf2. What the published results were made with; compiled on installation,
      on the CPU alone.

    Args:
        impl (str): 'mean_field' or 'pydensecrf'.
        spatial_xy (float): sd_s in pixels.
        spatial_weight (float): w_s.
        bilateral_xy (float): sd_xy in pixels.
        bilateral_rgb (float): sd_rgb in grey values of 0..255.
        bilateral_weight (float): w_b.
        num_iters (int): Iterations.
        bilateral_kernel (int): Odd size of the window of 'mean_field'; its taps are
            ``bilateral_dilation`` pixels apart: 13 and 9 reach 54 pixels.
        bilateral_dilation (int): See there.
        spatial_kernel (int): Odd size of the window of the spatial kernel.

    Raises:
        TypeError, ValueError: A value out of its range.
        ImportError: pydensecrf2 is asked for and not installed.
    """

    def __init__(self,
                 impl: str = 'mean_field',
                 spatial_xy: float = 3.,
                 spatial_weight: float = 3.,
                 bilateral_xy: float = 20.,
                 bilateral_rgb: float = 3.,
                 bilateral_weight: float = 5.,
                 num_iters: int = 10,
                 bilateral_kernel: int = 13,
                 bilateral_dilation: int = 9,
                 spatial_kernel: int = 13) -> None:
        super().__init__()
        check_choice('impl', impl, IMPLEMENTATIONS)
        for name, value in (('spatial_xy', spatial_xy), ('bilateral_xy', bilateral_xy),
                            ('bilateral_rgb', bilateral_rgb)):
            check_number(name, value, 1e-3)
        check_number('spatial_weight', spatial_weight, 0)
        check_number('bilateral_weight', bilateral_weight, 0)
        check_number('num_iters', num_iters, 0, integer=True)
        self.impl = impl
        self.spatial_xy = spatial_xy
        self.spatial_weight = spatial_weight
        self.bilateral_xy = bilateral_xy
        self.bilateral_rgb = bilateral_rgb
        self.bilateral_weight = bilateral_weight
        self.num_iters = num_iters
        self.windows = dict(bilateral_kernel=bilateral_kernel,
                            bilateral_dilation=bilateral_dilation,
                            spatial_kernel=spatial_kernel)
        if impl == 'pydensecrf':
            import_crf()

    @torch.no_grad()
    def forward(self, probability: Tensor, image: Tensor) -> Tensor:
        """Return (K, H, W) bool, where the CRF says figure.

        Args:
            probability: (K, H, W) in [0, 1].
            image: (3, H, W), grey values of 0..255; the order of the colours is free.

        Raises:
            TypeError, ValueError: A wrong shape or dtype.
        """
        check_tensor('probability', probability, '(K, H, W)', 3)
        check_tensor('image', image, '(3, H, W)', 3)
        check_same('image', image.shape, f'probability {tuple(probability.shape)}',
                   (3, *probability.shape[1:]))
        run = self.mean_field if self.impl == 'mean_field' else self.lattice
        maps = [run(one, image) for one in probability.float()]
        return torch.stack(maps) if maps else probability > 1

    def mean_field(self, probability: Tensor, image: Tensor) -> Tensor:
        """Return (H, W) bool of (H, W), by windows."""
        both = torch.stack([1 - probability, probability])[None]
        unary = both.clamp(EPSILON, 1 - EPSILON).log()
        two = torch.eye(2, device=unary.device)
        logits = segaware_mean_field(
            unary, image[None].float(), self.num_iters,
            embedding_scale=1 / self.bilateral_rgb,
            bilateral_xy_scale=1 / self.bilateral_xy,
            spatial_xy_scale=1 / self.spatial_xy,
            spatial_weight=self.spatial_weight * two,
            bilateral_weight=self.bilateral_weight * two, **self.windows)
        return logits[0, 1] > logits[0, 0]

    def lattice(self, probability: Tensor, image: Tensor) -> Tensor:
        """Return (H, W) bool of (H, W), by pydensecrf2."""
        import numpy as np
        height, width = probability.shape
        both = torch.stack([1 - probability, probability]).clamp(EPSILON, 1 - EPSILON)
        unary = -both.log().flatten(1).cpu().numpy()
        pixels = image.round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
        crf = import_crf().DenseCRF2D(width, height, 2)
        crf.setUnaryEnergy(np.ascontiguousarray(unary, np.float32))
        crf.addPairwiseGaussian(sxy=self.spatial_xy, compat=self.spatial_weight)
        crf.addPairwiseBilateral(
            sxy=self.bilateral_xy, srgb=self.bilateral_rgb,
            rgbim=np.ascontiguousarray(pixels), compat=self.bilateral_weight)
        out = np.array(crf.inference(self.num_iters), np.float32)
        figure = torch.from_numpy(out[1] > out[0]).view(height, width)
        return figure.to(probability.device)


def import_crf() -> Any:
    """Return pydensecrf's module.

    Raises:
        ImportError: It is not installed; the text says how to.
    """
    try:
        from pydensecrf import densecrf
    except ImportError as error:
        raise ImportError(ABSENT) from error
    return densecrf
