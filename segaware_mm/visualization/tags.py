"""Short texts at boxes, such as a class and its score, that do not hide each other."""

from typing import Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

#: Points of the letters: for each pixel of the picture's width, at least, at most.
SIZE, LEAST, MOST = 1 / 50, 9, 14
#: Pixels around the letters.
PAD = 2
Rectangle = Tuple[int, int, int, int]  # left, top, right, bottom


class Tag(NamedTuple):
    """A text, and where it belongs.

    Attributes:
        text: One line.
        box: x1, y1, x2, y2 in pixels of the picture.
        color: RGB of the ground; the letters are black or white.
    """
    text: str
    box: Sequence[float]
    color: Sequence[int]


def draw_tags(pixels: np.ndarray, tags: Sequence[Tag]) -> Tuple[np.ndarray, int]:
    """Return the picture with the tags for which there is room, and their number.

    A tag stands at a corner of its box or in its middle, inside the picture; the
    first ones choose first, and one that would cover another is left out.

    Args:
        pixels: (H, W, 3) uint8.
        tags: The most important first.
    """
    from PIL import Image, ImageDraw
    height, width = pixels.shape[:2]
    font = _font(int(np.clip(width * SIZE, LEAST, MOST)))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    brush = ImageDraw.Draw(picture)
    ascent, descent = font.getmetrics()
    tall = ascent + descent + 2 * PAD
    taken: List[Rectangle] = []
    for tag in tags:
        text = _fitting(tag.text, font, width - 2 * PAD)
        if not text or tall > height:
            continue
        wide = round(font.getlength(text)) + 2 * PAD
        place = next((one for one in _places(tag.box, wide, tall, width, height)
                      if not any(_overlap(one, other) for other in taken)), None)
        if place is None:
            continue
        taken.append(place)
        left, top, right, bottom = place
        brush.rectangle((left, top, right - 1, bottom - 1), fill=tuple(
            int(part) for part in tag.color))
        brush.text((left + PAD, top + PAD), text, fill=ink(tag.color), font=font)
    return np.array(picture), len(taken)


def ink(color: Sequence[int]) -> Tuple[int, int, int]:
    """Return black or white, whichever is read better on a colour.

    Args:
        color: RGB, 0..255.
    """
    linear = (np.asarray(color, float) / 255)**2.2
    light = float(linear @ np.array([.2126, .7152, .0722]))
    # Of equal contrast with both (WCAG): (1 + .05) / (l + .05) = (l + .05) / .05.
    return (0, 0, 0) if light > 0.179 else (255, 255, 255)


def _font(size: int) -> 'ImageFont.FreeTypeFont':  # noqa: F821
    """Return the font that matplotlib brings along."""
    from matplotlib.font_manager import findfont
    from PIL import ImageFont
    return ImageFont.truetype(findfont('DejaVu Sans'), size)


def _fitting(text: str, font: 'ImageFont.FreeTypeFont', room: int  # noqa: F821
             ) -> str:
    """Return the text, cut where it is longer than so many pixels."""
    whole = text
    while text and font.getlength(text) > room:
        whole = whole[:-1]
        text = f'{whole.rstrip()}...' if whole else ''
    return text


def _places(box: Sequence[float], wide: int, tall: int, width: int,
            height: int) -> Iterator[Rectangle]:
    """Yield where a tag may stand: above its box, inside, below, in the middle."""
    x1, y1, x2, y2 = (round(float(edge)) for edge in box)
    middle = (x1 + x2 - wide) // 2, (y1 + y2 - tall) // 2
    for left, top in ((x1, y1 - tall), (x1, y1), (x2 - wide, y1 - tall),
                      (x2 - wide, y1), (x1, y2 - tall), (x1, y2), (x2 - wide, y2),
                      middle):
        left = min(max(left, 0), width - wide)
        top = min(max(top, 0), height - tall)
        yield left, top, left + wide, top + tall


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    """Whether two rectangles share a pixel."""
    return (one[0] < other[2] and other[0] < one[2]
            and one[1] < other[3] and other[1] < one[3])
