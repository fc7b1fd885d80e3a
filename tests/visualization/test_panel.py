"""A sheet holds every picture pixel by pixel, and the legend of its classes."""

import io

import numpy as np
import pytest
from PIL import Image

from segaware_mm.visualization.panel import columns_for, compose
from segaware_mm.visualization.registry import Picture

CLASSES = ('road', 'a class with a long name', 'tree', 'pole')
PALETTE = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0]], np.uint8)


def noise(seed: int, **kwargs) -> Picture:
    """Return a picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (60, 90, 3), np.uint8)
    return Picture(f'picture {seed}', pixels, **kwargs)


def read(png: bytes) -> np.ndarray:
    """Decode a PNG to RGB."""
    return np.array(Image.open(io.BytesIO(png)).convert('RGB'))


def find(sheet: np.ndarray, pixels: np.ndarray) -> list:
    """Return where a picture stands on the sheet."""
    first = (sheet == pixels[0, 0]).all(2)
    height, width = pixels.shape[:2]
    return [(y, x) for y, x in np.argwhere(first).tolist()
            if (sheet[y:y + height, x:x + width].shape == pixels.shape
                and (sheet[y:y + height, x:x + width] == pixels).all())]


@pytest.mark.parametrize('count', [1, 2, 4, 7, 9])
def test_every_picture_is_on_the_sheet_unchanged(count):
    pictures = [noise(seed) for seed in range(count)]
    sheet = read(compose(pictures, 'header'))
    places = [find(sheet, picture.pixels) for picture in pictures]
    assert all(len(place) == 1 for place in places)
    order = [place[0] for place in places]
    assert order == sorted(order)
    assert len({y for y, _ in order}) == -(-count // columns_for(count))


def test_the_legend_names_the_classes_shown_and_no_other():
    picture = noise(0, classes=(0, 2))
    sheet = read(compose([picture], '', CLASSES, PALETTE))
    plain = read(compose([noise(0)], ''))
    assert sheet.shape[0] > plain.shape[0]
    below = sheet[plain.shape[0] - 20:]
    present = [bool((below == color).all(2).any()) for color in PALETTE]
    assert present == [True, False, True, False]


def test_a_legend_too_long_for_a_row_takes_more():
    names = [f'class number {i}' for i in range(12)]
    palette = np.arange(36, dtype=np.uint8).reshape(12, 3)
    few = read(compose([noise(0, classes=range(1))], '', names, palette))
    many = read(compose([noise(0, classes=range(12))], '', names, palette))
    assert many.shape[1] == few.shape[1] and many.shape[0] > few.shape[0] + 60


def test_titles_and_notes_stay_within_their_picture():
    long = noise(0, note='a note that is much longer than the picture is wide ' * 2)
    long.title = 'A title that is much longer than the picture'
    sheet = read(compose([long, noise(1)], ''))
    (_, left), (_, second) = find(sheet, long.pixels)[0], find(sheet, noise(1).pixels)[0]
    between = sheet[:, left + 90 + 2:second - 2]
    assert (between == 255).all()


def test_a_header_stays_on_the_sheet():
    sheet = read(compose([noise(0)], 'a file with a long name.png   |   ' * 4))
    assert (sheet[:60, -20:] == 255).all() and (sheet[:60] < 128).any()


def test_names_are_no_formulas():
    dollars = noise(0, note='$a', classes=(0, ))
    dollars.title = r'$\frac$'
    assert find(read(compose([dollars], '$x$ $', ['$^$'], PALETTE)), dollars.pixels)


def test_a_picture_narrower_than_its_scale():
    pixels = np.full((90, 5, 3), 200, np.uint8)
    narrow = Picture('title', pixels, 'note', ('viridis', 0., 1.), [0])
    sheet = read(compose([narrow] * 2, 'header', CLASSES, PALETTE))
    assert sheet.shape[1] == 2 * 24 + 2 * 5 + 20


def test_a_heat_map_has_its_scale():
    plain = read(compose([noise(0)], ''))
    scaled = read(compose([noise(0, scale=('viridis', 0., 1.))], ''))
    assert plain.shape == scaled.shape and (plain != scaled).any()
    assert (scaled == (253, 231, 37)).all(2).any()  # the upper end of viridis
