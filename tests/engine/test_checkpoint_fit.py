"""A checkpoint of another model is refused, whatever it is used for."""

import logging
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from segaware_mm.engine.checkpoint_fit import CheckpointFitHook
from segaware_mm.engine.errors import CheckpointError


class Net(nn.Module):
    """A backbone of some layers, a head, perhaps an auxiliary one."""

    def __init__(self, layers=3, classes=4, auxiliary=False):
        super().__init__()
        self.backbone = nn.Sequential(*[nn.Linear(2, 2) for _ in range(layers)])
        self.decode_head = nn.Linear(2, classes)
        if auxiliary:
            self.auxiliary_head = nn.Linear(2, classes)


def make_runner(**kwargs):
    """Return a stand-in for a runner."""
    return SimpleNamespace(model=Net(**kwargs), logger=logging.getLogger('fit'))


def state(runner, **more):
    """Return a full checkpoint of a stand-in."""
    return dict(state_dict=runner.model.state_dict(), meta={}, optimizer={},
                message_hub={}, **more)


def fit(purpose, runner, checkpoint):
    """Run the hook on a checkpoint."""
    CheckpointFitHook(purpose, 'c.pth').after_load_checkpoint(runner, checkpoint)


def refused(purpose, runner, checkpoint):
    """Return the message of the refusal."""
    with pytest.raises(CheckpointError) as caught:
        fit(purpose, runner, checkpoint)
    return str(caught.value)


def part(checkpoint, name):
    """Return a checkpoint of one part alone."""
    return dict(checkpoint, state_dict={
        key: value for key, value in checkpoint['state_dict'].items()
        if key.startswith(name)})


@pytest.mark.parametrize('purpose', ['resume', 'test', 'load'])
def test_the_own_checkpoint_fits(purpose, caplog):
    fit(purpose, make_runner(), state(make_runner()))
    assert caplog.text == ''


@pytest.mark.parametrize('purpose', ['resume', 'test'])
def test_start_weights_of_the_backbone_are_no_trained_model(purpose):
    """Three quarters of the weights are there: the head would be random."""
    text = refused(purpose, make_runner(), part(state(make_runner()), 'backbone'))
    assert '6 of the 8 weights' in text and '75 %' in text
    assert 'absent, of decode_head: 2 (decode_head.weight, decode_head.bias)' in text
    assert 'start weights of a backbone' in text


@pytest.mark.parametrize('purpose', ['resume', 'test'])
def test_weights_of_a_deeper_backbone_are_refused(purpose):
    """Weights of a ResNet-101 hold all of a ResNet-50, and more."""
    text = refused(purpose, make_runner(), state(make_runner(layers=5)))
    assert 'unknown to the model: 4 (backbone.3.weight' in text
    assert 'another depth' in text


@pytest.mark.parametrize('purpose', ['resume', 'test'])
def test_another_number_of_classes_is_refused_with_both_shapes(purpose):
    text = refused(purpose, make_runner(), state(make_runner(classes=7)))
    assert ('of another shape: 2 (decode_head.weight (7, 2), wanted (4, 2)' in text)
    assert 'number of classes' in text


@pytest.mark.parametrize('mine, theirs', [
    (dict(auxiliary=True), {}), ({}, dict(auxiliary=True))])
def test_an_auxiliary_head_matters_to_training_alone(mine, theirs):
    fit('test', make_runner(**mine), state(make_runner(**theirs)))
    text = refused('resume', make_runner(**mine), state(make_runner(**theirs)))
    assert 'auxiliary_head' in text and 'load_from=c.pth' in text


def test_start_weights_must_share_something(caplog):
    with caplog.at_level(logging.WARNING):
        fit('load', make_runner(), part(state(make_runner()), 'backbone'))
    assert '6 of the 8 weights' in caplog.text
    other = dict(state_dict=dict(conv=torch.zeros(2)))
    assert '0 of the 8' in refused('load', make_runner(), other)


def test_weights_alone_cannot_be_resumed_from():
    runner = make_runner()
    text = refused('resume', runner, runner.model.state_dict())
    assert 'weights alone' in text and 'load_from=c.pth' in text


def test_weights_saved_by_several_processes_fit():
    runner = make_runner()
    weights = {f'module.{k}': v for k, v in runner.model.state_dict().items()}
    fit('test', runner, dict(state_dict=weights))
    refused('test', runner, dict(state_dict={f'x.{k}': 0 for k in weights}))


def test_layers_that_torch_renames_on_loading_fit():
    """As mmcv's deformable convolutions and mmdet's heads of older versions."""

    class Renamed(nn.Linear):

        def _load_from_state_dict(self, state_dict, prefix, *args):
            state_dict[prefix + 'weight'] = state_dict.pop(prefix + 'old')
            super()._load_from_state_dict(state_dict, prefix, *args)

    runner = make_runner()
    runner.model.decode_head = Renamed(2, 4)
    weights = runner.model.state_dict()
    weights['decode_head.old'] = weights.pop('decode_head.weight')
    fit('test', runner, dict(state_dict=weights))
    assert 'decode_head.old' in weights  # what is read stays as it is
