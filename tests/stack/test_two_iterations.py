"""Two iterations, a checkpoint, and two more: the Runner works on this stack."""

import math
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

import segaware_mm  # noqa: E402, F401
from segaware_mm.utils.checkpoint import check_checkpoint  # noqa: E402

pytestmark = pytest.mark.stack

OPTIONS = {
    'model.backbone.norm_cfg.type': 'BN',
    'model.decode_head.norm_cfg.type': 'BN',
    'default_hooks.checkpoint.interval': 2,
    'train_cfg.val_interval': 2,
    'log_level': 'ERROR',
}


@pytest.fixture
def make_runner(tiny_config: Callable, tmp_path: Path) -> Callable[..., Runner]:
    """Return a runner over the tiny dataset; runs share a work dir."""

    def make(iters: int, name: str, **changes: Any) -> Runner:
        cfg = Config.fromfile(str(tiny_config(iters=iters, options=OPTIONS)))
        cfg.merge_from_dict(dict(
            work_dir=str(tmp_path / 'work'), experiment_name=f'{tmp_path.name}_{name}',
            **changes))
        return Runner.from_cfg(cfg)

    return make


def test_train_checkpoint_resume(make_runner, tmp_path):
    first = make_runner(2, 'first')
    first.train()
    path = tmp_path / 'work' / 'iter_2.pth'
    assert path.is_file()
    assert (tmp_path / 'work' / 'last_checkpoint').read_text() == str(path)
    history = first.message_hub.get_scalar('train/loss').data[0]
    assert len(history) == 2 and (history > 0).all()

    check_checkpoint(str(path))
    again = make_runner(4, 'again', resume=True)
    again.load_or_resume()
    assert again.iter == 2
    assert (again.message_hub.get_scalar('train/loss').data[0] == history).all()
    for name, weight in again.model.state_dict().items():
        assert torch.equal(weight, first.model.state_dict()[name]), name

    again.train()
    assert again.iter == 4
    assert len(again.message_hub.get_scalar('train/loss').data[0]) == 4
    assert (tmp_path / 'work' / 'iter_4.pth').is_file()


def test_ranet_trains(make_runner):
    runner = make_runner(2, 'ranet', model=dict(decode_head=dict(
        _delete_=True, type='RANetHead', in_channels=(16, 32), in_index=(1, 2),
        channels=16, num_classes=4, align_corners=False,
        norm_cfg=dict(type='BN'))))
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    assert runner.iter == 2
    after = runner.model.state_dict()
    still = [name for name, weight in runner.model.named_parameters()
             if name.startswith('decode_head') and torch.equal(before[name], after[name])]
    assert still == []
    history = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(history) == 2 and all(map(math.isfinite, history))


def test_validation_gives_a_score(make_runner):
    scores = make_runner(2, 'val').val()
    assert 0 <= scores['mIoU'] <= 100
