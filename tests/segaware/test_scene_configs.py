"""The small pipeline on procedural scenes: FCN, embedding, refiner."""

from pathlib import Path

import pytest

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
FCN = 'peers/fcn_r18s-d8_1xb8-demo_scenes-128x160'
EMBEDDING = 'segaware/embedding_r18s_1xb8-demo_scenes-128x160'
REFINED = 'segaware/segaware-refined_fcn-r18s-d8_1xb8-demo_scenes-128x160'


def load(name: str) -> Config:
    return Config.fromfile(str(REPO / 'configs' / f'{name}.py'))


def test_the_refiner_refines_the_fcn_and_reads_the_embedding_that_were_trained():
    fcn, embedding, refined = load(FCN), load(EMBEDDING), load(REFINED)
    inner, outer = refined.model.segmentor.to_dict(), fcn.model.to_dict()
    assert outer.pop('data_preprocessor') == refined.model.data_preprocessor
    assert inner.pop('init_cfg')['checkpoint'] == (
        f'work_dirs/{Path(FCN).name}/iter_{fcn.train_cfg.max_iters}.pth')
    assert inner == outer
    own = refined.model.embedding.to_dict()
    net = embedding.model.backbone.embedding.to_dict()
    assert own.pop('init_cfg')['checkpoint'] == (
        f'work_dirs/{Path(EMBEDDING).name}/iter_{embedding.train_cfg.max_iters}.pth')
    assert net['backbone'].pop('init_cfg') is None
    assert own == net
    assert embedding.model.data_preprocessor == refined.model.data_preprocessor
