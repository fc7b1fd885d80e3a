"""PNGs whose values are class ids: written, and read back with all that is wrong.

Grey ones of 8 bits (Cityscapes, ADE20K), or indexed ones with a palette (VOC). The header
is read by itself: decoders hide what it says, and scale or convert values.
"""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Collection, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from PIL import Image

from .problem import Problem
from .target import PathLike

SIGNATURE = b'\x89PNG\r\n\x1a\n'
#: The last chunk of every PNG.
END = b'\x00\x00\x00\x00IEND\xaeB`\x82'
GREY, INDEXED = 0, 3
COLORS = {0: 'grey', 2: 'RGB', 3: 'indexed', 4: 'grey with transparency', 6: 'RGBA'}
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: More pixels are damage.
LARGEST = 10**8
#: First bytes of other formats.
OTHERS = {b'\xff\xd8\xff': 'JPEG', b'GIF8': 'GIF', b'BM': 'BMP', b'II*\0': 'TIFF',
          b'MM\0*': 'TIFF', b'RIFF': 'WebP', b'\x93NUMPY': 'numpy array'}
#: The palette that shows an index as the grey of the same value.
GREY_PALETTE = bytes(np.repeat(np.arange(256, dtype=np.uint8), 3))

AGAIN = 'write this image again'


class PngHeader(NamedTuple):
    """What the first chunk of a PNG says.

    Attributes:
        height, width: In pixels.
        depth: Bits of a value.
        color: Number of the kind of colour, see COLORS.
    """

    height: int
    width: int
    depth: int
    color: int

    def __str__(self) -> str:
        return f'{COLORS.get(self.color, self.color)} of {self.depth} bits'


def encode_labels(labels: np.ndarray, palette: Optional[bytes] = None) -> bytes:
    """Return a PNG of 8 bits.

    Args:
        labels: (H, W) integers in 0..255.
        palette: RGB of 256 ids; without it the PNG is grey.
    """
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
    if palette is not None:
        image.putpalette(palette)  # makes it indexed
    out = BytesIO()
    image.save(out, 'PNG')
    return out.getvalue()


def read_header(content: bytes) -> Optional[PngHeader]:
    """Return the header of a PNG, or None where there is none."""
    if content[:8] != SIGNATURE or content[12:16] != b'IHDR' or len(content) < 26:
        return None
    width, height, depth, color = struct.unpack('>IIBB', content[16:26])
    return PngHeader(height, width, depth, color)


def is_whole(path: PathLike, height: int, width: int) -> bool:
    """Return whether a PNG of this size lies there and has its end; decodes nothing."""
    try:
        with Path(path).open('rb') as file:
            header = read_header(file.read(26))
            file.seek(-len(END), 2)
            ended = file.read() == END
    except OSError:
        return False
    return ended and header is not None and header[:2] == (height, width)


def read_labels(name: str, content: bytes, palette: Optional[bytes] = None,
                size: Optional[Tuple[int, int]] = None, bits: Collection[int] = (8, )
                ) -> Tuple[Optional[np.ndarray], List[Problem]]:
    """Read one label image, and say what is wrong with it as a PNG.

    Args:
        name: The file, for problems.
        content: Of the file.
        palette: RGB of the ids, where it must be indexed; without it it must be grey.
        size: (H, W) that it must have, where that is known.
        bits: Depths that a grey one may have.

    Returns:
        The values (H, W), or None where there are no ids to look at; and the problems.
    """
    header = read_header(content)
    if header is None:
        return None, [Problem(name, *_no_png(content))]
    problems = []
    if size is not None and header[:2] != tuple(size):
        problems.append(Problem(
            name, f'has size {header.height} x {header.width}, the image '
            f'{size[0]} x {size[1]} (height x width)',
            'resize the scores to the original image before classes are chosen'))
    try:
        _check_pixels(content, header)
        image = Image.open(BytesIO(content))
        image.load()
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error,
            MemoryError) as error:
        return None, [*problems, Problem(name, f'cannot be decoded: {error}', AGAIN)]
    # Readers scale 1, 2 and 4 bits of grey to 0..255.
    readable = header.color == INDEXED or (header.color == GREY and header.depth in bits)
    wanted = GREY if palette is None else INDEXED
    # mmseg writes grey ones so: every reader sees the same values.
    alike = wanted == GREY and readable and _palette_of(image) == GREY_PALETTE
    if not readable or not (header.color == wanted or alike):
        problems.append(_wrong_kind(name, header, wanted))
    elif palette is not None:
        problems.extend(_palette_problems(name, image, palette))
    return np.asarray(image) if readable else None, problems


def _chunks(content: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """Yield kind and data of every chunk.

    Raises:
        ValueError: A checksum is wrong, or the last chunk is missing.
    """
    place = len(SIGNATURE)
    while place + 12 <= len(content):
        size, kind = struct.unpack_from('>I4s', content, place)
        end = place + 12 + size
        if end > len(content):
            break
        if zlib.crc32(content[place + 4:end - 4]) != int.from_bytes(
                content[end - 4:end], 'big'):
            name = kind.decode('latin1')
            raise ValueError(f'the checksum of the chunk {name} is wrong')
        yield kind, content[place + 8:end - 4]
        if kind == b'IEND':
            return
        place = end
    raise ValueError('it ends too early')


def _check_pixels(content: bytes, header: PngHeader) -> None:
    """Raise where bytes are wrong or missing; Pillow fills missing rows silently.

    Raises:
        ValueError, zlib.error: What is wrong.
    """
    data = b''.join(part for kind, part in _chunks(content) if kind == b'IDAT')
    if header.height * header.width > LARGEST:
        raise ValueError(f'it has {header.height} x {header.width} pixels')
    row = 1 + -(-header.width * header.depth * CHANNELS.get(header.color, 0) // 8)
    wanted = header.height * row
    found = len(zlib.decompressobj().decompress(data, wanted + 1))
    if found < wanted:  # interlaced images have more
        raise ValueError(f'rows are missing, it has {found} of {wanted} bytes')


def _no_png(content: bytes) -> Tuple[str, str]:
    if not content:
        return 'is empty', AGAIN
    if content[:8] == SIGNATURE:
        return 'is a PNG that ends before its size', AGAIN
    for head, kind in OTHERS.items():
        if content.startswith(head):
            return f'is no PNG but a {kind}', 'write PNGs, which keep every value'
    return 'is no PNG', AGAIN


def _wrong_kind(name: str, header: PngHeader, wanted: int) -> Problem:
    if wanted == GREY:
        return Problem(name, f'is {header}, not grey of 8 bits',
                       'write one channel of 8 bits without a palette: the class ids')
    return Problem(name, f'is {header}, not indexed with a palette',
                   "write an indexed PNG whose indices are the class ids, with VOC's "
                   'palette')


def _palette_of(image: Image.Image) -> bytes:
    """Return RGB of the indices that the file lists, then grey up to 256."""
    there = bytes(image.getpalette('RGB') or b'')
    return there + GREY_PALETTE[len(there):]


def _palette_problems(name: str, image: Image.Image, palette: bytes) -> List[Problem]:
    """Return a problem where an index that occurs has another colour."""
    there = image.getpalette('RGB') or []
    for index in np.unique(np.asarray(image)).tolist():
        found = tuple(there[3 * index:3 * index + 3])
        wanted = tuple(palette[3 * index:3 * index + 3])
        if found != wanted:
            shown = found or 'no colour'
            return [Problem(name, f'the palette gives the id {index} {shown}, VOC '
                            f'{wanted}', "write VOC's palette into the PNG")]
    return []
