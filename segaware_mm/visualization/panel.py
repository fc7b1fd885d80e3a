"""Pictures with titles, notes and a legend, on one sheet, in one PNG.

The sheet is laid out in pixels, so that no picture is resampled.
"""

import io
from typing import List, Optional, Sequence

import numpy as np

from .registry import Picture

DPI = 100
#: Pixels: around the sheet, between pictures, for titles, for notes.
MARGIN, GAP, TITLE, NOTE = 24, 20, 30, 26
HEADER, LEGEND_ROW, SCALE = 44, 30, 140
#: Points, for text that has little room.
SMALLEST = 8
INK, FAINT = '#1b1e23', '#5b6470'


def columns_for(count: int) -> int:
    """Return how many pictures stand in a row."""
    return count if count <= 3 else (2 if count == 4 else 3)


class _Sheet:
    """A figure whose coordinates are pixels from the top left."""

    def __init__(self, width: int, height: int) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        self.width, self.height = width, height
        # A little more, so that no rounding takes a pixel away.
        self.figure = Figure(figsize=((width + .01) / DPI, (height + .01) / DPI),
                             dpi=DPI, facecolor='white')
        self.canvas = FigureCanvasAgg(self.figure)

    def box(self, x: float, y: float, width: float, height: float) -> List[float]:
        """Return matplotlib's box of a rectangle in pixels."""
        return [x / self.width, 1 - (y + height) / self.height,
                width / self.width, height / self.height]

    def text(self, x: float, y: float, text: str, **style) -> None:
        """Write at (x, y); y is the middle of the line."""
        style = dict(dict(color=INK, va='center', ha='left', fontsize=11), **style)
        # Class and file names are no formulas, whatever they hold.
        self.figure.text(x / self.width, 1 - y / self.height, text,
                         parse_math=False, **style)

    def fitting(self, x: float, y: float, text: str, width: float, fontsize: float,
                **style) -> None:
        """Write as :meth:`text` does; smaller, or cut, where it is too long."""
        weight = style.get('weight', 'normal')
        while fontsize > SMALLEST and self.measure(text, fontsize, weight) > width:
            fontsize -= 0.5
        whole = text
        while text and self.measure(text, fontsize, weight) > width:
            whole = whole[:-1]
            text = f'{whole.rstrip()}...' if whole else ''
        self.text(x, y, text, fontsize=fontsize, **style)

    def pixels(self, x: int, y: int, pixels: np.ndarray) -> None:
        """Put a picture with its top left corner at (x, y)."""
        height, width = pixels.shape[:2]
        axes = self.figure.add_axes(self.box(x, y, width, height))
        axes.imshow(pixels, interpolation='none', aspect='auto')
        axes.set_axis_off()

    def measure(self, text: str, fontsize: float, weight: str = 'normal') -> float:
        """Return the width of a text in pixels."""
        from matplotlib.font_manager import FontProperties
        return self.canvas.get_renderer().get_text_width_height_descent(
            text, FontProperties(weight=weight, size=fontsize), False)[0]


def _legend_rows(sheet: _Sheet, names: Sequence[str], width: int) -> List[List[int]]:
    """Return the entries of every row of the legend."""
    rows: List[List[int]] = [[]]
    used = 0.
    for index, name in enumerate(names):
        need = 22 + sheet.measure(name, 11) + 24
        if rows[-1] and used + need > width:
            rows.append([])
            used = 0.
        rows[-1].append(index)
        used += need
    return rows if names else []


def _draw_legend(sheet: _Sheet, rows: List[List[int]], names: Sequence[str],
                 colors: np.ndarray, top: int) -> None:
    """Draw a swatch and a name per class."""
    from matplotlib.patches import Rectangle
    for number, row in enumerate(rows):
        x, y = float(MARGIN), top + (number + 0.5) * LEGEND_ROW
        for index in row:
            left, bottom, width, height = sheet.box(x, y - 7, 14, 14)
            sheet.figure.add_artist(Rectangle(
                (left, bottom), width, height, facecolor=colors[index] / 255,
                edgecolor=FAINT, linewidth=0.6, transform=sheet.figure.transFigure))
            sheet.text(x + 22, y, names[index])
            x += 22 + sheet.measure(names[index], 11) + 24


def _draw_scale(sheet: _Sheet, picture: Picture, right: int, y: int) -> None:
    """Draw the colour scale of a heat map, its right end at ``right``."""
    from .canvas import heat
    name, low, high = picture.scale
    ramp = heat(np.linspace(0, 1, 90)[None].repeat(10, 0), name, 0, 1)
    sheet.text(right, y, f'{high:g}', ha='right', color=FAINT, fontsize=9.5)
    end = right - sheet.measure(f'{high:g}', 9.5) - 6
    sheet.pixels(round(end - 90), y - 5, ramp)
    sheet.text(end - 96, y, f'{low:g}', ha='right', color=FAINT, fontsize=9.5)


def compose(pictures: Sequence[Picture], header: str, classes: Sequence[str] = (),
            palette: Optional[np.ndarray] = None, columns: int = 0) -> bytes:
    """Lay pictures of one size out on a sheet.

    Args:
        pictures: At least one; all (h, w, 3) alike.
        header: Line at the top, '' for none.
        classes: Names of the classes, for the legend.
        palette: (C, 3) uint8, their colours.
        columns: Pictures in a row; 0 chooses.

    Returns:
        bytes: A PNG.
    """
    height, width = pictures[0].pixels.shape[:2]
    columns = columns or columns_for(len(pictures))
    lines = -(-len(pictures) // columns)
    full = 2 * MARGIN + columns * width + (columns - 1) * GAP
    shown = sorted({c for picture in pictures for c in picture.classes})
    names = [classes[c] for c in shown]
    rows = _legend_rows(_Sheet(full, 10), names, full - 2 * MARGIN)
    top = MARGIN + (HEADER if header else 0)
    block = TITLE + height + NOTE
    below = top + lines * block + (lines - 1) * GAP // 2
    sheet = _Sheet(full, below + (len(rows) * LEGEND_ROW + 10 if rows else 0)
                   + MARGIN // 2)
    if header:
        sheet.fitting(MARGIN, MARGIN + 12, header, full - 2 * MARGIN, 15,
                      weight='bold')
    for number, picture in enumerate(pictures):
        x = MARGIN + number % columns * (width + GAP)
        y = top + number // columns * (block + GAP // 2)
        sheet.fitting(x, y + TITLE / 2, picture.title, width, 12.5, weight='bold')
        sheet.pixels(x, y + TITLE, picture.pixels)
        line = y + TITLE + height + NOTE // 2
        room = width - (SCALE if picture.scale is not None else 0)
        sheet.fitting(x, line, picture.note, room, 10, color=FAINT)
        if picture.scale is not None:
            _draw_scale(sheet, picture, x + width, line)
    if rows:
        _draw_legend(sheet, rows, names, palette[shown], below + 10)
    stream = io.BytesIO()
    sheet.figure.savefig(stream, format='png', dpi=DPI)
    return stream.getvalue()
