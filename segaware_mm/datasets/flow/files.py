"""Files of optical flow.

``.flo`` (Baker et al., "A Database and Evaluation Methodology for Optical Flow",
IJCV 2011), little-endian: float32 202021.25, int32 width, int32 height, then
u and v of every pixel as float32, row by row. Values above 1e9 mean unknown.

16-bit PNG of KITTI: red 64 u + 32768, green 64 v + 32768, blue 0 where unknown.

mmcv reads and writes both formats too, and the same numbers from whole files. Its
readers take damaged ones for flow or end in an error that names no file; its
writer leaves half a file when it is killed.
"""

import struct
from typing import Optional, Tuple

import cv2
import numpy as np
from mmengine.fileio import get

from ...engine.errors import DataError

MAGIC = 202021.25
#: Magnitude above which a value means "unknown".
UNKNOWN_ABOVE = 1e9
_UNKNOWN = 1e10
_LARGEST_SIDE = 1 << 20

Flow = Tuple[np.ndarray, np.ndarray]


class FlowFileError(DataError):
    """A file of flow that cannot be read; the text names it and says why."""


def encode_flo(flow: np.ndarray, known: Optional[np.ndarray] = None) -> bytes:
    """Return the content of a ``.flo`` file.

    Args:
        flow: (H, W, 2), u and v in pixels.
        known: (H, W) bool; all pixels if None.

    Raises:
        ValueError: Another shape, or a known value that is not finite or would
            be read as unknown.
    """
    if flow.ndim != 3 or flow.shape[2] != 2 or 0 in flow.shape:
        raise ValueError(f'flow must have shape (H, W, 2), got {flow.shape}.')
    values = flow.astype('<f4')
    if known is not None:
        if known.shape != flow.shape[:2] or known.dtype != bool:
            raise ValueError(f'known must be bool of shape {flow.shape[:2]}, got '
                             f'{known.dtype} {known.shape}.')
        values[~known] = _UNKNOWN
    bad = ~(np.abs(values) <= UNKNOWN_ABOVE)
    if known is not None:
        bad &= known[..., None]
    if bad.any():
        row, column = np.argwhere(bad)[0][:2]
        raise ValueError(
            f'flow holds {values[row, column].tolist()} at row {row}, column '
            f'{column}; a known flow is finite and below {UNKNOWN_ABOVE:g}. Mark '
            'such pixels with known=False.')
    height, width = flow.shape[:2]
    return struct.pack('<fii', MAGIC, width, height) + values.tobytes()


def decode_flo(content: bytes, name: str = 'the file') -> Flow:
    """Read the content of a ``.flo`` file.

    Args:
        content: The bytes.
        name: Of the file, for messages.

    Returns:
        Flow (H, W, 2) float32, 0 where unknown, and (H, W) bool: known.

    Raises:
        FlowFileError: It is foreign, cut short, or too long.
    """
    if len(content) < 12:
        raise FlowFileError(f'{name} has {len(content)} bytes; the head of a .flo '
                            'file alone has 12. It is cut short: copy it again.')
    magic, width, height = struct.unpack('<fii', content[:12])
    if magic != MAGIC:
        swapped = struct.unpack('>f', content[:4])[0] == MAGIC
        raise FlowFileError(
            f'{name} does not begin with {MAGIC} (found {content[:4]!r}), so it is '
            'no .flo file' + (': its bytes are in big-endian order.' if swapped
                              else '.'))
    if not (0 < width <= _LARGEST_SIDE and 0 < height <= _LARGEST_SIDE):
        raise FlowFileError(f'{name} gives its size as {width} x {height} (width x '
                            'height): the head is damaged.')
    wanted = 12 + 8 * width * height
    if len(content) != wanted:
        state = 'is cut short' if len(content) < wanted else 'is too long'
        raise FlowFileError(
            f'{name} {state}: {width} x {height} pixels (width x height) take '
            f'{wanted} bytes, it has {len(content)}.')
    values = np.frombuffer(content, '<f4', offset=12).reshape(height, width, 2)
    known = (np.abs(values) <= UNKNOWN_ABOVE).all(2)  # False for NaN too
    return np.where(known[..., None], values, 0).astype(np.float32), known


def decode_kitti(content: bytes, name: str = 'the file') -> Flow:
    """Read a 16-bit PNG of KITTI; as :func:`decode_flo`."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) \
        if content else None
    if pixels is None:
        raise FlowFileError(f'{name} cannot be read as an image ({len(content)} '
                            'bytes): copy it again.')
    if pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise FlowFileError(
            f'{name} is {pixels.dtype} of shape {pixels.shape}; a flow of KITTI has '
            'three channels of 16 bits.')
    known = pixels[..., 0] > 0  # OpenCV's order is blue, green, red
    flow = (pixels[..., :0:-1].astype(np.float32) - 32768) / 64
    return np.where(known[..., None], flow, np.float32(0)), known


def read_flow(path: str, backend_args: Optional[dict] = None) -> Flow:
    """Read a ``.flo`` or KITTI ``.png`` file; as :func:`decode_flo`.

    Raises:
        FlowFileError: It does not exist, cannot be read, or holds no flow.
    """
    try:
        content = get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise FlowFileError(f'the flow {path} does not exist.') from error
    decode = decode_kitti if path.lower().endswith('.png') else decode_flo
    flow, known = decode(content, path)
    if not known.any():
        raise FlowFileError(
            f'{path} holds no flow: every pixel is NaN, above {UNKNOWN_ABOVE:g} or '
            'marked as unknown. Write it again, or take the pair out of the set.')
    return flow, known
