"""Class and boundary maps that are made up; no model has seen an image.

* ``scene``: the labels of a procedural scene; confident, noisy classes and
  a noisy boundary map of these labels. A few regions, some large.
* ``uniform``: every class equally likely, B = 0.5 everywhere. All pixels
  are one region: the most pairs that membership can have.
* ``noise``: independent random numbers; every second pixel is its own region.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, one_hot

from segaware_mm.ops.region_attention import boundary_target

KINDS = ('scene', 'uniform', 'noise')


class Maps(NamedTuple):
    """One image.

    Attributes:
        probs: (1, C, H, W) class probabilities.
        boundary: (1, H, W) boundary probabilities.
        source: What the labels behind them are, '' for none.
    """
    probs: Tensor
    boundary: Tensor
    source: str


def scene_labels(height: int, width: int, scene: int = 0) -> Tensor:
    """Return the labels (H, W) of procedural scene number ``scene``."""
    from segaware_mm.datasets.scenes import render_scene
    found = render_scene(0, scene, (height, width), 'val').semantic
    return torch.from_numpy(found).long()


def cell_labels(height: int, width: int, classes: int, seed: int = 0) -> Tensor:
    """Return labels (H, W) of 25 random cells, where scenes cannot be drawn."""
    g = torch.Generator().manual_seed(seed)
    y, x = torch.rand(25, generator=g) * height, torch.rand(25, generator=g) * width
    label = torch.randint(0, classes, (25, ), generator=g)
    rows, columns = torch.meshgrid(
        torch.arange(height), torch.arange(width), indexing='ij')
    far = (rows[..., None] - y)**2 + (columns[..., None] - x)**2
    return label[far.argmin(-1)]


def make_maps(kind: str, height: int, width: int, classes: int,
              seed: int = 0) -> Maps:
    """Return the maps of one image, always the same ones.

    Args:
        kind: One of :data:`KINDS`.
        height, width: Size of the map; scenes need 32 pixels each way.
        classes: C.
        seed: Of the noise, and the number of the scene.

    Raises:
        ValueError: ``kind`` is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f'kind must be one of {", ".join(KINDS)}, got {kind!r}')
    shape = (1, classes, height, width)
    g = torch.Generator().manual_seed(seed)
    if kind == 'uniform':
        return Maps(torch.full(shape, 1 / classes),
                    torch.full((1, height, width), .5), '')
    if kind == 'noise':
        return Maps((4 * torch.randn(shape, generator=g)).softmax(1),
                    torch.rand(1, height, width, generator=g), '')
    try:
        labels, source = scene_labels(height, width, seed), 'scene'
    except (ImportError, ValueError):  # no OpenCV, or too small a map
        labels, source = cell_labels(height, width, classes, seed), 'cells'
    labels = (labels % classes)[None]
    # Smooth noise, as that of a decoder; the classes change at once.
    noise = avg_pool2d(torch.randn(shape, generator=g), 3, 1, 1)
    logits = 6 * one_hot(labels, classes).permute(0, 3, 1, 2) + noise
    edge = boundary_target(labels, radius=1).float()
    boundary = 5 * edge - 2.5 + .5 * torch.randn(edge.shape, generator=g)
    return Maps(logits.softmax(1), boundary.sigmoid(), source)
