"""Tags stand at their boxes, inside the picture, and never over each other."""

import numpy as np
import pytest

from segaware_mm.visualization.tags import Tag, draw_tags, ink

GREY = np.full((120, 200, 3), 90, np.uint8)
RED, BLUE = (200, 30, 30), (30, 30, 200)


def ground(pixels, color):
    """Where a tag's ground is, as (left, top, right, bottom)."""
    y, x = np.nonzero((pixels == np.array(color)).all(2))
    return x.min(), y.min(), x.max() + 1, y.max() + 1


def test_a_tag_stands_above_its_box():
    pixels, count = draw_tags(GREY, [Tag('cat 0.93', (50, 60, 120, 100), RED)])
    left, top, right, bottom = ground(pixels, RED)
    assert count == 1 and (left, bottom) == (50, 60) and top > 40 and right < 120
    assert (pixels[:top] == 90).all() and (pixels[bottom:] == 90).all()
    assert (pixels[top:bottom, left:right] > 200).all(2).any()  # white letters
    assert (GREY == 90).all()


def test_a_tag_at_the_border_moves_into_the_picture():
    tags = [Tag('a long name 1.00', (-9, -9, 8, 8), RED),
            Tag('a long name 1.00', (190, 115, 300, 300), BLUE)]
    pixels, count = draw_tags(GREY, tags)
    assert count == 2
    assert ground(pixels, RED)[:2] == (0, 0) and ground(pixels, BLUE)[2] == 200


def test_tags_of_one_box_avoid_each_other_until_there_is_no_room():
    colors = [(200, k, 30) for k in range(30)]
    tags = [Tag(f'one {k}', (80, 40, 130, 80), color) for k, color in enumerate(colors)]
    pixels, count = draw_tags(GREY, tags)
    assert count == 4  # above, below, and at both ends inside
    drawn = [c for c in colors if (pixels == np.array(c)).all(2).any()]
    assert len(drawn) == count and drawn[0] == colors[0]  # the first chooses first
    frames = [ground(pixels, c) for c in drawn]
    for k, one in enumerate(frames):
        for other in frames[:k]:
            assert (one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3]
                    or other[1] >= one[3])


def test_a_long_text_is_cut_and_a_small_picture_has_none():
    pixels, count = draw_tags(GREY, [Tag('word ' * 60, (0, 30, 200, 100), RED)])
    assert count == 1 and ground(pixels, RED)[2] <= 200
    small = np.zeros((6, 300, 3), np.uint8)
    assert draw_tags(small, [Tag('x', (0, 0, 9, 5), RED)])[1] == 0
    narrow = np.zeros((90, 3, 3), np.uint8)
    assert draw_tags(narrow, [Tag('x', (0, 0, 3, 50), RED)])[1] == 0
    same, count = draw_tags(GREY, [])
    assert count == 0 and (same == GREY).all()


def test_letters_grow_with_the_picture_within_limits():
    def height(width):
        pixels = np.full((300, width, 3), 90, np.uint8)
        found = ground(draw_tags(pixels, [Tag('a', (99, 99, 300, 200), RED)])[0], RED)
        return found[3] - found[1]

    assert height(320) == height(100) < height(640) < height(960) == height(5000)


@pytest.mark.parametrize('color, wanted', [
    ((255, 255, 0), 0), ((0, 0, 160), 255), ((0, 0, 0), 255), ((255, 255, 255), 0)])
def test_the_ink_contrasts_with_its_ground(color, wanted):
    assert ink(color) == (wanted, ) * 3
