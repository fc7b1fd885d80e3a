"""A flow network through the tools: training, scores, pictures, errors."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

from mmengine.config import Config  # noqa: E402

from segaware_mm.datasets.flow.generate import generate_flow  # noqa: E402
from segaware_mm.engine.preflight import missing_datasets  # noqa: E402

REPO = Path(__file__).resolve().parents[2]
CONFIG = (REPO / 'configs' / 'segaware' /
          'segaware-flownets-layers_w16_1xb8-5000i_flow-80x96.py')
QUICK = [
    'train_cfg.max_iters=2', 'train_cfg.val_interval=2',
    'train_dataloader.batch_size=2', 'default_hooks.logger.interval=1',
    *(f'{split}_dataloader.{key}' for split in ('train', 'val', 'test')
      for key in ('num_workers=0', 'persistent_workers=False'))]


@pytest.mark.slow
def test_training_validation_and_test_of_other_pairs(tmp_path, run_command, losses):
    data = generate_flow(tmp_path / 'pairs', train=4, val=2, size=(64, 80),
                         progress=False)
    work = tmp_path / 'work'
    done = run_command('tools/train.py', CONFIG, '--work-dir', work, '--cfg-options',
                       f'data_root={data}', *QUICK, timeout=500)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    values = losses(work)
    assert sorted(values) == [1, 2] and all(0 < v < 100 for v in values.values())
    (log, ) = work.glob('*/vis_data/scalars.json')
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert 'loss_embed' in entries[0] and 'loss_flow_s2' in entries[0]
    assert 0 < entries[-1]['flow/EPE'] < 100 and 'flow/EPE_boundary' in entries[-1]

    # Folders of other pairs, as those of the real ones: one data set each.
    other = tmp_path / 'real' / 'sintel'
    other.mkdir(parents=True)
    for end, name in (('img1.png', 'frame_0001.png'), ('img2.png', 'frame_0002.png'),
                      ('flow.flo', 'frame_0001.flo')):
        shutil.copy(data / 'val' / f'000000_{end}', other / name)
    shutil.copytree(data / 'val', tmp_path / 'real' / 'chairs')
    tested = run_command(
        'tools/test.py', CONFIG, work / 'iter_2.pth', '--work-dir', work / 'real',
        '--show-dir', tmp_path / 'shown', '--cfg-options', *QUICK,
        f'test_dataloader.dataset.data_root={tmp_path}',
        'test_dataloader.dataset.data_prefix.img_path=real',
        'test_dataloader.dataset.dataset_name=None', timeout=500)
    assert tested.returncode == 0, (tested.stdout + tested.stderr)[-3000:]
    (found, ) = (work / 'real').glob('*/*.json')
    scores = json.loads(found.read_text())
    assert {key for key in scores if key.endswith('/EPE')} == {
        'flow/EPE', 'flow/chairs/EPE', 'flow/sintel/EPE'}
    names = {path.name.rsplit('_', 1)[0] for path in (tmp_path / 'shown').rglob('*.png')}
    assert names == {'chairs_000000_img1', 'chairs_000001_img1', 'sintel_frame_0001'}


def test_without_pairs_the_message_says_how_to_make_them(tmp_path):
    cfg = Config.fromfile(str(CONFIG))
    cfg.merge_from_dict({f'{split}_dataloader.dataset.data_root': str(tmp_path / 'no')
                         for split in ('train', 'val', 'test')})
    text = missing_datasets(cfg, ['train', 'val'])
    assert f'python tools/make_flow.py --out {tmp_path / "no"}' in text
    assert 'train_dataloader.dataset.data_root' in text and 'docs/flow.md' in text
