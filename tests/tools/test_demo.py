"""tools/demo.py with the shipped configs, few small scenes and iterations."""

import json
import os
import signal
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip('mmseg')

from segaware_mm.demo import record as records  # noqa: E402
from segaware_mm.demo.cli import FCN, RANET, build_parser, main  # noqa: E402
from segaware_mm.demo.scenes import ensure_scenes  # noqa: E402
from segaware_mm.engine.errors import DataError  # noqa: E402
from segaware_mm.engine.progress import ProgressHook  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
STEM = Path(RANET).stem
TINY = ['--scenes', '6', '2', '--size', '32', '40', '--pictures', '1', '--cfg-options',
        'train_dataloader.batch_size=2', 'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False',
        'default_hooks.checkpoint.interval=2', 'train_cfg.max_iters=3']


@pytest.fixture
def demo(tmp_path, monkeypatch, capfd):
    """Run the demo in a folder of its own; returns (exit code, out, err)."""
    monkeypatch.chdir(tmp_path)

    def run(*args):
        try:
            code = main(str(REPO / 'configs'), [*args, *TINY])
        except SystemExit as end:
            code = end.code
        return (code, *capfd.readouterr())

    return run


def record_in(folder: Path, stem: str = STEM) -> dict:
    return json.loads((folder / 'work_dirs' / 'demo' / stem / 'demo.json').read_text())


def test_the_configs_of_the_demo_are_there():
    args = build_parser(str(REPO / 'configs')).parse_args([])
    assert Path(args.config).is_file() and Path(args.fcn_config).is_file()
    assert args.max_seconds == 300  # the promise of at most five minutes


def test_first_run_second_run_and_fresh(demo, tmp_path):
    code, out, err = demo('--with-fcn')
    assert code == 0, out + err
    assert '[1/3]' in out and '6 for training, 2 for validation, 40 x 32' in out
    assert out.count('mIoU') == 2 and 'FCN    mIoU' in out
    assert 'RANet: training' in err and '3/3' in err and 'FCN: training' in err
    assert 'mmengine' not in out + err and len(out.splitlines()) < 12
    first = record_in(tmp_path)
    assert first['finished'] and first['iterations'] == first['planned'] == 3
    assert record_in(tmp_path, Path(FCN).stem)['finished']

    pictures = tmp_path / 'outputs' / 'demo'
    assert sorted(os.listdir(pictures)) == ['before_after.png', 'scene_000000.png']
    for name in os.listdir(pictures):
        assert f'outputs/demo/{name}' in out
        with Image.open(pictures / name) as picture:
            picture.load()
            assert picture.width > 1400

    weights = Path(first['checkpoint'])
    times = [os.stat(weights).st_mtime_ns,
             os.stat(tmp_path / 'data/scenes/images/val/000001.png').st_mtime_ns]
    code, out, err = demo()
    assert code == 0 and 'made before' in out and 'trained before' in out
    assert 'training:' not in err and record_in(tmp_path) == first
    assert times == [
        os.stat(weights).st_mtime_ns,
        os.stat(tmp_path / 'data/scenes/images/val/000001.png').st_mtime_ns]

    code, out, err = demo('--fresh')
    assert code == 0 and 'trained before' not in out and 'RANet: training' in err
    # By the seed the same again.
    assert record_in(tmp_path)['miou'] == first['miou']
    assert os.stat(weights).st_mtime_ns > times[0]


def test_the_time_is_kept_said_and_can_be_added_to(demo, tmp_path):
    code, out, err = demo('--max-seconds', '0.001')
    assert code == 0, out + err
    assert 'The time was up after 1 of the 3 iterations' in out
    assert record_in(tmp_path)['iterations'] == 1
    code, out, _ = demo('--max-seconds', '0.001')
    assert code == 0 and 'trained before' in out
    code, out, _ = demo()
    assert code == 0 and 'went on with an earlier run' in out
    assert 'time was up' not in out
    assert record_in(tmp_path)['iterations'] == 3


