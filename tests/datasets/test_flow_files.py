"""Files of flow: the format byte by byte, round trips, and damaged files."""

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segaware_mm.datasets.flow.files import (
    FlowFileError,
    decode_flo,
    decode_kitti,
    encode_flo,
    read_flow,
)

#: 2 x 1 pixels (width x height): (1, -2) and (0.5, 0).
BYTES = (b'PIEH' + struct.pack('<ii', 2, 1) + struct.pack('<4f', 1, -2, .5, 0))
FLOW = np.array([[[1, -2], [.5, 0]]], np.float32)


def test_format_by_hand():
    assert struct.pack('<f', 202021.25) == b'PIEH'
    assert encode_flo(FLOW) == BYTES
    flow, known = decode_flo(BYTES)
    assert flow.dtype == np.float32 and flow.flags.writeable
    np.testing.assert_array_equal(flow, FLOW)
    assert known.all() and known.shape == (1, 2)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 999))
def test_round_trip(height, width, seed):
    rng = np.random.default_rng(seed)
    flow = rng.normal(0, 50, (height, width, 2)).astype(np.float32)
    known = rng.random((height, width)) < .7
    again, known_again = decode_flo(encode_flo(flow, known))
    np.testing.assert_array_equal(known_again, known)
    np.testing.assert_array_equal(again, np.where(known[..., None], flow, 0))


def test_large_and_undefined_values_are_unknown():
    values = [[2e9, 0], [0, -1.1e9], [np.nan, 0], [1e9, 0]]
    content = b'PIEH' + struct.pack('<ii8f', 4, 1, *np.ravel(values))
    flow, known = decode_flo(content)
    assert known.tolist() == [[False, False, False, True]]
    assert flow[0, :3].tolist() == [[0, 0]] * 3


@pytest.mark.parametrize('content, words', [
    (b'', 'x.flo has 0 bytes; the head'),
    (BYTES[:11], 'x.flo has 11 bytes; the head of a .flo file alone has 12'),
    (BYTES[:-1], r'x.flo is cut short: 2 x 1 pixels \(width x height\) take 28 bytes, '
     'it has 27'),
    (BYTES + b'\0', 'x.flo is too long.*it has 29'),
    (b'\x89PNG\r\n\x1a\n' + 20 * b'\0', 'x.flo does not begin with 202021.25'),
    (BYTES[3::-1] + BYTES[4:], 'big-endian'),
    (BYTES[:4] + struct.pack('<ii', -2, 1) + BYTES[12:], 'its size as -2 x 1'),
    (BYTES[:4] + struct.pack('<ii', 2, 1 << 30) + BYTES[12:], 'the head is damaged'),
])
def test_damaged_and_foreign_files(content, words):
    with pytest.raises(FlowFileError, match=words):
        decode_flo(content, 'x.flo')


@pytest.mark.parametrize('flow, known, words', [
    (np.zeros((2, 2)), None, r'flow must have shape \(H, W, 2\), got \(2, 2\)'),
    (np.zeros((0, 2, 2)), None, 'got \\(0, 2, 2\\)'),
    (np.zeros((2, 2, 2)), np.ones((2, 3), bool), r'known must be bool of shape \(2, 2\)'),
    (np.full((1, 2, 2), np.nan), None, 'at row 0, column 0'),
    (np.full((1, 1, 2), 3e9), np.ones((1, 1), bool), 'finite and below 1e[+]09'),
])
def test_what_cannot_be_written(flow, known, words):
    with pytest.raises(ValueError, match=words):
        encode_flo(flow, known)


def kitti_png(u, v, valid):
    """A flow of KITTI: red u, green v, blue valid."""
    pixels = np.stack([valid, 64 * v + 32768, 64 * u + 32768], 2).astype(np.uint16)
    return cv2.imencode('.png', pixels)[1].tobytes()


def test_kitti_by_hand():
    u, v = np.array([[2., -.5]]), np.array([[-100.25, 3.]])
    flow, known = decode_kitti(kitti_png(u, v, np.array([[1, 0]])))
    assert flow.tolist() == [[[2., -100.25], [0., 0.]]]
    assert known.tolist() == [[True, False]]


@pytest.mark.parametrize('content, words', [
    (b'', r'x.png cannot be read as an image \(0 bytes\)'),
    (kitti_png(*np.zeros((3, 2, 2)))[:40], 'cannot be read as an image'),
    (cv2.imencode('.png', np.zeros((2, 2, 3), np.uint8))[1].tobytes(),
     'x.png is uint8 of shape'),
])
def test_damaged_pngs(content, words):
    with pytest.raises(FlowFileError, match=words):
        decode_kitti(content, 'x.png')


def test_reading_by_suffix(tmp_path):
    (tmp_path / 'a.flo').write_bytes(BYTES)
    (tmp_path / 'b.png').write_bytes(kitti_png(*np.ones((3, 2, 3))))
    assert read_flow(str(tmp_path / 'a.flo'))[0].tolist() == FLOW.tolist()
    assert read_flow(str(tmp_path / 'b.png'))[0].shape == (2, 3, 2)
    with pytest.raises(FlowFileError, match='c.flo does not exist'):
        read_flow(str(tmp_path / 'c.flo'))


def test_a_file_without_flow_is_an_error(tmp_path):
    """One unknown pixel is a gap, all of them are a fault."""
    for name, values in (('nan', [np.nan] * 4), ('far', [2e9] * 4)):
        content = BYTES[:12] + struct.pack('<4f', *values)
        (tmp_path / f'{name}.flo').write_bytes(content)
        with pytest.raises(FlowFileError, match=f'{name}.flo holds no flow: every'):
            read_flow(str(tmp_path / f'{name}.flo'))
    partly = BYTES[:12] + struct.pack('<4f', 1, np.nan, 3, 4)
    (tmp_path / 'partly.flo').write_bytes(partly)
    flow, known = read_flow(str(tmp_path / 'partly.flo'))
    assert known.tolist() == [[False, True]] and flow[0, 1].tolist() == [3, 4]


def test_whole_files_read_as_with_mmcv(tmp_path):
    mmcv = pytest.importorskip('mmcv')
    flow = np.random.default_rng(0).normal(0, 9, (5, 7, 2)).astype(np.float32)
    np.testing.assert_array_equal(mmcv.flow_from_bytes(encode_flo(flow)), flow)
    mmcv.flowwrite(flow, str(tmp_path / 'a.flo'))
    assert (tmp_path / 'a.flo').read_bytes() == encode_flo(flow)
    content = kitti_png(flow[..., 0], flow[..., 1], np.ones((5, 7)))
    theirs, _ = mmcv.video.sparse_flow_from_bytes(content) if hasattr(
        mmcv.video, 'sparse_flow_from_bytes') else (decode_kitti(content)[0], None)
    np.testing.assert_array_equal(decode_kitti(content)[0], theirs)
