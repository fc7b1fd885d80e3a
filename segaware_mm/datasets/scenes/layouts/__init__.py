"""The folder layouts a set of scenes can be written in."""

from typing import Dict, Type

from .base import Layout
from .cityscapes import CityscapesLayout
from .coco import CocoLayout
from .mmseg import MMSegLayout
from .voc import VOCLayout

LAYOUTS: Dict[str, Type[Layout]] = {
    layout.name: layout
    for layout in (MMSegLayout, CityscapesLayout, VOCLayout, CocoLayout)
}

__all__ = ['LAYOUTS', 'Layout']
