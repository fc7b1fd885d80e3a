"""Several processes on the CPU, over gloo, through the shell scripts."""

import socket

import pytest
from mmengine.config import Config


@pytest.fixture
def port() -> str:
    """A free port for the processes to meet at."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


@pytest.mark.slow
def test_two_processes_train_resume_and_test_on_the_cpu(
        tmp_path, tiny_config, run_command, losses, port):
    config = tiny_config(iters=2, options={
        'val_evaluator.iou_metrics': ['mIoU'],
        'default_hooks.checkpoint.interval': 1})
    work = tmp_path / 'work'
    done = run_command('tools/dist_train.sh', config, 2, '--work-dir', work,
                       PORT=port)
    assert done.returncode == 0, done.stderr
    assert '2 x cpu' in done.stdout + done.stderr
    assert sorted(losses(work)) == [1, 2]
    used = Config.fromfile(str(work / config.name))
    assert used.env_cfg.dist_cfg.backend == 'gloo'
    assert used.model.backbone.norm_cfg.type == 'BN'
    assert used.model_wrapper_cfg.device_ids is None

    cut = tmp_path / 'cut'
    again = run_command('tools/dist_train.sh', config, 2, '--work-dir', cut,
                        '--resume', work / 'iter_1.pth', PORT=port)
    assert again.returncode == 0, again.stderr
    assert losses(cut) == {2: losses(work)[2]}

    tested = run_command(
        'tools/dist_test.sh', config, work / 'iter_2.pth', 2, '--work-dir', work,
        '--cfg-options', 'default_hooks.checkpoint.interval=1', PORT=port)
    assert tested.returncode == 0, tested.stderr
    assert 'mIoU' in tested.stdout + tested.stderr


def test_scripts_without_arguments_say_how_they_are_called(run_command):
    for script in ('tools/dist_train.sh', 'tools/dist_test.sh'):
        called = run_command(script)
        assert called.returncode == 2
        assert f'bash {script} CONFIG' in called.stderr
