"""tools/visualize.py from the command line in: pictures, and every clear error.

The model is a tiny RANet with random weights: what is drawn is tested in
tests/visualization, here it is that it gets drawn.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmseg')

from segaware_mm.visualization.cli import build_parser, main  # noqa: E402
from segaware_mm.visualization.draw import (  # noqa: E402
    available_views,
    file_names,
    subject_of,
)
from segaware_mm.visualization.load import load_image, load_model  # noqa: E402
from segaware_mm.visualization.ranet_views import FAMILY  # noqa: E402


@pytest.fixture
def draw(tmp_path, capfd):
    """Run the tool; returns (exit code, text, what lies in the folder)."""

    def run(*args, out=None):
        out = out or tmp_path / 'pictures'
        code = main([*map(str, args), '--out', str(out)])
        text = ''.join(capfd.readouterr())
        return code, text, sorted(os.listdir(out)) if Path(out).is_dir() else []

    return run


def fails(result, *parts):
    """Check for one message, no traceback, no picture."""
    code, text, files = result
    assert code == 2 and files == [], text
    assert text.count('error: ') == 1 and 'Traceback' not in text, text
    for part in parts:
        assert str(part) in text, f'{part} is not in:\n{text}'


def size_of(path: Path) -> tuple:
    with Image.open(path) as picture:
        picture.load()
        return picture.size


def test_a_sheet_of_all_views_is_written_and_named(ranet, draw, tmp_path):
    config, weights, image = ranet
    code, text, files = draw(config, weights, image)
    assert code == 0, text
    assert text.splitlines() == [f'wrote {tmp_path / "pictures" / "00.png"}']
    assert files == ['00.png']
    width, height = size_of(tmp_path / 'pictures' / '00.png')
    assert width > 3 * 480 and height > 3 * 400  # three rows of three


def test_views_are_chosen_by_name(ranet, draw, tmp_path):
    config, weights, image = ranet
    code, text, _ = draw(config, weights, image, '--views', 'regions,after')
    assert code == 0, text
    width, height = size_of(tmp_path / 'pictures' / '00.png')
    assert 2 * 480 < width < 3 * 480 and height < 2 * 400


def test_an_image_from_elsewhere_is_drawn_without_truth(ranet, draw, tmp_path):
    config, weights, image = ranet
    elsewhere = tmp_path / 'holiday' / '00.jpg'
    elsewhere.parent.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    Image.fromarray(noise).save(elsewhere)
    code, text, files = draw(config, weights, image, elsewhere)
    assert code == 0, text
    assert files == ['00.png', '00_2.png']
    fails(draw(config, weights, elsewhere, '--views', 'truth', out=tmp_path / 'none'),
          'hold no labels of', elsewhere)


def test_the_same_command_writes_the_same_bytes(ranet, draw, tmp_path):
    target = tmp_path / 'pictures' / '00.png'
    draw(*ranet, '--views', 'image,regions,boundary')
    first = target.read_bytes()
    draw(*ranet, '--views', 'image,regions,boundary')
    assert target.read_bytes() == first
    assert os.listdir(target.parent) == ['00.png']  # nothing half-written beside it


def test_cfg_options_reach_the_model(ranet, draw, tmp_path):
    target = tmp_path / 'pictures' / '00.png'
    pictures = []
    for count in (1, 5):  # of one large region
        code, text, _ = draw(
            *ranet, '--views', 'representatives', '--cfg-options',
            'model.decode_head.construction.threshold=0.01',
            f'model.decode_head.construction.num_representatives={count}')
        assert code == 0, text
        pictures.append(target.read_bytes())
    assert pictures[0] != pictures[1]


def test_weights_without_names_take_those_of_the_dataset(save_random, ranet, draw,
                                                         tmp_path):
    config, _, image = ranet
    bare = save_random(config, tmp_path / 'bare.pth', meta=False)
    code, text, files = draw(config, bare, image)
    assert code == 0 and files == ['00.png'], text


def test_a_head_without_views(save_random, tiny_config, draw, tmp_path, ranet):
    config = tiny_config(name='tiny_fcn')
    weights = save_random(config, tmp_path / 'fcn.pth')
    fails(draw(config, weights, ranet[2]), 'EncoderDecoder with FCNHead',
          'Views exist for', 'RANetHead', 'SegAwareRefinedSegmentor')


def test_a_pixel_outside_the_image(ranet, draw):
    config, weights, image = ranet
    code, text, _ = draw(config, weights, image, '--views', 'image', '--pixels', '47,39')
    assert code == 0, text
    code, text, _ = draw(config, weights, image, '--pixels', '48,39')
    assert code == 2 and '--pixels 48,39' in text and 'x must be 0..47' in text, text


def test_an_unknown_view(ranet, draw):
    fails(draw(*ranet, '--views', 'region'), 'no view region', 'Did you mean regions',
          'membership')


def test_a_checkpoint_of_another_model(save_random, ranet, tiny_config, draw, tmp_path):
    # Same backbone, so that most of the weights fit.
    other = save_random(tiny_config(name='tiny_fcn'), tmp_path / 'fcn.pth')
    fails(draw(ranet[0], other, ranet[2]), other, 'another model or config')


def test_a_checkpoint_that_is_absent_or_damaged(ranet, draw, tmp_path):
    fails(draw(ranet[0], tmp_path / 'no.pth', ranet[2]), 'no.pth does not exist',
          'w.pth')
    cut = tmp_path / 'cut.pth'
    whole = ranet[1].read_bytes()
    for length in (5000, len(whole) // 2):  # torch fails in different ways
        cut.write_bytes(whole[:length])
        fails(draw(ranet[0], cut, ranet[2]), 'cut.pth', 'cut short')


def test_a_config_that_is_absent(ranet, draw, tmp_path):
    fails(draw(tmp_path / 'no.py', *ranet[1:]), 'no.py does not exist')


def test_images_that_cannot_be_read(ranet, draw, tmp_path):
    config, weights, image = ranet
    fails(draw(config, weights, image, tmp_path / 'no.png'), 'no.png does not exist')
    fails(draw(config, weights, tmp_path), 'is a folder')
    cut = tmp_path / 'cut.png'
    cut.write_bytes(image.read_bytes()[:900])
    fails(draw(config, weights, cut), 'cut.png is')
    text = tmp_path / 'text.png'
    text.write_text('no picture')
    fails(draw(config, weights, text), 'text.png is not readable')


def test_a_folder_that_cannot_be_written(ranet, draw, tmp_path):
    file = tmp_path / 'file'
    file.write_text('')
    fails(draw(*ranet, out=file), f'--out {file}', 'Name a folder')
    fails(draw(*ranet, out=file / 'below'), f'--out {file / "below"}')
    assert file.read_text() == ''


def test_the_image_itself_is_never_replaced(ranet, draw, tmp_path):
    config, weights, image = ranet
    before = image.read_bytes()
    link = tmp_path / 'link'
    link.symlink_to(image.parent)
    for folder in (image.parent, link):
        code, text, _ = draw(config, tmp_path / 'no.pth', image, out=folder)
        assert code == 2 and 'would replace the image' in text, text
    assert image.read_bytes() == before


def test_a_model_tested_in_windows_is_said_to_see_the_whole_image(ranet):
    config, weights, image = map(str, ranet)
    loaded = load_model(config, weights)
    assert subject_of(loaded, load_image(loaded, image)).remark == ''
    loaded.model.test_cfg.mode = 'slide'
    remark = subject_of(loaded, load_image(loaded, image)).remark
    assert remark.startswith('whole image')


def test_the_help_names_every_view_and_what_the_model_sees():
    text = ' '.join(build_parser().format_help().split())
    views = ', '.join(available_views(FAMILY))
    assert f'views of RANetHead: {views}' in text
    assert 'whole image' in text and 'slide' in text


def test_equal_names_do_not_overwrite_each_other():
    assert file_names(['a/x.png', 'b/x.jpg', 'x_2.png', 'y.png']) == [
        'x.png', 'x_2.png', 'x_2_2.png', 'y.png']
