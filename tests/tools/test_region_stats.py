"""tools/region_stats.py from the command line in: the table, and clear errors."""

import pytest

pytest.importorskip('mmseg')

from segaware_mm.visualization.region_table import main  # noqa: E402


@pytest.fixture
def rows(capfd):
    """Run the tool; returns (exit code, table as lists of words, all text)."""

    def run(*args):
        code = main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        return code, [line.split() for line in out.splitlines()[1:]], out + err

    return run


def test_one_line_a_threshold_and_the_configs_own_is_marked(ranet, rows):
    code, table, text = rows(*ranet, '--thresholds', 1, -1)
    assert code == 0, text
    assert [row[0] for row in table] == ['-1', '*0.8', '1']
    # Below 0 everything is similar, above 1 nothing.
    first, _, last = table
    assert first[1:3] == ['1', '100.0']
    assert int(last[1]) > 20 and float(last[2]) < 10
    assert float(first[3]) < float(last[3]) <= 100


def test_the_number_is_that_of_the_picture(ranet, rows):
    from segaware_mm.visualization.draw import subject_of
    from segaware_mm.visualization.load import load_image, load_model
    from segaware_mm.visualization.ranet_views import regions
    config, weights, image = ranet
    options = {'model.decode_head.construction.threshold': .93}
    loaded = load_model(str(config), str(weights), options)
    note = regions(subject_of(loaded, load_image(loaded, str(image)))).note
    code, table, text = rows(*ranet, '--thresholds', .93)
    assert code == 0, text
    row = next(row for row in table if row[0].endswith('0.93'))
    assert note.split()[0] == row[1]
    assert float(note.split()[-2]) == pytest.approx(float(row[2]), abs=.51)


def test_an_image_without_labels_has_no_purity(ranet, rows, tmp_path):
    config, weights, image = ranet
    elsewhere = tmp_path / 'elsewhere.png'
    elsewhere.write_bytes(image.read_bytes())
    code, table, text = rows(config, weights, elsewhere)
    assert code == 0, text
    assert {row[3] for row in table} == {'-'}


def test_another_model_and_a_missing_image(ranet, rows, tiny_config, save_random,
                                           tmp_path):
    config, weights, image = ranet
    code, table, text = rows(config, weights, image, tmp_path / 'none.png')
    assert (code, table) == (2, []) and 'none.png' in text
    fcn = tiny_config(name='tiny_fcn')
    code, table, text = rows(fcn, save_random(fcn, tmp_path / 'fcn.pth'), image)
    assert (code, table) == (2, []) and 'RANetHead' in text
