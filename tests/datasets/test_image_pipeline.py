"""How an image is prepared for a test."""

import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image

from segaware_mm.datasets.image_pipeline import as_stored

LOAD = dict(type='LoadImageFromFile')


@pytest.mark.parametrize('orientation', [1, 3, 6])
@pytest.mark.parametrize('backend', [None, 'cv2', 'pillow'])
def test_images_are_taken_as_they_are_stored(tmp_path, orientation, backend):
    """Ground truth lies on the stored pixels, and does not turn with the image."""
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 256, (3, 5)), np.ones((16, 16))).astype(np.uint8)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    path = tmp_path / 'a.jpg'
    image.save(path, exif=exif, quality=100)
    step = dict(LOAD, imdecode_backend=backend) if backend else LOAD
    kept, = as_stored([step])
    found = [TRANSFORMS.build(one)(dict(img_path=str(path)))['img'].astype(int)
             for one in (step, kept)]
    assert found[1].shape == (48, 80, 3)
    assert abs(found[1] - pixels[..., None]).max() < 10
    if orientation == 1:
        assert np.array_equal(*found)
    elif backend != 'pillow':  # which never turns in some versions
        assert found[0].shape != found[1].shape or abs(found[0] - found[1]).max() > 10


def test_other_loaders_are_left_alone():
    steps = [dict(LOAD, imdecode_backend='tifffile'), dict(LOAD, color_type='unchanged'),
             dict(type='LoadImageFromNDArray'), dict(type='Resize', scale=(3, 4))]
    assert as_stored(steps) == steps
    assert as_stored([dict(LOAD, color_type='grayscale')])[0]['color_type'] == \
        'grayscale_ignore_orientation'
