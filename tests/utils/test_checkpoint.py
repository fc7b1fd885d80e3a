"""Checkpoints are read without running code, and refused with a useful text."""

import os
import pickle
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from segaware_mm.utils import checkpoint, safe_globals
from segaware_mm.utils.checkpoint import (
    CheckpointFileError,
    check_checkpoint,
    load_checkpoint,
)

needs_restriction = pytest.mark.skipif(
    not checkpoint.restricts_by_default(), reason='torch < 2.6 restricts nothing')


class Hostile:
    """Runs a command when it is unpickled, where unpickling is unrestricted."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker, )




class AsksFor:
    """Pickled as ``getattr(owner, name)``."""

    def __init__(self, owner, name):
        self.arguments = owner, name

    def __reduce__(self):
        return getattr, self.arguments


def weights():
    return OrderedDict(w=torch.ones(2, 3))


def save(path, content):
    torch.save(content, path)
    return str(path)


def test_weights_and_numpy_are_read(tmp_path):
    meta = dict(step=np.float64(2.5), count=np.int64(3), flags=np.array([True, False]),
                history=np.arange(3, dtype=np.float32), name='a')
    path = save(tmp_path / 'a.pth', dict(state_dict=weights(), meta=meta))
    check_checkpoint(path)
    found = load_checkpoint(path)
    assert torch.equal(found['state_dict']['w'], torch.ones(2, 3))
    assert found['meta']['step'] == 2.5 and found['meta']['count'] == 3
    assert found['meta']['history'].tolist() == [0, 1, 2]


@needs_restriction
@pytest.mark.parametrize('core', ['numpy.core', 'numpy._core'])
def test_arrays_of_either_numpy_are_read(tmp_path, core):
    """numpy 2 renamed the module that rebuilds arrays."""
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=weights(), a=np.ones(2)), path)
    other = tmp_path / 'b.pth'
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, 'w') as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith('data.pkl'):
                assert b'numpy._core.multiarray' in content or (
                    b'numpy.core.multiarray' in content)
                for old in (b'numpy._core.multi', b'numpy.core.multi'):
                    content = content.replace(old, core.encode() + b'.multi')
            target.writestr(name, content)
    checkpoint.allow_checkpoint_globals()
    found = torch.load(other, weights_only=True)
    assert found['a'].tolist() == [1, 1]


def test_history_buffers_are_read(tmp_path):
    pytest.importorskip('mmengine')
    from mmengine.logging.history_buffer import HistoryBuffer
    buffer = HistoryBuffer([1., 2., 4.], [1, 1, 1])
    path = save(tmp_path / 'a.pth', dict(state_dict=weights(), hub=buffer))
    found = load_checkpoint(path)['hub']
    assert found.mean() == pytest.approx(7 / 3)
    assert found.statistics('max', 2) == 4


@needs_restriction
@pytest.mark.parametrize('owner, name', [
    (np.ndarray, 'tofile'), (np.ndarray, '__init__'), (np.dtype, 'mro')])
def test_getattr_stays_closed(tmp_path, owner, name):
    """Only the statistics of HistoryBuffer are handed out."""
    pytest.importorskip('mmengine')
    path = save(tmp_path / 'a.pth', dict(state_dict=weights(), x=AsksFor(owner, name)))
    with pytest.raises(CheckpointFileError, match=f"attribute '{name}' of"):
        load_checkpoint(path)


def test_getattr_of_a_history_buffer_gives_statistics_alone():
    pytest.importorskip('mmengine')
    from mmengine.logging.history_buffer import HistoryBuffer
    assert safe_globals.history_statistic(HistoryBuffer, 'mean') is HistoryBuffer.mean
    with pytest.raises(pickle.UnpicklingError, match='register_statistics'):
        safe_globals.history_statistic(HistoryBuffer, 'register_statistics')


@needs_restriction
@pytest.mark.parametrize('old_format', [False, True])
def test_hostile_file_is_refused_and_runs_nothing(tmp_path, old_format):
    marker = tmp_path / 'ran'
    path = tmp_path / 'bad.pth'
    torch.save(dict(state_dict=weights(), x=Hostile(marker)), path,
               _use_new_zipfile_serialization=not old_format)
    with pytest.raises(CheckpointFileError) as caught:
        load_checkpoint(str(path))
    assert not marker.exists()
    assert str(path) in str(caught.value)
    assert 'mkdir' in str(caught.value)
    assert safe_globals.ENVIRONMENT_VARIABLE not in str(caught.value)


@needs_restriction
def test_unknown_class_is_named_and_can_be_allowed(tmp_path, monkeypatch):
    import argparse
    path = save(tmp_path / 'a.pth', dict(
        state_dict=weights(), args=argparse.Namespace(lr=1)))
    with pytest.raises(CheckpointFileError) as caught:
        check_checkpoint(path)
    text = str(caught.value)
    assert 'argparse.Namespace' in text and path in text
    assert f'{safe_globals.ENVIRONMENT_VARIABLE}=argparse.Namespace' in text
    assert 'state_dict' in text
    monkeypatch.setenv(safe_globals.ENVIRONMENT_VARIABLE, 'argparse.Namespace')
    known = torch.serialization.get_safe_globals()
    try:
        assert load_checkpoint(path)['args'].lr == 1
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(known)


def test_command_of_the_refusal_saves_the_weights(tmp_path):
    """The text's own command is run."""
    if not checkpoint.restricts_by_default():
        pytest.skip('torch < 2.6 refuses nothing')
    import argparse
    import subprocess
    import sys
    path = save(tmp_path / 'a.pth', dict(
        state_dict=weights(), args=argparse.Namespace(lr=1)))
    with pytest.raises(CheckpointFileError) as caught:
        check_checkpoint(path)
    command = str(caught.value).splitlines()[-1].strip()
    assert command.startswith('python ')
    subprocess.run(command.replace('python', f'"{sys.executable}"', 1), shell=True,
                   check=True, cwd=tmp_path, timeout=120)
    check_checkpoint(str(tmp_path / 'a_weights.pth'))


