"""The command lines: wrong arguments, and the words at Ctrl-C."""

from types import SimpleNamespace

import pytest
from mmengine.config import Config

from segaware_mm.engine import train
from segaware_mm.engine.cli import run_tool, train_parser


def stop(*args):
    """Press Ctrl-C."""
    raise KeyboardInterrupt


def test_a_config_behind_resume_is_no_checkpoint(capsys):
    with pytest.raises(SystemExit):
        train_parser().parse_args(['--resume', 'configs/a.py'])
    assert 'comes first: train.py configs/a.py --resume' in capsys.readouterr().err
    args = train_parser().parse_args(['configs/a.py', '--resume'])
    assert (args.config, args.resume) == ('configs/a.py', 'auto')


def test_ctrl_c_elsewhere_promises_no_resume(capsys):
    assert run_tool(stop, SimpleNamespace(local_rank=0)) == 130
    assert capsys.readouterr().err == '\ninterrupted\n'


@pytest.mark.parametrize('files, words', [
    ([], 'interrupted; no checkpoint was written yet'),
    (['iter_4.pth'], 'interrupted; `--resume` goes on from ')])
def test_ctrl_c_in_a_training(files, words, tmp_path, tiny_config, monkeypatch, capfd):
    work = tmp_path / 'work'
    work.mkdir()
    for name in files:
        (work / name).write_bytes(b'old format')
    monkeypatch.setattr(train.Runner, 'train', stop)
    monkeypatch.setattr(train, 'check_start', lambda model: None)
    assert train.main([str(tiny_config()), '--work-dir', str(work), '--cfg-options',
                       f'experiment_name=stop{len(files)}']) == 130
    assert words + ''.join(str(work / name) for name in files) in capfd.readouterr().err


def test_resume_without_a_checkpoint_keeps_the_start_weights(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='start.pth', resume=False))
    note = train.set_start(cfg, 'auto')
    assert cfg.load_from == 'start.pth' and cfg.resume is False
    assert 'starting anew from load_from=start.pth' in note
