"""A tiny RANet with random weights, for the tools that look at a model."""

from copy import deepcopy
from pathlib import Path
from typing import Callable, Tuple

import pytest

NAMES = ('back', 'disc', 'bar', 'corner')
HEAD = dict(
    _delete_=True, type='RANetHead', in_channels=(16, 32), in_index=(1, 2),
    channels=8, num_classes=4, align_corners=False, dropout_ratio=0.,
    norm_cfg=dict(type='SyncBN', requires_grad=True))


@pytest.fixture
def save_random() -> Callable[..., Path]:
    """Save a checkpoint of a config's model with its initial weights."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    def save(config: Path, path: Path, meta: bool = True) -> Path:
        cfg = Config.fromfile(str(config))
        init_default_scope('mmseg')
        torch.manual_seed(0)
        content = dict(state_dict=MODELS.build(deepcopy(cfg.model)).state_dict())
        if meta:
            content['meta'] = dict(dataset_meta=dict(
                classes=NAMES,
                palette=[[0, 0, 0], [250, 0, 0], [0, 250, 0], [0, 0, 250]]))
        torch.save(content, path)
        return path

    return save


@pytest.fixture
def ranet(tiny_config: Callable[..., Path], save_random: Callable[..., Path],
          tmp_path: Path) -> Tuple[Path, Path, Path]:
    """A config of a tiny RANet, its checkpoint, and an image of its dataset."""
    from mmengine.config import Config
    config = tiny_config(name='tiny_ranet')
    cfg = Config.fromfile(str(config))
    cfg.merge_from_dict(dict(model=dict(decode_head=deepcopy(HEAD))))
    cfg.dump(str(config))
    return (config, save_random(config, tmp_path / 'w.pth'),
            Path(cfg.data_root) / 'images' / 'val' / '00.png')
