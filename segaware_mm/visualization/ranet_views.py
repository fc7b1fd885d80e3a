"""Views of RANet: how the image falls into regions, and what they change.

h x w is the map on which the regions are built, H x W the image.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ..ranet.ranet_head import RANetOutput
from .canvas import draw_borders, draw_dots, glow, heat
from .changes import changed_picture
from .colors import overlay, region_colors
from .common_views import base_image, class_picture, score_note
from .geometry import enlarge
from .registry import Family, Picture, Subject


def observe(model: nn.Module, part: nn.Module, inputs: Tensor) -> RANetOutput:
    """Run backbone and head on (1, 3, H, W), all at once: windows, in which
    testing may cut it, have regions of their own."""
    with torch.no_grad():
        return part.forward_all(model.extract_feat(inputs))


FAMILY = Family('RANetHead', observe)


def region_map(subject: Subject) -> np.ndarray:
    """Return the regions as (h, w) int64, 0..Q-1."""
    regions = subject.output.regions
    return regions.labels[0].cpu().numpy().reshape(regions.shape)


def region_picture(subject: Subject) -> np.ndarray:
    """Return the regions at the picture's size, (height, width) int64."""
    labels = torch.from_numpy(region_map(subject)).double()[None, None]
    labels = subject.frame.maps(labels, 'nearest')[0].numpy().astype(np.int64)
    return enlarge(labels, subject.size)


def predicted(subject: Subject, logits: Tensor) -> np.ndarray:
    """Return the classes (H, W) of logits (1, C, h, w)."""
    return subject.frame.maps(logits).argmax(0).numpy()


@FAMILY.view('boundary')
def boundary(subject: Subject) -> Picture:
    """Probability of a boundary, on which the regions are built."""
    probability = subject.output.aux_boundary_logits.float().softmax(1)[:, 1:]
    values = subject.frame.maps(probability)[0].numpy()
    values = np.clip(enlarge(values, subject.size, smooth=True), 0, 1)
    return Picture('Boundary map', glow(base_image(subject), values, 'inferno'),
                   'probability of a class boundary', ('inferno', 0., 1.))


@FAMILY.view('regions')
def regions(subject: Subject) -> Picture:
    """Every region in a colour of its own."""
    labels = region_map(subject)
    sizes = np.bincount(labels.ravel())
    large = region_picture(subject)
    painted = overlay(base_image(subject), region_colors(labels)[large], 0.66)
    height, width = labels.shape
    note = (f'{len(sizes)} on {width} x {height} cells; the largest has '
            f'{100 * sizes.max() / sizes.sum():.0f} %')
    return Picture('Regions', draw_borders(painted, large), note)


@FAMILY.view('representatives')
def representatives(subject: Subject) -> Picture:
    """The pixels that speak for their regions, in the colour of these."""
    labels = region_map(subject)
    cells = subject.output.regions.representatives[0].cpu().numpy()
    centres = subject.frame.points(cells, labels.shape)
    per_region = np.bincount(labels.ravel()[cells]).max()
    factor = subject.size[1] / subject.image.shape[1]
    # Dots of neighbouring cells must not touch, nor fill a small picture.
    cell = min(subject.size[0] / labels.shape[0], subject.size[1] / labels.shape[1])
    pixels = overlay(base_image(subject), np.zeros_like(base_image(subject)), 0.2)
    pixels = draw_borders(pixels, region_picture(subject), alpha=0.55)
    pixels = draw_dots(pixels, centres * factor,
                       region_colors(labels)[labels.ravel()[cells]],
                       float(np.clip(0.28 * cell, 1.5, 5)))
    return Picture('Representatives', pixels,
                   f'{len(cells)}; at most {per_region} a region')


@FAMILY.view('membership')
def membership(subject: Subject) -> Picture:
    """How much every pixel belongs to its region."""
    built = subject.output.regions
    values = built.membership[0].detach().float().reshape(1, 1, *built.shape)
    low = float(values.min())
    large = enlarge(subject.frame.maps(values, 'nearest')[0].numpy(), subject.size)
    pixels = overlay(base_image(subject), heat(large, 'viridis', 0, 1), 0.85)
    pixels = draw_borders(pixels, region_picture(subject), alpha=0.7)
    return Picture('Membership', pixels, f'of a pixel in its region; lowest {low:.2f}',
                   ('viridis', 0., 1.))


@FAMILY.view('before')
def before(subject: Subject) -> Picture:
    """The auxiliary prediction, of which the regions are made."""
    labels = predicted(subject, subject.output.aux_logits)
    return class_picture(subject, labels, 'Prediction before the region block',
                         score_note(labels, subject))


@FAMILY.view('after')
def after(subject: Subject) -> Picture:
    """The final prediction."""
    labels = predicted(subject, subject.output.logits)
    return class_picture(subject, labels, 'Prediction after the region block',
                         score_note(labels, subject))


@FAMILY.view('change')
def change(subject: Subject) -> Picture:
    """Where the two predictions differ, and who is right where that is known."""
    first = predicted(subject, subject.output.aux_logits)
    last = predicted(subject, subject.output.logits)
    return changed_picture(subject, first, last, 'Changed by the region block')
