"""The classes of the procedural scenes, and what they are called elsewhere.

No class can be told by its colour: all of them draw from one palette a scene.
What decides is

    sky, ground      the place and a faint texture
    tower, wall      the extent alone: same materials, same thickness,
                     a tower is tall and a wall is long
    bush, rock       the texture alone: same outlines, same two-colour mix,
                     blotches without a direction against layers with one
    pole             thin: posts and the wires between them
    disc, ring, star the outline alone: any texture; a disc may carry a printed
                     spot of the size of a ring's hole
"""

from typing import Dict, NamedTuple, Optional, Tuple


class SceneClass(NamedTuple):
    """One class.

    Attributes:
        name: Name, also the COCO category name.
        color: RGB, 0..255, of the class in palettes.
        is_thing: Whether single objects are told apart (instances).
        cityscapes: Name of the Cityscapes class that stands for it.
        voc: Name of the Pascal VOC class that stands for it; None where it
            is part of VOC's background.
    """
    name: str
    color: Tuple[int, int, int]
    is_thing: bool
    cityscapes: str
    voc: Optional[str]


SCENE_CLASSES = (
    SceneClass('sky', (126, 178, 221), False, 'sky', None),
    SceneClass('ground', (140, 106, 84), False, 'road', None),
    SceneClass('tower', (178, 58, 72), True, 'building', 'bus'),
    SceneClass('wall', (242, 166, 90), False, 'wall', None),
    SceneClass('bush', (58, 125, 68), True, 'vegetation', 'pottedplant'),
    SceneClass('rock', (120, 120, 128), True, 'terrain', 'sheep'),
    SceneClass('pole', (255, 236, 92), False, 'pole', None),
    SceneClass('disc', (61, 52, 139), True, 'car', 'car'),
    SceneClass('ring', (224, 86, 253), True, 'bicycle', 'bicycle'),
    SceneClass('star', (0, 206, 201), True, 'person', 'person'),
)

CLASS_NAMES = tuple(c.name for c in SCENE_CLASSES)
PALETTE = [list(c.color) for c in SCENE_CLASSES]
CLASS_ID: Dict[str, int] = {name: i for i, name in enumerate(CLASS_NAMES)}
THING_IDS = tuple(i for i, c in enumerate(SCENE_CLASSES) if c.is_thing)

#: Label of a pixel that belongs to no class.
VOID = 255