@pytest.mark.parametrize('names, text', [
    ('eval', 'module.Class'), ('builtins.getattr', 'Builtins'),
    ('no_such_module.X', 'cannot be imported'),
    ('argparse.NoSuchClass', 'cannot be imported')])
def test_environment_variable_is_checked(monkeypatch, names, text):
    monkeypatch.setenv(safe_globals.ENVIRONMENT_VARIABLE, names)
    with pytest.raises(ValueError, match=text) as caught:
        safe_globals.user_globals()
    assert safe_globals.ENVIRONMENT_VARIABLE in str(caught.value)


def test_absent_file_names_its_neighbours(tmp_path):
    save(tmp_path / 'iter_4.pth', weights())
    with pytest.raises(CheckpointFileError, match='does not exist.*iter_4.pth'):
        load_checkpoint(str(tmp_path / 'iter_5.pth'))


def test_cut_file(tmp_path):
    path = save(tmp_path / 'a.pth', dict(state_dict=dict(w=torch.rand(1000))))
    with open(path, 'r+b') as file:
        file.truncate(2000)
    with pytest.raises(CheckpointFileError, match='cut short at 2000 bytes'):
        load_checkpoint(path)


@pytest.mark.parametrize('content, text', [
    (b'', 'is empty'),
    (b'<!DOCTYPE html><html>not found</html>', 'is a web page'),
    (b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n', 'git lfs pull'),
    (b'\x89PNG\r\n\x1a\n' + bytes(100), 'another kind of file, or damaged'),
    (b'garbage' * 9, 'another kind of file, or damaged'),
])
def test_other_files(tmp_path, content, text):
    path = tmp_path / 'a.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointFileError, match=text) as caught:
        load_checkpoint(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize('content, text', [
    ([1, 2], 'holds a list and no weights'),
    (dict(epoch=3, lr=.1), 'the keys epoch, lr and no weights'),
    (dict(state_dict=[1]), 'no weights'),
])
def test_file_without_weights(tmp_path, content, text):
    path = save(tmp_path / 'a.pth', content)
    with pytest.raises(CheckpointFileError, match=text):
        check_checkpoint(path)


@pytest.mark.parametrize('address', [
    'https://example.org/a.pth', 'torchvision://resnet18', 'open-mmlab://resnet18_v1c'])
def test_remote_addresses_are_left_alone(address):
    assert check_checkpoint(address) is None


def test_old_torch_warns(tmp_path, monkeypatch):
    path = save(tmp_path / 'a.pth', weights())
    monkeypatch.setattr(checkpoint, 'restricts_by_default', lambda: False)
    with pytest.warns(UserWarning, match='may run code'):
        load_checkpoint(path)


def test_allowing_twice_changes_nothing():
    if not checkpoint.restricts_by_default():
        pytest.skip('torch < 2.6 has no such list')
    checkpoint.allow_checkpoint_globals()
    known = set(torch.serialization.get_safe_globals())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        checkpoint.allow_checkpoint_globals()
    assert set(torch.serialization.get_safe_globals()) == known
    assert getattr not in known
