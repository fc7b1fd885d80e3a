"""A training ends early, by the clock or by Ctrl-C, and can be resumed."""

import signal
from itertools import count
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

pytest.importorskip('mmseg')

from segaware_mm.engine.checkpoints import latest_checkpoint  # noqa: E402
from segaware_mm.engine.early_end import InterruptHook, TimeBudgetHook  # noqa: E402
from segaware_mm.engine.progress import ProgressHook, QuietRunner  # noqa: E402

_names = count()


@pytest.fixture(autouse=True)
def terminal():
    """Ctrl-C as in a terminal: a background shell starts us with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def runner(tiny_config, tmp_path):
    """Build a runner of eight iterations that saves at the last alone."""

    def build(*hooks, **changes):
        cfg = Config.fromfile(str(tiny_config(iters=8, options={
            'model.backbone.norm_cfg.type': 'BN',
            'model.decode_head.norm_cfg.type': 'BN',
            'default_hooks.checkpoint.interval': 100,
            'train_cfg.val_interval': 100})))
        cfg.merge_from_dict(dict(work_dir=str(tmp_path / 'work'), exact_resume=True,
                                 experiment_name=f'early{next(_names)}', **changes))
        made = QuietRunner.from_cfg(cfg)
        for hook in hooks:
            made.register_hook(hook)
        return made

    return build


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The time that the budget reads: it goes on where a test says so alone."""
    Slow.now = 0.
    monkeypatch.setattr('segaware_mm.engine.early_end.time',
                        SimpleNamespace(monotonic=lambda: Slow.now))


class Slow(Hook):
    """Every iteration takes a while on the clock; notes those that ran."""

    now = 0.

    def __init__(self, seconds: float = 0.) -> None:
        self.seconds = seconds
        self.ran = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        Slow.now += self.seconds
        self.ran.append(runner.iter)


class Press(Hook):
    """Press Ctrl-C during an iteration or a validation."""

    def __init__(self, at: int = -1, in_val: bool = False, times: int = 1) -> None:
        self.at, self.in_val, self.times = at, in_val, times

    def _press(self):
        for _ in range(self.times):
            signal.raise_signal(signal.SIGINT)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.at:
            self._press()

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self.in_val:
            self._press()


def losses_of(runner):
    return list(runner.message_hub.get_scalar('train/loss').data[0])


def test_a_budget_ends_the_training_with_checkpoint_and_scores(runner, tmp_path):
    budget, slow, progress = TimeBudgetHook(1.4), Slow(0.4), ProgressHook('tiny')
    made = runner(slow, budget, progress)
    made.train()
    # A fourth would take it to 1.6 seconds.
    assert budget.ended and slow.ran == [0, 1, 2]
    assert budget.used == pytest.approx(1.2)
    assert latest_checkpoint(str(tmp_path / 'work')) == str(
        tmp_path / 'work' / 'iter_3.pth')
    assert 0 <= progress.scores['mIoU'] <= 100


def test_a_resumed_training_has_what_is_left_of_the_budget(runner):
    slow, first = Slow(0.3), TimeBudgetHook(1.)
    runner(slow, first).train()
    assert first.ended and slow.ran == [0, 1, 2]
    again, second = Slow(), TimeBudgetHook(100.)
    made = runner(again, second, resume=True)
    made.train()
    assert not second.ended and second.used >= first.used
    assert slow.ran + again.ran == list(range(8))  # none twice, none left out
    third = TimeBudgetHook(0.01)  # used up before it starts: one step at most
    late = Slow()
    runner(late, third, resume=True, **{'train_cfg.max_iters': 12}).train()
    assert third.ended and late.ran == [8]


def test_enough_time_changes_nothing(runner):
    budget = TimeBudgetHook(1000.)
    made = runner(budget)
    made.train()
    assert not budget.ended and made.iter == 8
    plain = runner()
    plain.train()
    assert losses_of(plain) == losses_of(made)


def test_a_budget_must_be_positive():
    with pytest.raises(ValueError, match='must be > 0, got 0'):
        TimeBudgetHook(0)


def test_ctrl_c_saves_and_the_resumed_losses_are_the_same(runner, tmp_path):
    whole = runner()
    whole.train()
    before = signal.getsignal(signal.SIGINT)
    slow = Slow()
    with pytest.raises(KeyboardInterrupt):
        runner(InterruptHook(), Press(at=3), slow).train()
    assert slow.ran == [0, 1, 2, 3]  # the running iteration was finished
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / 'work' / 'last_checkpoint').read_text().endswith('iter_4.pth')
    again = runner(InterruptHook(), resume=True)
    again.train()
    assert losses_of(again) == losses_of(whole)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], weight), name


def test_the_second_ctrl_c_ends_at_once(runner):
    slow, hook = Slow(), InterruptHook()
    with pytest.raises(KeyboardInterrupt):
        runner(hook, Press(at=2, times=2), slow).train()
    assert slow.ran == [0, 1] and hook.pressed


def test_a_background_job_is_deaf_to_ctrl_c(runner):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as its shell does
    slow, hook = Slow(), InterruptHook()
    runner(hook, Press(at=2), slow).train()
    assert slow.ran == list(range(8)) and not hook.pressed
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_ctrl_c_in_a_validation_ends_it(runner):
    progress = ProgressHook('tiny')
    with pytest.raises(KeyboardInterrupt):
        runner(InterruptHook(), Press(in_val=True), progress).train()
    progress.close()
    assert progress.scores == {}


def test_the_console_has_one_line_and_the_log_file_all(runner, tmp_path, capfd):
    progress = ProgressHook('tiny')
    runner(progress).train()
    out, err = capfd.readouterr()
    assert 'tiny: training' in err and '8/8' in err and 'loss' in err
    assert 'mmengine' not in out + err
    log, = (tmp_path / 'work').glob('*/*.log')
    assert 'Iter(train)' in log.read_text() and 'decode_head' in log.read_text()