def test_ctrl_c_leaves_a_run_to_go_on_with(demo, tmp_path, monkeypatch):
    after_train_iter = ProgressHook.after_train_iter

    def press(self, runner, *args, **kwargs):
        after_train_iter(self, runner, *args, **kwargs)
        if runner.iter == 0:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressHook, 'after_train_iter', press)
    # As in a terminal: a background shell would start us with it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, out, err = demo()
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130 and 'stopped; the same command goes on from here' in err
    assert 'Traceback' not in err and 'mIoU' not in out
    assert not record_in(tmp_path)['finished']
    work = tmp_path / 'work_dirs' / 'demo' / STEM
    assert [path.name for path in work.glob('*.pth')] == ['iter_2.pth']
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    code, out, err = demo()
    assert code == 0 and 'went on with an earlier run' in out
    assert '2/3' in err or '3/3' in err
    assert record_in(tmp_path)['iterations'] == 3


def test_other_settings_train_anew(tmp_path):
    work = tmp_path / 'work'
    records.write(str(work), records.Record('a', True, 'iter_1.pth', 50., 3, 3, 9.))
    (work / 'iter_1.pth').write_bytes(b'')
    assert records.read(str(work)).settings == 'a'
    records.clear(str(work))
    assert not work.exists() and records.read(str(work)) is None


def test_a_changed_setting_is_said_before_it_trains_anew(demo, tmp_path):
    work = tmp_path / 'work_dirs' / 'demo' / STEM
    records.write(str(work), records.Record('other settings', True, '', 50., 3, 3, 9.))
    code, out, err = demo()
    assert code == 0, err
    assert 'RANet: settings changed: training anew' in out
    code, out, _ = demo()
    assert code == 0 and 'settings changed' not in out


def test_fresh_scenes_take_what_is_given_and_keep_the_rest(tmp_path):
    folder = str(tmp_path / 'scenes')
    first, drawn = ensure_scenes(folder, (2, 1), (32, 40))
    assert drawn and (first['train'], first['height']) == (2, 32)
    same, drawn = ensure_scenes(folder, (3, 1), (48, 48))
    assert same == first and not drawn
    assert ensure_scenes(folder, fresh=True) == (first, True)
    wider, drawn = ensure_scenes(folder, size=(32, 48), fresh=True)
    assert drawn and wider == dict(first, width=48)
    with Image.open(tmp_path / 'scenes/images/val/000000.png') as picture:
        assert picture.size == (48, 32)
    with pytest.raises(DataError, match='size must be'):
        ensure_scenes(folder, size=(2, 2), fresh=True)


def test_a_damaged_record_counts_as_none(tmp_path):
    for text in ('', '{"settings": 1', '{"other": 1}'):
        (tmp_path / 'demo.json').write_text(text)
        assert records.read(str(tmp_path)) is None


def test_folders_of_others_are_left_alone(demo, tmp_path):
    theirs = tmp_path / 'work_dirs' / 'demo' / STEM / 'thesis.txt'
    theirs.parent.mkdir(parents=True)
    theirs.write_text('mine')
    code, out, err = demo()
    assert code == 2 and 'was not made by the demo' in err and '--work-dir' in err
    assert theirs.read_text() == 'mine'

    scenes = tmp_path / 'photos'
    scenes.mkdir()
    (scenes / 'a.png').write_text('')
    code, out, err = demo('--data', str(scenes))
    assert code == 2 and 'photos is not empty' in err and 'Traceback' not in err
    assert os.listdir(scenes) == ['a.png']


def test_scenes_of_another_layout_are_not_trained_on(demo, tmp_path):
    from segaware_mm.datasets.scenes.generate import generate_scenes
    generate_scenes(tmp_path / 'voc', layout='voc', train=1, val=1, size=(32, 40),
                    progress=False)
    code, out, err = demo('--data', 'voc')
    assert code == 2 and 'in the layout voc' in err and '--data DIR' in err


@pytest.mark.parametrize('value', ['0', '-3', 'soon'])
def test_a_time_that_is_none(demo, value):
    code, out, err = demo('--max-seconds', value)
    assert code == 2 and '--max-seconds' in err


@pytest.mark.parametrize('value', ['0', '-1', '1.5'])
def test_a_number_of_pictures_that_is_none(value, capsys):
    with pytest.raises(SystemExit):
        build_parser('configs').parse_args(['--pictures', value])
    assert '--pictures' in capsys.readouterr().err
