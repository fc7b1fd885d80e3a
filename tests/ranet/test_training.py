"""RANet through the tools: two processes, and resume after a kill."""

import json
import signal
import socket

import pytest

KILLER = """
import os
import signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class KillHook(Hook):

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 5:
            os.kill(os.getpid(), signal.SIGKILL)
"""

UNEQUAL = """
import json
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class UnequalHook(Hook):
    '''The second process has one region, the first many; both count.'''

    def before_train(self, runner):
        blocks = [m for m in runner.model.modules() if hasattr(m, 'construction')]
        block = blocks[0].construction
        # Similarities lie in [0, 1]: none is above 1, all are above -1.
        block.threshold = (1., -1.)[get_rank()]
        self.counts = []
        block.register_forward_hook(lambda module, args, regions: self.counts.append(
            int(regions.labels.max()) + 1))

    def after_train(self, runner):
        with open(f'counts_{get_rank()}.json', 'w') as file:
            json.dump(self.counts, file)
"""

MODEL = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[127.5] * 3, std=[64.0] * 3,
        bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size=(32, 32)),
    backbone=dict(
        type='ResNet', depth=18, base_channels=8, num_stages=3,
        strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(0, 1, 2),
        norm_cfg=dict(type='SyncBN', requires_grad=True), norm_eval=False),
    decode_head=dict(
        type='RANetHead', in_channels=(16, 32), in_index=(1, 2), channels=16,
        num_classes=4, align_corners=False,
        norm_cfg=dict(type='SyncBN', requires_grad=True)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['released', 'paper'])
def test_two_processes_with_unequal_regions_do_not_deadlock(
        mode, tmp_path, tiny_config, run_command, losses):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    (tmp_path / 'unequal.py').write_text(UNEQUAL)
    config = tiny_config(iters=3, batch=1, model=MODEL, options={
        'custom_imports.imports': ['segaware_mm', 'unequal'],
        'custom_hooks': [dict(type='UnequalHook')],
        'model.decode_head.interaction': dict(mode=mode)})
    work = tmp_path / 'work'
    done = run_command('tools/dist_train.sh', config, 2, '--work-dir', work,
                       PORT=port, timeout=240)
    assert done.returncode == 0, done.stderr
    assert sorted(losses(work)) == [1, 2, 3]
    first, second = (json.loads((tmp_path / f'counts_{rank}.json').read_text())
                     for rank in (0, 1))
    assert len(first) >= 3 and len(second) >= 3
    assert all(a > b == 1 for a, b in zip(first[:3], second[:3]))


@pytest.mark.slow
def test_resume_after_sigkill_continues_with_equal_losses(
        tmp_path, tiny_config, run_command, losses):
    (tmp_path / 'killer.py').write_text(KILLER)
    config = tiny_config(iters=7, model=MODEL)
    killed = tiny_config(iters=7, model=MODEL, name='killed', options={
        'custom_imports.imports': ['segaware_mm', 'killer'],
        'custom_hooks': [dict(type='KillHook')]})
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    done = run_command('tools/train.py', config, '--work-dir', whole)
    assert done.returncode == 0, done.stderr
    dead = run_command('tools/train.py', killed, '--work-dir', cut)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    on = run_command('tools/train.py', config, '--work-dir', cut, '--resume')
    assert on.returncode == 0, on.stderr
    assert min(losses(cut, last=True)) == 5
    assert losses(cut) == losses(whole)
    assert len(losses(whole)) == 7
