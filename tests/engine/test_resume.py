"""A killed and resumed training has the losses of an uninterrupted one."""

import shutil
import signal

import pytest

from segaware_mm.engine.train import main

KILLER = '''
import os
import signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class KillHook(Hook):
    """End the process at once, before the seventh iteration."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 6:
            os.kill(os.getpid(), signal.SIGKILL)
'''


@pytest.mark.slow
def test_after_sigkill_the_losses_are_those_of_an_uninterrupted_run(
        tmp_path, tiny_config, run_command, losses):
    """Two workers, dropout, augmentation, a validation in between."""
    (tmp_path / 'killer.py').write_text(KILLER)
    config = tiny_config(iters=10, workers=2)
    killed = tiny_config(
        iters=10, workers=2, name='killed', options={
            'custom_imports.imports': ['segaware_mm', 'killer'],
            'custom_hooks': [dict(type='KillHook')]})
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'

    done = run_command('tools/train.py', config, '--work-dir', whole)
    assert done.returncode == 0, done.stderr
    dead = run_command('tools/train.py', killed, '--work-dir', cut)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    assert sorted(losses(cut)) == [1, 2, 3, 4, 5, 6]
    on = run_command('tools/train.py', config, '--work-dir', cut, '--resume')
    assert on.returncode == 0, on.stderr
    assert 'resuming from' in on.stdout + on.stderr

    # The log of the second run starts behind the checkpoint of iteration 4.
    assert min(losses(cut, last=True)) == 5
    assert losses(cut) == losses(whole)
    assert len(losses(whole)) == 10


@pytest.mark.parametrize('options', [
    {},
    {'train_dataloader.sampler.type': 'DefaultSampler'},
], ids=['fast-forward', 'load-and-drop'])
def test_resume_in_the_main_process_has_equal_losses(
        options, tmp_path, tiny_config, tiny_data, losses):
    """No worker: loading and dropout draw from one generator upstream."""
    root = tiny_data(train=12)  # six batches: one end of an epoch
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    config = str(tiny_config(iters=7, root=root, options=options))
    name = 'experiment_name='
    assert main([config, '--work-dir', str(whole), '--cfg-options', name + 'a']) == 0
    cut.mkdir()
    shutil.copy(whole / 'iter_4.pth', cut)
    assert main([config, '--work-dir', str(cut), '--resume',
                 str(cut / 'iter_4.pth'), '--cfg-options', name + 'b']) == 0
    rest = {step: loss for step, loss in losses(whole).items() if step > 4}
    assert losses(cut) == rest
    assert len(rest) == 3


def test_without_exact_resume_the_losses_differ(tmp_path, tiny_config, losses):
    """The test above can fail: upstream's own resume gives other losses."""
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    config = str(tiny_config(iters=7, options={'exact_resume': False}))
    name = 'experiment_name='
    assert main([config, '--work-dir', str(whole), '--cfg-options', name + 'c']) == 0
    assert main([config, '--work-dir', str(cut), '--resume',
                 str(whole / 'iter_4.pth'), '--cfg-options', name + 'd']) == 0
    assert losses(cut)[5] != losses(whole)[5]
