"""Procedural scenes: the data set that comes with the project."""

from .classes import CLASS_NAMES, PALETTE, SCENE_CLASSES, VOID
from .render import GENERATOR_VERSION, Instance, Scene, render_scene

__all__ = [
    'CLASS_NAMES', 'GENERATOR_VERSION', 'Instance', 'PALETTE',
    'SCENE_CLASSES', 'Scene', 'VOID', 'render_scene'
]
